"""What holds for every login, of whatever kind: it is renewed once, and never lost. Each test runs with each kind."""

from __future__ import annotations

import json
import resource
import signal
import threading
import time

import pytest

from missy import files
from missy.errors import ConnectionFailed, CredentialError, MissyError, ProviderError
from tests.simulator import Fault


def test_a_valid_token_is_used_and_nothing_is_sent(anyone):
    """No request, no write."""
    login = anyone.signs_in()
    before = anyone.path.stat()
    access = anyone.logins().access()
    assert access.token == login.access_token
    assert anyone.simulator.journal == []
    assert anyone.path.stat().st_ino == before.st_ino


def test_a_refused_token_is_first_looked_up_then_renewed_once(anyone):
    """After a 401 the file's newer token is used without a request; the same token means one renewal."""
    first = anyone.signs_in(lifetime=250)
    other = anyone.logins()
    renewed = other.access(force_refresh_of=first.access_token.reveal())
    assert anyone.simulator.renewals == 1
    late = anyone.logins()
    assert late.access(force_refresh_of=first.access_token.reveal()).token == renewed.token
    assert anyone.simulator.renewals == 1


def test_an_issuer_that_is_down_is_5_and_a_token_near_its_end_still_works(anyone):
    """No connection is no reason to log in again."""
    anyone.signs_in(lifetime=100)
    anyone.shut_issuer()
    anyone.logins().access()
    anyone.signs_in(lifetime=-1)
    with pytest.raises(ConnectionFailed) as caught:
        anyone.logins().access()
    assert caught.value.exit_code == 5


def test_a_failure_that_passed_is_forgotten(anyone):
    """After the pause the renewal is tried again and works."""
    anyone.signs_in(lifetime=-1)
    anyone.faults.add(anyone.token_path, Fault(500, {"error": {"message": "The server had an error."}}))
    logins = anyone.logins()
    with pytest.raises(ProviderError):
        logins.access()
    assert anyone.logins().access().token == anyone.stored.access_token


def test_a_reused_token_adopts_the_winner(anyone):
    """Where a lock does not hold (another machine's disk), the pair that the winner wrote is used."""
    stale = anyone.signs_in(lifetime=-1)
    hold, asked = threading.Event(), threading.Event()
    anyone.faults.add(anyone.token_path, Fault(hold=hold, seen=asked, only_delay=True))
    results = []
    thread = threading.Thread(target=lambda: results.append(anyone.logins().access()))
    thread.start()
    assert asked.wait(60)
    winner = anyone.renewed_elsewhere(stale)
    anyone.store(winner)  # past the lock, as only a broken file system would let it
    hold.set()
    thread.join(30)
    assert results[0].token == winner.access_token
    assert anyone.stored.refresh_token == winner.refresh_token


def test_many_threads_make_one_request(anyone):
    """Whether they share the object or each has its own."""
    anyone.signs_in(lifetime=-1)
    shared = anyone.logins()
    tokens = []
    gate = threading.Barrier(24)

    def use(logins):
        gate.wait()
        tokens.append(logins.access().token.reveal())

    threads = [threading.Thread(target=use, args=(shared if n % 2 else anyone.logins(),)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert anyone.simulator.renewals == 1
    assert len(tokens) == 24
    assert len(set(tokens)) == 1


def test_what_a_newer_missy_wrote_beside_is_kept(anyone):
    """Unknown keys survive a renewal, and so does the newer version number."""
    anyone.signs_in(lifetime=-1)
    value = json.loads(anyone.path.read_bytes())
    files.write_private(anyone.path, json.dumps({**value, "version": 7, "future": {"a": [1]}}).encode())
    anyone.logins().access()
    kept = json.loads(anyone.path.read_bytes())
    assert (kept["version"], kept["future"]) == (7, {"a": [1]})


def test_a_disk_that_fails_before_the_renewal_spends_nothing(anyone):
    """The disk is tried first: where the new pair could not be kept, the old one is not spent."""
    login = anyone.signs_in(lifetime=-1)
    logins = anyone.logins()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(MissyError, match="was not renewed"):
            logins.access()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    assert anyone.simulator.renewals == 0
    assert anyone.stored.refresh_token == login.refresh_token
    assert logins.access().token == anyone.stored.access_token


def test_a_pair_that_the_disk_refused_is_kept_used_and_written_later(anyone):
    """The folder vanishes while the issuer answers: the new token is used, it is said, and it is on disk in the end."""
    anyone.signs_in(lifetime=-1)
    hold, asked = threading.Event(), threading.Event()
    anyone.faults.add(anyone.token_path, Fault(hold=hold, seen=asked, only_delay=True))
    logins, results = anyone.logins(), []
    thread = threading.Thread(target=lambda: results.append(logins.access()))
    thread.start()
    assert asked.wait(60)
    aside = anyone.path.parent.with_name("aside")
    anyone.path.parent.rename(aside)
    hold.set()
    thread.join(30)
    assert "not on disk yet" in anyone.told[0]
    aside.rename(anyone.path.parent)
    assert logins.access().token == results[0].token
    end = time.monotonic() + 30
    while anyone.stored.access_token != results[0].token and time.monotonic() < end:
        time.sleep(0.05)
    assert anyone.stored.access_token == results[0].token
    assert anyone.simulator.renewals == 1


def test_a_logout_meanwhile_is_not_undone(anyone):
    """A pair that waits to be written does not bring back a login that was deleted."""
    anyone.signs_in(lifetime=-1)
    hold, asked = threading.Event(), threading.Event()
    anyone.faults.add(anyone.token_path, Fault(hold=hold, seen=asked, only_delay=True))
    logins = anyone.logins()
    thread = threading.Thread(target=logins.access)
    thread.start()
    assert asked.wait(60)
    aside = anyone.path.parent.with_name("aside")
    anyone.path.parent.rename(aside)
    hold.set()
    thread.join(30)
    aside.rename(anyone.path.parent)
    anyone.path.unlink()
    time.sleep(1.5)  # the first pause of the retry
    assert anyone.stored is None
    with pytest.raises(CredentialError, match=r"not (logged|signed) in"):
        logins.access()
