"""Renewing a sign-in: its window, its two steps, and what each error does to the stored tokens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from missy.auth.siwc import store
from missy.auth.siwc.token_reply import read_moment
from missy.errors import CredentialError, MissyError, ProviderError
from missy.providers.plan_faults import PlanRefused
from tests.simulator import Fault
from tests.simulator.siwc_issuer import DISCOVERY, EARLIEST, JWKS, PLAN_SCOPE, SIWC_ISSUER_ROWS, TOKEN

REPOSITORY = Path(__file__).parents[2]
MOMENT = 1_795_000_000


@pytest.mark.parametrize(
    "value",
    [MOMENT, float(MOMENT), MOMENT * 1000, str(MOMENT), f" {MOMENT}000 ", datetime.fromtimestamp(MOMENT, UTC).isoformat(),
     datetime.fromtimestamp(MOMENT, UTC).isoformat().replace("+00:00", "Z"),
     datetime.fromtimestamp(MOMENT, UTC).replace(tzinfo=None).isoformat()],
    ids=repr,
)  # fmt: skip
def test_a_moment_is_read_in_every_known_form(value):
    """Seconds, milliseconds, digits, ISO 8601 with and without a zone."""
    assert read_moment(value) == MOMENT


@pytest.mark.parametrize(
    "value", [None, True, 0, -5, "soon", "", [], {}, float("nan"), float("inf"), 10**40, "9" * 400], ids=repr
)
def test_what_is_no_moment_is_none(value):
    """It is not guessed at."""
    assert read_moment(value) is None


@pytest.mark.parametrize("form", EARLIEST)
def test_a_renewal_waits_for_the_time_that_the_issuer_names(member, siwc, form):
    """Six minutes before the end is too early where the issuer says two; in every form but an unknown one."""
    siwc.issuer.early, siwc.issuer.earliest_form = 120, form
    member.signs_in()
    for left, renewals in ((400, 0), (200, 0 if form not in ("odd", "none") else 1)):
        if form in ("odd", "none") and renewals:
            continue  # an unknown form means five minutes, which this issuer would refuse
        logins = member.logins(lambda left=left: time.time() + 3600 - left)
        logins.access()
        assert siwc.renewals == renewals
    siwc.pass_time(3600 - 100)
    member.logins(lambda: siwc.now).access()
    assert siwc.renewals == 1
    assert member.stored.refresh_uncertain is None


def test_a_time_after_the_end_does_not_keep_a_dead_token(member, siwc):
    """At the end of the token it is renewed, whatever the issuer named."""
    member.signs_in(lifetime=100, earliest_refresh_at=time.time() + 9999)
    siwc.pass_time(101)
    member.logins(lambda: siwc.now).access()
    assert siwc.renewals == 1


@pytest.mark.parametrize(
    ("code", "renewals"), [("", 0), ("invalid_token", 1), ("subscription_sharing_invalid_user", 0)]
)
def test_a_stray_401_does_not_end_the_sign_in(member, siwc, code, renewals):
    """Before its time a token is renewed only if it is said to have expired; else the error is the answer's."""
    login = member.signs_in()
    if renewals:
        siwc.issuer.families[login.refresh_token.reveal()].earliest = 0
    error = PlanRefused("no", hint="", status=401, request_id=None, code=code)
    logins = member.logins()
    if renewals:
        assert logins.access(login.access_token.reveal(), error).token != login.access_token
    else:
        with pytest.raises(PlanRefused):
            logins.access(login.access_token.reveal(), error)
    assert siwc.renewals == renewals
    assert member.stored.access_token


@pytest.mark.parametrize("row", SIWC_ISSUER_ROWS)
@pytest.mark.parametrize("left", [-10, 200])
def test_every_refusal_keeps_or_ends_as_its_code_says(member, siwc, row, left):
    """For good: the tokens are gone, the registration stays, nothing is sent again. For the moment: all is kept."""
    fault, for_good = SIWC_ISSUER_ROWS[row]
    login = member.signs_in(lifetime=left)
    siwc.issuer.faults.add(TOKEN, fault, times=None)
    logins = member.logins()
    if left > 0 and not for_good:
        assert logins.access().token == login.access_token
        assert len(member.told) == 1
    elif left < 0:
        for each in (logins, logins, member.logins()) if for_good else (logins, logins):
            with pytest.raises(MissyError) as caught:
                each.access()
            assert caught.value.exit_code == (4 if for_good else 7 if row == "429" else 5)
        assert siwc.renewals == 1
    else:
        assert logins.access().token == login.access_token  # it is still good for a moment
    stored = member.stored
    if for_good:
        assert (stored.access_token.reveal(), stored.refresh_token.reveal()) == ("", "")
        assert (stored.client_id, stored.subject, stored.host_id) == (
            login.client_id,
            login.subject,
            login.host_id,
        )
        assert stored.ended
    else:
        assert (stored.access_token, stored.refresh_token) == (login.access_token, login.refresh_token)


@pytest.mark.parametrize("nested", [True, False])
def test_an_unknown_registration_is_no_reason_to_sign_in_again(member, siwc, nested):
    """invalid_client: 4, the tokens stay."""
    login = member.signs_in(lifetime=-1)
    siwc.issuer.nested_errors = nested
    siwc.issuer.clients.clear()
    with pytest.raises(CredentialError, match="does not know this registration"):
        member.logins().access()
    assert member.stored.refresh_token == login.refresh_token


@pytest.mark.parametrize("left", [-1, 200])
def test_an_outage_of_the_keys_loses_nothing(member, siwc, left):
    """The new tokens are on disk before they are verified; the used one is not sent again, and the outage passes."""
    login = member.signs_in(lifetime=left)
    siwc.issuer.faults.add(JWKS, Fault(500), times=None)
    if left > 0:
        assert member.logins().access().token == login.access_token
    else:
        with pytest.raises(ProviderError):
            member.logins().access()
    pending = member.stored
    assert pending.refresh_token != login.refresh_token
    assert pending.pending is not None
    assert pending.access_token == login.access_token  # what is not verified is not used
    siwc.issuer.faults.clear()
    access = member.logins().access()
    assert access.token == pending.pending.access_token
    assert (siwc.renewals, member.stored.pending) == (1, None)


def test_an_outage_of_the_discovery_document_is_none(member, siwc):
    """The known addresses are used meanwhile."""
    member.signs_in(lifetime=-1)
    siwc.issuer.faults.add(DISCOVERY, Fault(500), times=None)
    assert member.logins().access().token == member.stored.access_token


def test_the_keys_may_change_between_renewals(member, siwc):
    """A token of a key that nobody knew before is verified with the new list."""
    member.signs_in(lifetime=-1)
    logins = member.logins(lambda: siwc.now)
    logins.access()
    siwc.issuer.key, siwc.issuer.published = 2, (2,)
    siwc.pass_time(3590)
    assert logins.access().token == member.stored.access_token
    assert siwc.renewals == 2


def test_another_person_in_a_renewal_changes_nothing(member, siwc):
    """The account swap: the tokens are neither used nor kept, and the account is still the same person's."""
    login = member.signs_in(lifetime=-1)
    siwc.issuer.claims = {"sub": "user-eve", "email": "eve@example.com"}
    for _ in range(2):
        with pytest.raises(CredentialError, match="another account"):
            member.logins().access()
    stored = member.stored
    assert (stored.subject, stored.email, stored.access_token.reveal()) == (login.subject, login.email, "")
    assert siwc.renewals == 1
    assert "eve" not in member.path.read_text()


def test_what_a_reply_leaves_out_stays(member, siwc):
    """No ID token, no scope: the old ones hold, and there is nothing to verify."""
    login = member.signs_in(lifetime=-1)
    siwc.issuer.omit = frozenset({"id_token", "scope", "earliest_refresh_at"})
    member.logins().access()
    stored = member.stored
    assert (stored.id_token, stored.scopes) == (login.id_token, login.scopes)
    assert siwc.count(JWKS) == 0


def test_a_plan_that_is_withdrawn_is_told(member, siwc):
    """A renewal without the plan's scope keeps the sign-in, and an answer says what to do."""
    member.signs_in(lifetime=-1)
    siwc.issuer.families[member.stored.refresh_token.reveal()].scopes = ("openid", "offline_access")
    with pytest.raises(CredentialError, match="may not use") as caught:
        member.logins().access()
        member.logins().access()
    assert "--enable-plan" in caught.value.hint
    assert member.stored.refresh_token
    assert PLAN_SCOPE not in member.stored.scopes


KILLED = """
from tests.auth.racer import attempt
attempt({where!r})
"""


def test_a_process_killed_between_rotation_and_save_is_told_once(member, siwc):
    """The issuer has rotated, the answer never arrived: the next process tries once, then all say to sign in again."""
    member.signs_in(lifetime=-1)
    rotated, hold = threading.Event(), threading.Event()
    real = siwc.issuer._renew

    def lose(fields):
        response = real(fields)
        rotated.set()
        hold.wait(60)
        return response

    siwc.issuer._renew = lose
    code = KILLED.format(where=member.where)
    with subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY) as process:
        assert rotated.wait(60)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
    hold.set()
    siwc.issuer._renew = real
    assert member.stored.refresh_uncertain is not None
    with pytest.raises(CredentialError, match="was interrupted, and its tokens were lost"):
        member.logins().access()
    for _ in range(3):
        with pytest.raises(CredentialError, match=r"is signed out: a renewal at .* was interrupted"):
            member.logins().access()
    assert siwc.renewals == 2


def test_a_process_killed_before_rotation_costs_nothing(member, siwc):
    """The issuer never saw it, or failed: the next one renews."""
    member.signs_in(lifetime=-1, refresh_uncertain=time.time() - 60)
    member.logins().access()
    assert (siwc.renewals, member.stored.refresh_uncertain) == (1, None)


def test_a_lost_answer_keeps_the_old_record(member, siwc):
    """A connection that breaks after sending: uncertain, and told so by the next refusal."""
    member.signs_in(lifetime=-1)
    siwc.issuer.faults.add(TOKEN, Fault(after=True, cut=10))
    with pytest.raises(ProviderError):
        member.logins().access()
    assert member.stored.refresh_token
    with pytest.raises(CredentialError, match="interrupted"):
        member.logins().access()


def test_the_account_in_use_is_pinned_and_chosen_by_hand(member, siwc):
    """A process stays with its account; a new one uses the chosen account; without a choice nothing is guessed."""
    first = member.signs_in()
    logins = member.logins()
    logins.access()
    other = replace(first, client_id="oaiapp_other", label="bob@example.com", subject="user-bob")
    accounts = store.load(member.path).with_account(other)
    store.save(member.path, accounts._replace(active="oaiapp_other"))
    assert logins.access().account_id == first.client_id
    assert member.logins().access().account_id == "oaiapp_other"
    value = json.loads(member.path.read_bytes())
    member.path.write_text(json.dumps({**value, "active": None}))
    with pytest.raises(CredentialError, match="no account is chosen"):
        member.logins().access()


BROKEN = {
    "empty": b"", "list": b"[]", "another kind": b'{"kind": "codex", "accounts": {}}', "no accounts": b'{"kind": "siwc-accounts"}',
    "bad name": b'{"kind": "siwc-accounts", "accounts": {"a b": {}}}', "deep": b"[" * 100_000,
    "no account": b'{"kind": "siwc-accounts", "accounts": {"a": 5}}',
    "other issuer": b'{"kind": "siwc-accounts", "accounts": {"a": {"label": "l", "subject": "s", "ext_agent_host_id": "u", "issuer": "https://evil.example"}}}',
    "line end": b'{"kind": "siwc-accounts", "accounts": {"a": {"label": "l", "subject": "s", "ext_agent_host_id": "u", "issuer": "https://auth.openai.com", "access_token": "a\\r\\nb"}}}',
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_and_kept(member, name):
    """4 with the path and the way out; the bytes stay as they are."""
    member.path.write_bytes(BROKEN[name])
    member.path.chmod(0o600)
    with pytest.raises(store.BrokenAccounts) as caught:
        member.logins().access()
    assert str(member.path) in caught.value.message
    assert caught.value.exit_code == 4
    assert member.path.read_bytes() == BROKEN[name]
