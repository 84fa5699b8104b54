"""A renewed login that the disk would not take: it is the only copy, and a command that ends must not lose it."""

from __future__ import annotations

import threading

from tests.providers.chatgpt import MODEL, RESPONSES, Subscriber
from tests.simulator import Fault, Simulator


def test_a_login_that_could_not_be_saved_is_saved_at_the_end(missy, person: Subscriber, simulator: Simulator):
    """The folder is gone while the issuer answers and is back before the command ends: the file has the new login."""
    old = person.signs_in(lifetime=-1)
    asked, renewed = threading.Event(), threading.Event()
    begun, go_on = threading.Event(), threading.Event()
    simulator.issuer_faults.add("/oauth/token", Fault(hold=renewed, seen=asked, only_delay=True))
    simulator.backend_faults.add(RESPONSES, Fault(hold=go_on, seen=begun, only_delay=True))
    with missy.start("ask", "hi", "--model", MODEL) as running:
        assert asked.wait(60)
        aside = person.path.parent.with_name("aside")
        person.path.parent.rename(aside)
        person.path.parent.touch()  # a file in its place, so that no new folder can be made
        renewed.set()
        assert begun.wait(60)  # the new token is in use
        person.path.parent.unlink()
        aside.rename(person.path.parent)
        go_on.set()
        _, said = running.communicate(timeout=60)
    assert running.returncode == 0, said
    assert b"not on disk yet" in said
    assert person.stored.refresh_token != old.refresh_token
    assert simulator.renewals == 1
    again = missy("ask", "hi", "--model", MODEL)
    assert (again.code, simulator.renewals) == (0, 1)
