"""The calls to the issuer: what is sent, byte by byte, and what each answer becomes."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl, urlsplit

import pytest

from missy.auth.login import new_login
from missy.auth.oauth import CLIENT_ID, Grant, Issuer
from missy.auth.pkce import new_pair, new_state
from missy.auth.refusals import TokenRefused, sign_in_denied
from missy.errors import BadReply, CredentialError, PolicyError, ProviderError
from missy.net.door import Door
from missy.policy import Policy, Rules
from missy.secrets.redact import Secret
from tests.simulator import ISSUER_ROWS, Account, Fault
from tests.simulator.browser import callback_of
from tests.simulator.faults import CLOUDFLARE

REDIRECT = "http://127.0.0.1:1455/auth/callback"


@pytest.fixture
def issuer(simulator, door):
    return Issuer(simulator.issuer_url, door, "codex")


def signed_in(issuer, pair=None, state=None, redirect=REDIRECT):
    pair, state = pair or new_pair(), state or new_state()
    fields = dict(parse_qsl(urlsplit(callback_of(issuer.authorize_url(pair, state, redirect))).query))
    assert fields["state"] == state
    return Grant(Secret(fields["code"]), Secret(pair.verifier), redirect)


def test_proof_keys_are_long_fresh_and_fit():
    """86 characters of verifier, 43 of challenge and state, none twice."""
    pairs = [new_pair() for _ in range(50)]
    assert {(len(pair.verifier), len(pair.challenge), len(new_state())) for pair in pairs} == {(86, 43, 43)}
    assert len({pair.verifier for pair in pairs} | {pair.challenge for pair in pairs}) == 100
    assert all(re.fullmatch(r"[\w-]+", pair.verifier + pair.challenge) for pair in pairs)
    assert pairs[0].verifier not in repr(pairs[0])


def test_the_authorize_address_is_the_one_that_the_issuer_knows(issuer, simulator):
    """Same fields, same order, same encoding as the issuer's own client; the scope and the name of a third party."""
    pair, state = new_pair(), new_state()
    assert issuer.authorize_url(pair, state, REDIRECT) == (
        f"{simulator.issuer_url}/oauth/authorize?response_type=code&client_id={CLIENT_ID}"
        "&redirect_uri=http%3A%2F%2F127.0.0.1%3A1455%2Fauth%2Fcallback"
        f"&code_challenge={pair.challenge}&code_challenge_method=S256&state={state}"
        "&scope=openid+profile+email+offline_access&id_token_add_organizations=true"
        "&codex_cli_simplified_flow=true&originator=missy"
    )


def test_a_code_becomes_a_login_with_its_account(issuer, simulator):
    """E-mail, plan and account come from the tokens; the exchange is one form with five fields in order."""
    login = new_login(issuer.exchange(signed_in(issuer)), issuer.url, 1000.0)
    assert (login.email, login.plan, login.account_id) == ("ada@example.com", "plus", Account().id)
    sent = next(request for request in simulator.journal if request.path == "/oauth/token")
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"
    names = [name for name, _ in parse_qsl(sent.body.decode())]
    assert names == ["grant_type", "client_id", "code", "redirect_uri", "code_verifier"]


def test_a_code_works_once_with_its_own_verifier_and_redirect(issuer):
    """The simulator refuses the rest, and each refusal is a CredentialError that says to start again."""
    grant = signed_in(issuer)
    issuer.exchange(grant)
    other = signed_in(issuer)
    for bad in (
        grant,
        Grant(other.code, Secret(new_pair().verifier), REDIRECT),
        Grant(signed_in(issuer).code, other.verifier, REDIRECT),
        Grant(signed_in(issuer).code, other.verifier, "http://127.0.0.1:1457/auth/callback"),
        Grant(Secret("ac_unknown"), other.verifier, REDIRECT),
    ):
        with pytest.raises(TokenRefused, match="refused the sign-in") as caught:
            issuer.exchange(bad)
        assert caught.value.exit_code == 4
        assert "auth login" in caught.value.hint


@pytest.mark.parametrize("missing", ["access_token", "refresh_token", "id_token"])
def test_an_exchange_without_one_of_its_tokens_is_no_login(issuer, simulator, missing):
    """All three must come, as strings."""
    whole = {"access_token": "a", "refresh_token": "b", "id_token": "c"}
    for value in (None, 5, "", "has space", "line\r\nend", "x" * 40_000):
        simulator.issuer_faults.add("/oauth/token", Fault(200, {**whole, missing: value}))
        with pytest.raises(BadReply):
            issuer.exchange(signed_in(issuer))


def test_tokens_without_an_account_are_no_login(issuer, simulator):
    """An account is never guessed from `sub` or an organisation."""
    simulator.issuer_faults.add(
        "/oauth/token", Fault(200, {f"{n}_token": "opaque-1" for n in ("access", "refresh", "id")})
    )
    with pytest.raises(CredentialError, match="no ChatGPT account"):
        new_login(issuer.exchange(signed_in(issuer)), issuer.url, 0.0)


SAID = {
    "expired": "has expired", "reused": "already renewed elsewhere", "reused-400": "already renewed elsewhere",
    "invalidated": "was revoked", "invalid-grant": "no longer accepts", "flat-code": "has expired",
    "other-401": "This account was deactivated", "bare-401": "refused the login", "500": "HTTP 500",
    "502-page": "web page", "429": "HTTP 429", "cloudflare": "Cloudflare", "200-page": "web page", "200-list": "JSON object",
    "200-deep": "JSON object", "200-numbers": "access_token", "200-spaces": "access_token", "302": "HTTP 302",
}  # fmt: skip


@pytest.mark.parametrize("row", [row for row in ISSUER_ROWS if row != "200-empty"])
def test_every_answer_to_a_renewal_has_its_own_error(issuer, simulator, row):
    """Each code has its message and a next step; what is for good is 4, what may pass is 5 or 7; nothing is followed."""
    fault, for_good = ISSUER_ROWS[row]
    token = Secret(simulator.issuer.sign_in()["refresh_token"])
    simulator.issuer_faults.add("/oauth/token", fault)
    with pytest.raises((CredentialError, ProviderError)) as caught:
        issuer.renew(token)
    error = caught.value
    assert isinstance(error, TokenRefused) is for_good
    assert isinstance(error, CredentialError) is for_good
    assert error.exit_code == (4 if for_good else 7 if row == "429" else 5)
    assert SAID.get(row, "") in error.message
    assert error.hint or row == "cut"
    assert token.reveal() not in error.message + error.hint + repr(error)
    assert simulator.renewals == 1


def test_permanent_refusals_all_say_something_else():
    """A person can tell from the message which of the reasons it was."""
    said = [SAID[row] for row in ("expired", "reused", "invalidated", "invalid-grant", "bare-401")]
    assert len(set(said)) == 5


def test_a_renewal_is_the_json_that_the_issuer_expects(issuer, simulator):
    """Three fields; the token rotates; a field that the answer leaves out is None."""
    simulator.issuer.omit = frozenset({"refresh_token", "id_token"})
    token = simulator.issuer.sign_in()["refresh_token"]
    tokens = issuer.renew(Secret(token))
    assert (tokens.refresh, tokens.id, tokens.access is None) == (None, None, False)
    sent = simulator.journal[-1]
    assert sent.json() == {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": token}
    assert (sent.headers["content-type"], sent.headers["originator"]) == ("application/json", "missy")


def test_a_reply_without_an_end_is_bounded(issuer, simulator):
    """An issuer cannot fill the memory: a megabyte is refused."""
    simulator.issuer_faults.add("/oauth/token", Fault(200, b'{"a": "' + b"x" * 1_000_000 + b'"}'))
    with pytest.raises(BadReply):
        issuer.renew(Secret("rt_any-token"))


def test_what_the_server_repeats_of_a_secret_is_masked(issuer, simulator):
    """An error text that quotes the token back is shown without it."""
    token = simulator.issuer.sign_in()["refresh_token"]
    simulator.issuer_faults.add("/oauth/token", Fault(500, {"error": {"message": f"bad token {token} !"}}))
    with pytest.raises(ProviderError) as caught:
        issuer.renew(Secret(token))
    assert "bad token *** !" in caught.value.message


def test_a_logout_revokes_the_refresh_token(issuer, simulator):
    """The hint and the client go with it; a failure raises."""
    token = simulator.issuer.sign_in()["refresh_token"]
    issuer.revoke(Secret(token))
    assert simulator.journal[-1].json() == {
        "token": token,
        "token_type_hint": "refresh_token",
        "client_id": CLIENT_ID,
    }
    assert simulator.issuer.refresh_tokens[token].revoked
    for fault in (Fault(500), CLOUDFLARE):
        simulator.issuer_faults.add("/oauth/revoke", fault)
        with pytest.raises(ProviderError):
            issuer.revoke(Secret(token))


def test_a_device_pairs_when_the_person_has_typed_the_code(issuer, simulator):
    """Pending is no error; the server's own verifier and redirect are used for the exchange."""
    simulator.issuer.device_pending = 2
    device = issuer.start_device()
    assert (device.page, device.interval) == (f"{simulator.issuer_url}/codex/device", 1.0)
    words = [issuer.poll_device(device), issuer.poll_device(device)]
    assert words == ["deviceauth_authorization_unknown"] * 2
    grant = issuer.poll_device(device)
    assert isinstance(grant, Grant)
    assert grant.redirect_uri == f"{simulator.issuer_url}/deviceauth/callback"
    assert new_login(issuer.exchange(grant), issuer.url, 0.0).email == "ada@example.com"


@pytest.mark.parametrize(
    ("sent", "used"),
    [("7", 7.0), (3, 3.0), (None, 5.0), ("0", 1.0), ("x", 5.0), ("nan", 5.0), ("1e9", 60.0), ([], 5.0)],
)
def test_the_interval_is_a_string_and_never_a_flood(issuer, simulator, sent, used):
    """Absent, zero, huge or nonsense: between one second and a minute."""
    simulator.issuer.device_interval = sent
    assert issuer.start_device().interval == used


@pytest.mark.parametrize(
    ("word", "said"),
    [("access_denied", "denied"), ("expired_token", "expired"), ("deviceauth_expired", "expired")],
)
def test_a_pairing_that_cannot_succeed_ends(issuer, simulator, word, said):
    """Denied and run out are for good."""
    device = issuer.start_device()
    simulator.issuer.device_word = word
    with pytest.raises(TokenRefused, match=said):
        issuer.poll_device(device)


@pytest.mark.parametrize(
    "word", ["deviceauth_authorization_pending", "authorization_pending", "slow_down", "new_word"]
)
def test_a_pairing_waits_on_every_word_for_not_yet(issuer, simulator, word):
    """403 means not yet, whichever word comes with it."""
    device = issuer.start_device()
    simulator.issuer.device_word = word
    assert issuer.poll_device(device) == word


@pytest.mark.parametrize("name", ["user_code", "usercode"])
def test_the_code_of_a_pairing_is_read_under_both_of_its_names(issuer, simulator, name):
    """The issuer has called the code that the person types by two names."""
    simulator.issuer.device_code_name = name
    assert re.fullmatch(r"\w{4}-\w{5}", issuer.start_device().user_code)


def test_where_device_codes_are_off_the_setting_is_named(issuer, simulator):
    """The hint says where to switch them on; a firewall's page is not mistaken for that."""
    simulator.issuer.device_enabled = False
    with pytest.raises(TokenRefused) as caught:
        issuer.start_device()
    assert "security settings" in caught.value.hint
    simulator.issuer_faults.add("/api/accounts/deviceauth/usercode", CLOUDFLARE)
    with pytest.raises(ProviderError, match="Cloudflare"):
        issuer.start_device()


def test_a_pairing_that_the_issuer_cannot_answer_for_is_not_over(issuer, simulator):
    """A fault of the issuer is told with its status, and is no answer."""
    device = issuer.start_device()
    simulator.issuer_faults.add("/api/accounts/deviceauth/token", Fault(503, b'{"error": "busy"}'))
    with pytest.raises(ProviderError, match="HTTP 503"):
        issuer.poll_device(device)


def test_a_refused_sign_in_says_why():
    """A workspace without Codex has its own next step."""
    assert "workspace" in sign_in_denied("access_denied", "missing_codex_entitlement: no").message
    assert "Changed my mind" in sign_in_denied("access_denied", "Changed my mind").message
    assert "server_error" in sign_in_denied("server_error", "").message


def test_an_issuer_that_the_policy_does_not_know_is_sent_nothing(simulator, tmp_path):
    """Exchange, renewal, pairing and revocation go through the policy: 3, and no request."""
    from missy.audit import Audit

    door = Door(Policy(Rules()), Audit(tmp_path / "audit.jsonl"))
    issuer = Issuer(simulator.issuer_url, door, "codex")
    for call in (
        lambda: issuer.exchange(Grant(Secret("ac_x-secret"), Secret("verifier"), REDIRECT)),
        lambda: issuer.renew(Secret("rt_x-secret")),
        lambda: issuer.revoke(Secret("rt_x-secret")),
        issuer.start_device,
    ):
        with pytest.raises(PolicyError):
            call()
    assert simulator.journal == []
    assert "secret" not in (tmp_path / "audit.jsonl").read_text()


def test_every_call_is_in_the_audit_without_its_secrets(issuer, simulator, tmp_path):
    """What left the machine can be read afterwards: where to, for which entry, never the code or a token."""
    grant = signed_in(issuer)
    tokens = issuer.exchange(grant)
    issuer.renew(tokens.refresh)
    text = (tmp_path / "audit.jsonl").read_text()
    entries = [json.loads(line) for line in text.splitlines()]
    assert len(entries) >= 2
    assert '"codex"' in text
    for secret in (grant.code, grant.verifier, tokens.access, tokens.refresh, tokens.id):
        assert secret.reveal() not in text
