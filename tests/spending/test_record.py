"""When a call is recorded: many in one transaction, soon, and also where a program closes nothing."""

from __future__ import annotations

import subprocess
import sys
import time

from missy import Missy
from tests.servers import chat_stream

ASKS = """
from missy import Missy
m = Missy.open()
for _ in range(3):
    assert m.ask("hi").text() == "hello"
{end}
"""


def test_a_program_that_closes_nothing_is_counted(missy, serve, spend):
    """The end of the interpreter records what was only counted so far."""
    missy.entry(serve(chat_stream("hello")).url)
    subprocess.run([sys.executable, "-c", ASKS.format(end="")], check=True, timeout=60)
    assert spend("cost_micro") == [(0,), (0,), (0,)]


def test_a_program_that_goes_on_is_counted_soon(missy, serve, spend):
    """Without a close and without another call: a timer records what is pending."""
    missy.entry(serve(chat_stream("hello")).url)
    wait = "import threading\nfor one in threading.enumerate():\n    if isinstance(one, threading.Timer):\n        one.join(60)\n"
    end = wait + "import os\nos._exit(0)"
    subprocess.run([sys.executable, "-c", ASKS.format(end=end)], check=True, timeout=60)
    assert len(spend("id")) == 3


def test_a_call_has_its_own_time_on_record(missy, serve, spend):
    """The time of the call, not of the transaction that many calls share."""
    missy.entry(serve(chat_stream("hello")).url)
    with Missy.open() as m:
        assert m.ask("hi").text() == "hello"
        between = time.time() * 1000
        assert m.ask("hi").text() == "hello"
    first, second = (at for (at,) in spend("at_ms"))
    assert first <= between <= second + 1  # milliseconds are cut off
