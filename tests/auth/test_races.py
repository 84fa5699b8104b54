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

REPOSITORY = Path(__file__).parents[2]
ROUNDS = 20


def racers(anyone, count: int, **options):
    """Start processes that wait at the gate."""
    command = [sys.executable, "-m", "tests.auth.racer", str(count), json.dumps(anyone.where)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=REPOSITORY, **pipes, **options)


@pytest.mark.parametrize("count", [2, 8, 32, 64])
def test_processes_that_renew_together_send_one_request(anyone, count):
    """Twenty rounds with a token that has ended: exactly one token request a round, no failure, one token for all."""
    with racers(anyone, count) as running:
        for number in range(1, ROUNDS + 1):
            anyone.signs_in(lifetime=-1)
            running.stdin.write("go\n")
            running.stdin.flush()
            results = json.loads(running.stdout.readline())
            assert set(results) == {anyone.stored.access_token.reveal()[-24:]}
            assert len(results) == count
            assert anyone.simulator.renewals == number
        running.stdin.close()
    assert running.returncode == 0


def test_processes_with_a_dead_login_do_not_take_it_from_a_new_one(anyone):
    """All are told to log in again; the file stays, and a login stored meanwhile is used by the next round."""
    with racers(anyone, 16) as running:
        login = anyone.signs_in(lifetime=-1)
        anyone.expire(login)
        running.stdin.write("go\n")
        running.stdin.flush()
        assert set(json.loads(running.stdout.readline())) <= anyone.expired_words
        fresh = anyone.signs_in()
        running.stdin.write("go\n")
        running.stdin.flush()
        assert set(json.loads(running.stdout.readline())) == {fresh.access_token.reveal()[-24:]}
        running.stdin.close()


def test_a_killed_holder_of_the_lock_holds_up_nobody(anyone):
    """The process that renews is killed between request and answer: the next one renews, at once."""
    anyone.signs_in(lifetime=-1)
    hold, asked = threading.Event(), threading.Event()
    anyone.faults.add(anyone.token_path, Fault(500, hold=hold, seen=asked))
    with racers(anyone, 1, start_new_session=True) as racer:
        racer.stdin.write("go\n")
        racer.stdin.flush()
        assert asked.wait(60)
        os.killpg(racer.pid, signal.SIGKILL)  # the racer and its fork, which holds the lock
        racer.wait(60)
    try:
        assert anyone.logins().access().token == anyone.stored.access_token
    finally:
        hold.set()
    assert anyone.simulator.renewals == 2


CODE = """
from tests.auth.racer import attempt
try:
    print(attempt({where!r}), flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_during_a_renewal_does_not_lose_the_login(anyone):
    """The answer that is on its way is still written before the process goes."""
    anyone.signs_in(lifetime=-1)
    hold, asked = threading.Event(), threading.Event()
    anyone.faults.add(anyone.token_path, Fault(hold=hold, seen=asked, only_delay=True))
    code = CODE.format(where=anyone.where)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=REPOSITORY) as process:
        assert asked.wait(60)
        process.send_signal(signal.SIGINT)
        hold.set()
        assert b"interrupted" in read_until(process.stdout, b"interrupted")
        process.wait(60)
    assert anyone.owns(anyone.stored.refresh_token)
    assert anyone.simulator.renewals == 1
    anyone.logins().access()
    assert anyone.simulator.renewals == 1
