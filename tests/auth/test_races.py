"""Many processes, one expired token: one request, and everybody has the new one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.command import read_until
from tests.simulator import Fault

pytestmark = pytest.mark.race

RACER = Path(__file__).with_name("racer.py")
ROUNDS = 20


@pytest.mark.parametrize("count", [2, 8, 32, 64])
def test_processes_that_renew_together_send_one_request(person, simulator, count):
    """Twenty rounds with a token that has ended: exactly one token request a round, no failure, one token for all."""
    command = [sys.executable, str(RACER), str(count), str(person.path), simulator.issuer_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as racers:
        for number in range(1, ROUNDS + 1):
            person.signs_in(lifetime=-1)
            racers.stdin.write("go\n")
            racers.stdin.flush()
            results = json.loads(racers.stdout.readline())
            assert set(results) == {person.stored.access_token.reveal()[-24:]}
            assert len(results) == count
            assert simulator.renewals == number
        racers.stdin.close()
    assert racers.returncode == 0


def test_processes_with_a_dead_login_do_not_take_it_from_a_new_one(person, simulator):
    """All are told to log in again; the file stays, and a login stored meanwhile is used by the next round."""
    command = [sys.executable, str(RACER), "16", str(person.path), simulator.issuer_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as racers:
        login = person.signs_in(lifetime=-1)
        simulator.issuer.expire(login.refresh_token.reveal())
        racers.stdin.write("go\n")
        racers.stdin.flush()
        assert set(json.loads(racers.stdout.readline())) == {"TokenRefused: the login has expired"}
        fresh = person.signs_in()
        racers.stdin.write("go\n")
        racers.stdin.flush()
        assert set(json.loads(racers.stdout.readline())) == {fresh.access_token.reveal()[-24:]}
        racers.stdin.close()


def test_a_killed_holder_of_the_lock_holds_up_nobody(person, simulator):
    """The process that renews is killed between request and answer: the next one renews, at once."""
    person.signs_in(lifetime=-1)
    hold, asked = threading.Event(), threading.Event()
    simulator.issuer_faults.add("/oauth/token", Fault(500, hold=hold, seen=asked))
    command = [sys.executable, str(RACER), "1", str(person.path), simulator.issuer_url]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as racer:
        racer.stdin.write("go\n")
        racer.stdin.flush()
        assert asked.wait(60)
        os.killpg(racer.pid, signal.SIGKILL)  # the racer and its fork, which holds the lock
        racer.wait(60)
    try:
        assert person.logins().access().token == person.stored.access_token
    finally:
        hold.set()
    assert simulator.renewals == 2


CODE = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from racer import attempt
print("ready", flush=True)
try:
    print(attempt(Path({path!r}), {issuer!r}), flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_during_a_renewal_does_not_lose_the_login(person, simulator):
    """The answer that is on its way is still written before the process goes."""
    person.signs_in(lifetime=-1)
    hold, asked = threading.Event(), threading.Event()
    simulator.issuer_faults.add("/oauth/token", Fault(hold=hold, seen=asked, only_delay=True))
    code = CODE.format(tests=str(RACER.parent), path=str(person.path), issuer=simulator.issuer_url)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert asked.wait(60)
        process.send_signal(signal.SIGINT)
        hold.set()
        assert b"interrupted" in read_until(process.stdout, b"interrupted")
        process.wait(60)
    family = simulator.issuer.refresh_tokens[person.stored.refresh_token.reveal()]
    assert family.refresh == person.stored.refresh_token.reveal()
    assert simulator.renewals == 1
    person.logins().access()
    assert simulator.renewals == 1
