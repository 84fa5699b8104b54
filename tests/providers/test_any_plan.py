"""What holds for every plan that is used with a login, of whatever kind: streams, cuts, renewals. Each test runs with each."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

import missy as library
from missy import Done, Text, ToolCall
from tests.providers.chatgpt import ask_async
from tests.simulator import Call, Fault, Say, Script, Think

HELLO = "Hello from the simulator."
THREADS = 8


class Gate:
    """Lets the next piece of text go only when the one before it has been seen."""

    def __init__(self, pieces: tuple[str, ...]) -> None:
        self.pieces = pieces
        self._seen = threading.Semaphore(0)
        self.script = Script((Say(pieces),), before=self._wait)

    def _wait(self, number: int) -> None:
        # 0 to 3: created, in progress, the item, its part; then a piece each
        if 4 < number <= 4 + len(self.pieces):
            assert self._seen.acquire(timeout=60), "the piece before was not given out"

    def saw(self, event: object) -> None:
        if isinstance(event, Text):
            self._seen.release()


def test_each_delta_is_out_before_the_next_arrives(holder):
    """The server sends a piece only when the one before it has been seen."""
    gate = Gate(("one ", "two ", "three ", "four"))
    holder.simulator.backend.scripts.append(gate.script)
    texts = []
    with library.Missy.open() as missy:
        for event in missy.ask("hi", model=holder.model):
            gate.saw(event)
            texts += [event.text] if isinstance(event, Text) else []
    assert tuple(texts) == gate.pieces


def test_an_answer_that_is_left_closes_its_connection(holder):
    """Who stops reading stops the server."""
    left, ended, sent = threading.Event(), threading.Event(), []

    class Watched(Script):
        def stream(self, model: str) -> Iterator[bytes]:
            try:
                yield from super().stream(model)
            finally:
                ended.set()

    def before(number: int) -> None:
        sent.append(number)
        assert number < 6 or left.wait(60)

    holder.simulator.backend.scripts.append(Watched((Say(("x" * 1000,) * 2000),), before=before))
    with library.Missy.open() as missy:
        answer = missy.ask("hi", model=holder.model)
        assert any(isinstance(event, Text) for event in answer)
        answer.close()
        left.set()
        assert ended.wait(60)
    assert len(sent) < 2000


def test_a_401_costs_one_renewal_and_one_more_request(holder):
    """The answer then comes with the new token, which is on disk."""
    old = holder.stored
    holder.forget_token()
    outcome = holder.ask()
    assert (outcome.text, holder.posts, holder.simulator.renewals) == (HELLO, 2, 1)
    assert holder.stored.refresh_token != old.refresh_token


def test_async_answers_are_the_same(holder):
    """Reasoning, text, calls, the end and what goes back; without a model the list's default."""
    items = (Think(("Hm",)), Say(("a", "b")), Call("f", '{"x": 1}'))
    holder.simulator.backend.scripts.extend([Script(items), Script(items)])
    [ours], theirs = (
        ask_async(holder, "hi", model=None, temperature=1.0),
        holder.ask(model=None, temperature=1.0),
    )
    assert ours.error is None
    assert ours.events[:-1] == theirs.events[:-1]
    assert ours.all(ToolCall)
    assert ours.events[-1].replay == theirs.events[-1].replay
    first, second = (r.body for r in holder.simulator.backend_origin.journal if r.path == holder.responses)
    assert first == second


def test_async_deltas_are_out_before_the_next_arrives(holder):
    """By the same gate."""
    gate = Gate(("one ", "two ", "three"))
    holder.simulator.backend.scripts.append(gate.script)

    async def run() -> list[str]:
        texts = []
        async with library.AsyncMissy.open() as missy:
            async for event in missy.ask("hi", model=holder.model):
                gate.saw(event)
                texts += [event.text] if isinstance(event, Text) else []
        return texts

    assert tuple(asyncio.run(run())) == gate.pieces


def test_async_tasks_renew_once(holder):
    """Eight at once over a token that is refused: one renewal."""
    holder.forget_token()
    together = threading.Barrier(THREADS)
    holder.backend_faults.add(holder.responses, Fault(hold=together, only_delay=True), times=THREADS)
    outcomes = ask_async(holder, *["hi"] * THREADS)
    assert [outcome.text for outcome in outcomes] == [HELLO] * THREADS
    assert (holder.simulator.renewals, holder.posts) == (1, 2 * THREADS)


@pytest.mark.parametrize("cut", [0, 400, 900, 1400, 2000])
def test_async_cuts_are_never_whole(holder, cut):
    """As for sync code."""
    holder.simulator.backend.scripts.extend([Script(cut=cut), Script(cut=cut)])
    [ours], theirs = ask_async(holder, "hi"), holder.ask()
    assert (ours.code, ours.text) == (theirs.code, theirs.text)
    assert ours.code in (5, 6)
    assert ours.all(Done) == []
