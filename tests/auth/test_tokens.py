"""The login that is never lost: when it is renewed, by whom, and what happens when that goes wrong."""

from __future__ import annotations

import os
import time

import pytest

from missy import files
from missy.auth.login import BrokenLogin, describe_state
from missy.auth.refusals import TokenRefused
from missy.errors import CredentialError, MissyError, ProviderError
from tests.simulator import ISSUER_ROWS, Account, Fault

OTHER = Account("5d2c2a6e-0000-4000-8000-000000000002", "bob@example.com", "team")
DAY = 86_400


@pytest.mark.parametrize(("left", "renewals"), [(-10, 1), (200, 1), (290, 1), (400, 0)])
def test_a_token_is_renewed_five_minutes_before_its_end(person, simulator, left, renewals):
    """Not at six minutes, and not because the last renewal was long ago."""
    old = person.signs_in(lifetime=left, last_refresh=time.time() - 9 * DAY)
    access = person.logins().access()
    assert simulator.renewals == renewals
    assert (access.token != old.access_token) is bool(renewals)
    assert person.stored.access_token == access.token


@pytest.mark.parametrize("exp", ["drop", "soon", -5, 10**40, float("nan"), None], ids=repr)
@pytest.mark.parametrize(("age", "renewals"), [(7 * DAY, 0), (9 * DAY, 1)])
def test_without_a_readable_end_eight_days_count(person, simulator, exp, age, renewals):
    """An `exp` that is missing, negative, huge or no number is not trusted either way."""
    simulator.issuer.exp = "soon" if exp is None else exp
    person.signs_in(last_refresh=time.time() - age)
    person.logins().access()
    assert simulator.renewals == renewals


@pytest.mark.parametrize("skew", [-DAY, DAY, 400 * DAY])
def test_a_wrong_clock_costs_at_most_one_renewal_a_call(person, simulator, skew):
    """A day off in either direction: one request at most, and the new token is used whatever it says."""
    person.signs_in()
    logins = person.logins(clock=lambda: time.time() + skew)
    for call in (1, 2, 3):
        access = logins.access()
        assert simulator.renewals <= call
        assert simulator.issuer.access_tokens[access.token.reveal()].access == access.token.reveal()


def test_what_an_answer_leaves_out_stays(person, simulator):
    """A renewal without a new refresh token keeps the old one, and it works again."""
    login = person.signs_in(lifetime=-1)
    simulator.issuer.omit = frozenset({"refresh_token", "id_token"})
    simulator.issuer.lifetime = -1
    person.logins().access()
    assert person.stored.refresh_token == login.refresh_token
    assert person.stored.email == "ada@example.com"
    person.logins().access()
    assert simulator.renewals == 2


def test_a_renewal_without_an_access_token_keeps_what_it_brought(person, simulator):
    """The new refresh token is on disk even then, and the error may pass."""
    login = person.signs_in(lifetime=-1)
    simulator.issuer.omit = frozenset({"access_token"})
    with pytest.raises(ProviderError, match="no new access token"):
        person.logins().access()
    assert person.stored.refresh_token != login.refresh_token
    simulator.issuer.omit = frozenset()
    person.logins().access()


@pytest.mark.parametrize("row", ISSUER_ROWS)
@pytest.mark.parametrize("left", [-10, 200])
def test_every_failed_renewal_leaves_the_login_as_it_was(person, simulator, row, left):
    """Ended: 4 for good, 5 or 7 for the moment. Near its end: the token is used, and the reason is told."""
    fault, for_good = ISSUER_ROWS[row]
    login = person.signs_in(lifetime=left)
    simulator.issuer_faults.add("/oauth/token", fault, times=None)
    logins = person.logins()
    if left > 0:
        assert logins.access().token == login.access_token
        assert len(person.told) == 1
    else:
        for _ in range(3):
            with pytest.raises(MissyError) as caught:
                logins.access()
            assert caught.value.exit_code == (4 if for_good else 7 if row == "429" else 5)
        assert (
            simulator.renewals == 1
        )  # what was refused is not sent again, and what may pass is not hammered
    assert (person.stored.access_token, person.stored.refresh_token) == (
        login.access_token,
        login.refresh_token,
    )


def test_an_answer_for_another_account_is_refused(person, simulator):
    """It is neither used nor stored."""
    login = person.signs_in(lifetime=-1)
    minted = simulator.issuer.sign_in(OTHER)
    simulator.issuer_faults.add("/oauth/token", Fault(200, minted))
    with pytest.raises(TokenRefused, match="another account"):
        person.logins().access()
    assert person.stored.refresh_token == login.refresh_token
    assert person.stored.account_id == login.account_id


def test_a_login_that_changed_hands_meanwhile_is_not_used(person):
    """A conversation that began as one account does not go on as another."""
    person.signs_in()
    logins = person.logins()
    first = logins.access()
    person.signs_in(account=OTHER)
    for call in (logins.access, lambda: logins.access(force_refresh_of=first.token.reveal())):
        with pytest.raises(CredentialError, match=r"another account \(bob@example.com\)"):
            call()
    assert person.logins().access().account_id == OTHER.id


def test_a_login_of_another_issuer_is_never_sent(person, simulator):
    """Who changes `issuer` in the config does not hand the old refresh token to it."""
    person.signs_in(lifetime=-1, issuer="https://auth.openai.com")
    with pytest.raises(CredentialError, match=r"from https://auth\.openai\.com"):
        person.logins().access()
    assert simulator.journal == []


def test_no_login_says_how_to_get_one(person):
    """4, with the command."""
    with pytest.raises(CredentialError, match="not logged in") as caught:
        person.logins().access()
    assert "missy auth login codex" in caught.value.hint


BROKEN = {
    "empty": b"", "cut": b'{"issuer": "https://a', "list": b"[]", "binary": b"\xff\xfe\x00", "deep": b"[" * 100_000,
    "no-token": b'{"issuer": "i", "account_id": "a", "refresh_token": "r"}',
    "number": b'{"issuer": "i", "account_id": "a", "refresh_token": "r", "access_token": 5}',
    "line-end": b'{"issuer": "i", "account_id": "a\\r\\nx: y", "refresh_token": "r", "access_token": "t"}',
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_and_kept(person, simulator, name):
    """4 with the path and the way out; the bytes stay as they are."""
    files.write_private(person.path, BROKEN[name])
    with pytest.raises(BrokenLogin) as caught:
        person.logins().access()
    assert str(person.path) in caught.value.message
    assert "log in again" in caught.value.hint
    assert caught.value.exit_code == 4
    assert person.path.read_bytes() == BROKEN[name]
    assert describe_state(person.path, simulator.issuer_url, time.time())[0] == "broken"


def test_the_file_is_private_and_holds_no_id_token(person, simulator):
    """0600, and only the secrets that are needed."""
    old = os.umask(0)
    try:
        person.signs_in(lifetime=-1)
        person.logins().access()
    finally:
        os.umask(old)
    assert person.path.stat().st_mode & 0o777 == 0o600
    assert "id_token" not in person.path.read_text()
    assert "***" in repr(person.stored)


@pytest.mark.parametrize(("left", "state"), [(3600, "valid"), (200, "near_expiry"), (-5, "expired")])
def test_the_state_is_told_without_a_request(person, simulator, left, state):
    """By the file alone."""
    person.signs_in(lifetime=left)
    assert describe_state(person.path, simulator.issuer_url, time.time())[0] == state
    assert simulator.journal == []
