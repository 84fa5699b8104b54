"""The login that is never lost: when it is renewed, by whom, and what happens when that goes wrong."""

from __future__ import annotations

import json
import os
import resource
import signal
import threading
import time

import pytest

from missy import files
from missy.auth.login import BrokenLogin, describe_state, load, store
from missy.auth.refusals import TokenRefused
from missy.errors import ConnectionFailed, CredentialError, MissyError, ProviderError
from tests.simulator import ISSUER_ROWS, Account, Fault

OTHER = Account("5d2c2a6e-0000-4000-8000-000000000002", "bob@example.com", "team")
DAY = 86_400


def test_a_valid_token_is_used_and_nothing_is_sent(person, simulator):
    """No request, no write."""
    login = person.signs_in()
    before = person.path.stat()
    access = person.logins().access()
    assert (access.token, access.account_id, access.plan) == (login.access_token, login.account_id, "plus")
    assert simulator.journal == []
    assert person.path.stat().st_ino == before.st_ino


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


def test_a_refused_token_is_first_looked_up_then_renewed_once(person, simulator):
    """After a 401 the file's newer token is used without a request; the same token means one renewal."""
    first = person.signs_in()
    other = person.logins()
    renewed = other.access(force_refresh_of=first.access_token.reveal())
    assert simulator.renewals == 1
    late = person.logins()
    assert late.access(force_refresh_of=first.access_token.reveal()).token == renewed.token
    assert simulator.renewals == 1


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


def test_an_issuer_that_is_down_is_5_and_a_token_near_its_end_still_works(person, simulator, door):
    """No connection is no reason to log in again."""
    person.signs_in(lifetime=100)
    simulator.issuer_origin.close()
    person.logins().access()
    person.signs_in(lifetime=-1)
    with pytest.raises(ConnectionFailed) as caught:
        person.logins().access()
    assert caught.value.exit_code == 5


def test_a_failure_that_passed_is_forgotten(person, simulator):
    """After the pause the renewal is tried again and works."""
    person.signs_in(lifetime=-1)
    simulator.issuer_faults.add("/oauth/token", ISSUER_ROWS["500"][0])
    logins = person.logins()
    with pytest.raises(ProviderError):
        logins.access()
    assert person.logins().access().token == person.stored.access_token


def test_a_reused_token_adopts_the_winner(person, simulator):
    """Where a lock does not hold (another machine's disk), the pair that the winner wrote is used."""
    stale = person.signs_in(lifetime=-1)
    hold, asked = threading.Event(), threading.Event()
    simulator.issuer_faults.add("/oauth/token", Fault(hold=hold, seen=asked, only_delay=True))
    results = []
    thread = threading.Thread(target=lambda: results.append(person.logins().access()))
    thread.start()
    assert asked.wait(60)
    winner = stale.renewed(person_tokens(simulator, stale), time.time())
    store(person.path, winner)  # past the lock, as only a broken file system would let it
    hold.set()
    thread.join(30)
    assert results[0].token == winner.access_token
    assert person.stored.refresh_token == winner.refresh_token


def person_tokens(simulator, login):
    """Renew behind everybody's back, as another client would."""
    from missy.auth.oauth import Tokens
    from missy.secrets.redact import Secret

    family = simulator.issuer.refresh_tokens[login.refresh_token.reveal()]
    simulator.issuer.dead[login.refresh_token.reveal()] = "refresh_token_reused"
    minted = simulator.issuer._mint(family)
    return Tokens(*(Secret(minted[f"{name}_token"]) for name in ("access", "refresh", "id")))


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


def test_many_threads_make_one_request(person, simulator):
    """Whether they share the object or each has its own."""
    person.signs_in(lifetime=-1)
    shared = person.logins()
    tokens = []
    gate = threading.Barrier(24)

    def use(logins):
        gate.wait()
        tokens.append(logins.access().token.reveal())

    threads = [threading.Thread(target=use, args=(shared if n % 2 else person.logins(),)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert simulator.renewals == 1
    assert len(tokens) == 24
    assert len(set(tokens)) == 1


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


def test_what_a_newer_missy_wrote_beside_is_kept(person, simulator):
    """Unknown keys survive a renewal, and so does the newer version number."""
    person.signs_in(lifetime=-1)
    value = json.loads(person.path.read_bytes())
    files.write_private(person.path, json.dumps({**value, "version": 7, "future": {"a": [1]}}).encode())
    person.logins().access()
    kept = json.loads(person.path.read_bytes())
    assert (kept["version"], kept["future"]) == (7, {"a": [1]})


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


def test_a_disk_that_fails_before_the_renewal_spends_nothing(person, simulator):
    """The disk is tried first: where the new pair could not be kept, the old one is not spent."""
    login = person.signs_in(lifetime=-1)
    logins = person.logins()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(MissyError, match="was not renewed"):
            logins.access()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    assert simulator.renewals == 0
    assert person.stored.refresh_token == login.refresh_token
    assert logins.access().token == person.stored.access_token


def test_a_pair_that_the_disk_refused_is_kept_used_and_written_later(person, simulator):
    """The folder vanishes while the issuer answers: the new token is used, it is said, and it is on disk in the end."""
    person.signs_in(lifetime=-1)
    hold, asked = threading.Event(), threading.Event()
    simulator.issuer_faults.add("/oauth/token", Fault(hold=hold, seen=asked, only_delay=True))
    logins, results = person.logins(), []
    thread = threading.Thread(target=lambda: results.append(logins.access()))
    thread.start()
    assert asked.wait(60)
    aside = person.path.parent.with_name("aside")
    person.path.parent.rename(aside)
    hold.set()
    thread.join(30)
    assert "not on disk yet" in person.told[0]
    aside.rename(person.path.parent)
    assert logins.access().token == results[0].token
    end = time.monotonic() + 30
    while person.stored.access_token != results[0].token and time.monotonic() < end:
        time.sleep(0.05)
    assert person.stored.access_token == results[0].token
    assert simulator.renewals == 1


def test_a_logout_meanwhile_is_not_undone(person, simulator):
    """A pair that waits to be written does not bring back a login that was deleted."""
    person.signs_in(lifetime=-1)
    hold, asked = threading.Event(), threading.Event()
    simulator.issuer_faults.add("/oauth/token", Fault(hold=hold, seen=asked, only_delay=True))
    logins = person.logins()
    thread = threading.Thread(target=logins.access)
    thread.start()
    assert asked.wait(60)
    aside = person.path.parent.with_name("aside")
    person.path.parent.rename(aside)
    hold.set()
    thread.join(30)
    aside.rename(person.path.parent)
    person.path.unlink()
    time.sleep(1.5)  # the first pause of the retry
    assert load(person.path) is None
    with pytest.raises(CredentialError, match="not logged in"):
        logins.access()
