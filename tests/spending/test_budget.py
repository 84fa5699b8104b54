"""Limits on spending: nothing is sent that could pass one, whoever asks at the same time, and no answer is cut for it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from decimal import Decimal

import pytest

import missy as library
from missy.spending.ledger import day_start
from tests.command import SAFETY
from tests.servers import Gate, chat_chunk, chat_error, chat_stream, event_stream, sse, tool_delta
from tests.sessions.test_async import Holding
from tests.spending.conftest import PRICE, usage

PROMPT = "x" * 400  # 208 tokens at most, with the frame of the message
CALL = ("ask", PROMPT, "--max-tokens", "50")  # at most 208 * 2.50 + 50 * 10 = 1020 millionths of a dollar
COST = 1000  # what it costs in fact: 200 * 2.50 + 50 * 10
MOST = 1020


@pytest.fixture
def budget(missy, serve):
    """Configure an entry with a price and a budget: `budget(reply, ..., day_usd=...)`."""

    def go(*script, price=PRICE, day_usd=None, session_usd=None):
        origin = serve(*(script or (chat_stream("hi", usage=usage(200, 50)),)))
        entry = {"name": "openai", "model": "m", "base_url": origin.url, "max_retries": 0, "price": price}
        limits = {"day_usd": day_usd, "session_usd": session_usd}
        missy.config({"providers": {"test": entry}, "budget": limits})
        return origin

    return go


@pytest.mark.race
def test_processes_that_ask_at_once_never_pass_the_budget(missy, budget, spend):
    """Eight processes, four calls each, $0.01 a day: the server's own count of what it was asked stays under it."""
    origin = budget(day_usd=0.01)
    codes: list[int] = []
    for _ in range(4):
        children = [missy.start(*CALL) for _ in range(8)]
        try:
            for child in children:
                child.communicate(timeout=120)
                codes.append(child.returncode)
        finally:
            for child in children:
                child.kill()
    assert set(codes) == {0, 7}
    assert codes.count(0) == len(origin.requests)
    assert len(origin.requests) * COST <= 10_000
    assert len(origin.requests) == 9  # and what there was could be spent: a tenth call could cost 1020
    assert spend("sum(cost_micro)", "count(reserved)", "count(cost_micro)") == [(9 * COST, 9, 9)]


def test_a_call_that_could_pass_the_budget_is_not_sent(missy, budget):
    """Exit 7, `budget`, and it says what is spent, what the limit is, and when it begins anew."""
    origin = budget(day_usd=0.002)
    assert missy.inside(*CALL).code == 0
    ran = missy.inside(*CALL, "--json")
    error = ran.json()["error"]
    assert (ran.code, error["type"], error["spent_usd"], error["limit_usd"]) == (7, "budget", 0.001, 0.002)
    assert error["resets_at"] == day_start(time.time(), 1)
    assert time.strftime("%H:%M", time.localtime(error["resets_at"])) in error["hint"]
    told = missy.inside(*CALL).err
    assert "$0.0010 of the day's $0.0020 is spent" in told
    assert "budget.day_usd" in told
    assert len(origin.requests) == 1


def test_without_max_tokens_a_long_answer_is_expected(missy, budget):
    """4,096 tokens of output are reserved; an answer on its way is never cut, even if it is longer than that."""
    origin = budget(chat_stream("hi", usage=usage(200, 9000)), day_usd=0.05)
    assert missy.inside("ask", "hi").text == "hi\n"
    assert missy.inside("ask", "hi").code == 7
    assert len(origin.requests) == 1
    budget(day_usd=0.0409)
    assert missy.inside("ask", "hi").code == 7


def test_yesterday_does_not_count(missy, budget):
    """The day ends at local midnight."""
    budget(day_usd=0.0019)
    assert [missy.inside(*CALL).code for _ in range(2)] == [0, 7]
    db = sqlite3.connect(missy.home / "sessions.db")
    with db:
        db.execute("UPDATE spend SET at_ms = ?", (int(day_start(time.time()) * 1000) - 1,))
    db.close()
    assert missy.inside(*CALL).code == 0


def test_the_reservation_of_a_killed_process_counts_whole(missy, budget, spend):
    """Nobody knows what it cost: until the day ends it counts with the most that it can have cost."""
    gate = Gate()
    origin = budget(
        event_stream(sse(chat_chunk("hi")), gate), chat_stream("hi", usage=usage(200, 50)), day_usd=0.002
    )
    child = missy.start(*CALL)
    origin.wait_requests(1)
    child.kill()
    child.communicate()
    gate.open()
    assert spend("reserved", "cost_micro", "pid") == [(MOST, None, child.pid)]
    ran = missy.inside(*CALL, "--json")
    assert (ran.code, ran.json()["error"]["spent_usd"]) == (7, MOST / 1e6)


def test_a_call_that_was_refused_gives_its_reservation_back(missy, budget, spend):
    """An HTTP error costs nothing, and nothing stays reserved."""
    budget(chat_error(400, "no"), chat_stream("hi", usage=usage(200, 50)), day_usd=0.0011)
    assert [missy.inside(*CALL).code for _ in range(3)] == [5, 0, 7]
    assert spend("cost_micro") == [(COST,)]


def test_an_unknown_price_is_refused_with_the_line_to_write(missy, at):
    """With a budget nothing is sent at an unknown price; the hint is the `price:` of the entry, and with it it goes."""
    origin = at("llm.example", chat_stream("hi", usage=usage(200, 50)), model="gpt-4o")
    path = missy.home / "config.yaml"
    text = path.read_text()
    path.write_text(text.rstrip()[:-1] + ', "budget": {"day_usd": 1}}')
    ran = missy(*CALL, "--json")
    assert (ran.code, ran.json()["error"]["type"], ran.json()["error"]["spent_usd"]) == (7, "budget", None)
    assert "price: {input: " in ran.json()["error"]["hint"]
    assert "providers.test" in ran.json()["error"]["hint"]
    assert origin.requests == []
    assert missy("config", "set", "providers.test.price", "{input: 2.5, output: 10}").code == 0
    assert missy(*CALL, "--json").json()["cost_usd"] == 0.001


def test_the_table_gives_the_price_of_a_reservation(missy, at, spend):
    """A host that the table knows needs no `price`: gpt-4o at 2.50 and 10."""
    at("api.openai.com", chat_stream("hi", usage=usage(200, 50), model="gpt-4o"), model="gpt-4o")
    path = missy.home / "config.yaml"
    path.write_text(path.read_text().rstrip()[:-1] + ', "budget": {"day_usd": 1}}')
    assert missy(*CALL, "--json").json()["cost_usd"] == 0.001
    assert spend("reserved", "cost_micro") == [(MOST, COST)]


def test_what_costs_nothing_is_sent_though_the_budget_is_spent(missy, budget):
    """A server on loopback without a price, after the day's money is gone."""
    budget(day_usd=0.0011)
    assert [missy.inside(*CALL).code for _ in range(2)] == [0, 7]
    budget(price=None, day_usd=0.0011)
    assert missy.inside(*CALL).code == 0


def test_a_session_has_its_own_limit(missy, budget):
    """What a session cost counts for it alone; another one begins at 0; calls outside of sessions are not limited."""
    budget(session_usd=0.0035)
    codes = [missy.inside(*CALL, "--session", name).code for name in ("a", "a", "a", "b")]
    assert codes == [0, 0, 7, 0]
    told = missy.inside(*CALL, "--session", "a")
    assert "of the session's $0.0035" in told.err
    assert "another session" in told.err
    assert missy.inside(*CALL).code == 0


def test_a_session_that_is_not_stored_has_its_limit_too(budget):
    """`save=False`: its own turns count."""
    budget(session_usd=0.0035)
    with library.Missy.open() as m:
        talk = m.session(save=False)
        for _ in range(2):
            talk.ask(PROMPT, max_tokens=20).text()
        with pytest.raises(library.BudgetError) as error:
            talk.ask(PROMPT, max_tokens=50).text()
    assert (error.value.exit_code, error.value.limit) == (7, 0.0035)


def test_a_question_that_the_budget_refused_is_kept_as_failed(missy, budget):
    """The turn says that no answer came, and costs nothing."""
    budget(session_usd=0.0011)
    assert [missy.inside(*CALL, "--session", "a").code for _ in range(2)] == [0, 7]
    turns = missy.inside("sessions", "show", "a", "--json").json()["turns"]
    assert [(turn["state"], turn["cost_usd"]) for turn in turns] == [("whole", 0.001), ("failed", None)]
    (row,) = missy.inside("sessions", "--json").json()
    assert (row["cost_usd"], row["cost_complete"]) == (0.001, True)


def test_one_answer_has_its_own_limit(missy, budget):
    """`--max-cost`, and `max_cost=` in the library, as a number or a Decimal: 7 if the answer could cost more."""
    origin = budget()
    assert missy.inside(*CALL, "--max-cost", "0.00102").code == 0
    ran = missy.inside(*CALL, "--max-cost", "0.001", "--json")
    assert (ran.code, ran.json()["error"]["limit_usd"], ran.json()["error"]["resets_at"]) == (7, 0.001, None)
    with library.Missy.open() as m:
        assert m.ask(PROMPT, max_tokens=50, max_cost=Decimal("0.00102")).text() == "hi"
        with pytest.raises(library.BudgetError):
            m.ask(PROMPT, max_tokens=50, max_cost=0.001).text()
        for wrong in (-1, float("nan"), "cheap"):
            with pytest.raises(library.UsageError):
                m.ask("hi", max_cost=wrong)
    assert len(origin.requests) == 2
    assert missy.inside(*CALL, "--max-cost", "nan").code == 2


def test_a_repair_is_reserved_as_well(missy, budget):
    """The second call of an answer counts what the first one cost; here it may not be sent."""
    origin = budget(chat_stream("no", usage=usage(200, 50)))
    ran = missy.inside(*CALL, "--schema", "age int", "--max-cost", "0.002", "--json")
    assert (ran.code, ran.json()["error"]["type"], ran.json()["cost_usd"]) == (7, "budget", 0.001)
    assert len(origin.requests) == 1


def test_a_call_of_unknown_cost_counts_as_what_it_could_have_cost(missy, at, tmp_path):
    """An endpoint that answers with a model that nobody knows does not make the next call of the answer free."""
    count = usage(200, 50)
    looks = chat_stream(
        tool_delta(0, "a", "list", "{}"), finish="tool_calls", usage=count, model="nobodys-model"
    )
    origin = at("api.openai.com", looks, chat_stream("hi", usage=count), model="gpt-4o")
    (tmp_path / "work").mkdir()
    with library.Missy.open() as m, pytest.raises(library.BudgetError) as raised:
        box = library.Toolbox(use=["list"], workspace=str(tmp_path / "work"))
        m.ask(PROMPT, max_tokens=50, max_cost=0.002, toolbox=box).text()
    assert raised.value.spent == pytest.approx(0.001, abs=0.0005)
    assert len(origin.requests) == 1


def test_a_task_that_is_cancelled_while_it_reserves_gives_that_back(missy, budget, spend):
    """Nothing was sent, so nothing stays reserved."""
    origin = budget(day_usd=1)

    async def go() -> None:
        threads = Holding()
        async with library.AsyncMissy.open() as m:
            threads.hold(name="begin")
            task = asyncio.create_task(m.ask(PROMPT, max_tokens=50).text())
            await asyncio.wait_for(threads.held.wait(), SAFETY)
            task.cancel()
            asyncio.get_running_loop().call_soon(threads.let_go)
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(go())
    assert (spend("reserved"), origin.requests) == ([], [])


def test_async_code_has_the_same_limits(budget):
    """Many answers at once in one process stay under the budget, too."""
    origin = budget(day_usd=0.005)

    async def go() -> list[object]:
        async with library.AsyncMissy.open() as m:
            asked = [m.ask(PROMPT, max_tokens=50).text() for _ in range(8)]
            return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(go())
    assert answers.count("hi") == len(origin.requests) == 4
    assert sum(isinstance(one, library.BudgetError) for one in answers) == 4


def test_a_record_that_cannot_be_written_stops_a_budget(missy, budget):
    """A limit that cannot be kept lets nothing pass: exit 1, nothing is sent."""
    origin = budget(day_usd=1)
    missy.home.joinpath("sessions.db").write_bytes(b"no database" * 100)
    missy.home.joinpath("sessions.db").chmod(0o600)
    ran = missy.inside(*CALL)
    assert (ran.code, origin.requests) == (1, [])
    assert "sessions.db" in ran.err


def test_a_budget_is_no_reason_to_ask_somebody_else(missy, serve):
    """`fallback` is for endpoints that fail: a limit ends the answer."""
    one, two = serve(chat_stream("one")), serve(chat_stream("two"))
    entries = {
        "a": {"name": "openai", "model": "m", "base_url": one.url, "price": PRICE, "fallback": ["b"]},
        "b": {"name": "openai", "model": "m", "base_url": two.url},
    }
    missy.config({"providers": entries, "budget": {"day_usd": 0.0001}})
    assert missy.inside("ask", "hi").code == 7
    assert (one.requests, two.requests) == ([], [])
