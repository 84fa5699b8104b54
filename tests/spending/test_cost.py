"""What an answer costs, through the command and the library: where the price is from, and what happens without one."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sqlite3
import subprocess
import sys
from decimal import Decimal

import pytest

import missy as library
from missy.config.section_schema import Network
from missy.cost.free import is_free
from missy.spending.estimate import call_bytes, tokens
from tests.command import read_until
from tests.configuration import Config, entry
from tests.servers import Gate, chat_answer, chat_chunk, chat_error, chat_stream, event_stream, sse
from tests.spending.conftest import PRICE, usage


def test_the_table_prices_a_true_host(missy, at, spend):
    """gpt-4o at api.openai.com: 600 at 2.50, 400 cached at 1.25, 100 at 10 for a million, 90 of them reasoning."""
    at(
        "api.openai.com",
        chat_stream("hi", usage=usage(1000, 100, 400, 90), model="gpt-4o-2024-08-06"),
        model="gpt-4o",
    )
    assert missy("ask", "hi", "--json").json()["cost_usd"] == 0.003
    (row,) = spend("entry", "model", "in_tok", "out_tok", "cached_tok", "cost_micro", "price_from", "session")
    assert row[:6] == ("test", "gpt-4o-2024-08-06", 1000, 100, 400, 3000)
    assert row[6].startswith("genai-prices ")
    assert row[7] is None


def test_a_price_is_looked_up_once(missy, at):
    """The note holds what the table said, and what it did not know: neither is loaded again, until its version changes."""
    at("api.openai.com", chat_stream("hi", usage=usage(), model="gpt-4o"), model="gpt-4o")
    assert missy("ask", "hi", "--json").json()["cost_usd"] == 0.0035
    note = missy.home / "prices.json"
    kept = json.loads(note.read_text())
    assert note.stat().st_mode & 0o777 == 0o600
    (key,) = kept["prices"]
    kept["prices"][key][0]["input"] = [[-1, "5"]]
    note.write_text(json.dumps(kept))
    assert missy("ask", "hi", "--json").json()["cost_usd"] == 0.006
    for made_by, prices in (
        ("genai-prices 0.0.0", kept["prices"]),
        (kept["made_by"], {key: [{"input": "x"}]}),
    ):
        note.write_text(json.dumps({"made_by": made_by, "prices": prices}))
        assert missy("ask", "hi", "--json").json()["cost_usd"] == 0.0035


def test_the_same_model_elsewhere_has_no_price(missy, at, spend):
    """A host that the table does not know: null, never the price of a model with the same name."""
    at("llm.example", chat_stream("hi", usage=usage(), model="gpt-4o"), model="gpt-4o")
    got = missy("ask", "hi", "--json").json()
    assert (got["cost_usd"], got["usage"]["input_tokens"]) == (None, 1000)
    assert spend("cost_micro", "price_from", "in_tok") == [(None, None, 1000)]


def test_another_model_than_the_requested_one_has_its_own_price(missy, at):
    """Who answered is paid; a model that the table does not know has no price, though the requested one has."""
    at("api.openai.com", chat_stream("hi", usage=usage(), model="gpt-4o-mini"), model="o3")
    assert missy("ask", "hi", "--json").json()["cost_usd"] == 0.00021
    at("api.openai.com", chat_stream("hi", usage=usage(), model="quite-another"), model="gpt-4o")
    assert missy("ask", "hi", "--json").json()["cost_usd"] is None


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        ({"cost": 0.0421}, 0.0421),
        ({"cost": 0}, 0),
        ({"cost": {"total_cost": 0.25}}, 0.25),
        ({"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.2}}, 0.21),
        ({"cost": "much"}, 0.0035),
        ({"cost": -1}, 0.0035),
        ({"cost": True}, 0.0035),
        ({"cost": 1e99}, 0.0035),
    ],
)
def test_what_the_endpoint_tells_wins(told, cost, missy, serve, spend):
    """`usage.cost` of OpenRouter is the cost, over any table and the entry's `price`; what is no amount is not."""
    missy.entry(serve(chat_stream("hi", usage=usage(**told))).url, price=PRICE)
    got = missy.inside("ask", "hi", "--json").json()
    assert got["cost_usd"] == cost
    assert set(got["usage"]) == {
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cached_tokens",
        "reasoning_tokens",
    }
    assert spend("cost_micro") == [(round(cost * 1e6),)]


def test_an_answer_without_streaming_costs_the_same(missy, serve):
    """The counts of a whole reply are read as those of a stream."""
    missy.entry(serve(chat_answer("hi", usage=usage(1000, 100, 400))).url, price=PRICE)
    assert missy.inside("ask", "hi", "--no-stream", "--json").json()["cost_usd"] == 0.003


def test_this_machine_costs_nothing_and_a_price_is_stronger(missy, serve, spend):
    """A server on loopback is free, counted or not; with a `price` it costs that."""
    origin = serve(chat_stream("hi", usage=usage()), chat_stream("hi"), chat_stream("hi", usage=usage()))
    missy.entry(origin.url)
    for _ in range(2):
        got = missy.inside("ask", "hi", "--json").json()
        assert (got["cost_usd"], "cost_estimated" in got) == (0, False)
    missy.entry(origin.url, price={"input": 1, "output": 0})
    assert missy.inside("ask", "hi", "--json").json()["cost_usd"] == 0.001
    assert spend("cost_micro", "price_from") == [(0, "free"), (0, "free"), (1000, "config")]


def test_ones_own_network_costs_nothing(missy, serve):
    """A name whose addresses all lie in allowed_cidrs is free; where one does not, the cost is not known."""
    url = serve(chat_stream("hi", usage=usage())).url.replace("127.0.0.1", "box.localhost")
    missy.entry(url, api_key="k", network={"allowed_cidrs": ["127.0.0.0/8", "::1/128"]})
    assert missy.inside("ask", "hi", "--json").json()["cost_usd"] == 0
    urls = ("http://10.1.2.3/", "http://11.1.2.3/", "http://box.localhost/", "http://127.0.0.1/")
    network = Network(allowed_cidrs=("10.0.0.0/8",))
    assert [is_free(Config(missy.home, network=network), entry("x", base_url=url)) for url in urls] == [
        True, False, False, True,
    ]  # fmt: skip
    behind = Network(allowed_cidrs=("127.0.0.0/8",), proxy="http://127.0.0.1:9")
    assert not is_free(Config(missy.home, network=behind), entry("x", base_url="https://llm.example/"))


def test_a_stopped_answer_is_estimated(missy, serve, spend):
    """Ctrl-C: there are no counts, so two bytes count as a token, and the cost is marked as an estimate."""
    gate = Gate()
    missy.entry(
        serve(event_stream(sse(chat_chunk("half an")), sse(chat_chunk(" answer")), gate)).url, price=PRICE
    )
    child = missy.start("ask", "--session", "s", "x" * 100)
    read_until(child.stdout, b"answer")
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == 130
    gate.open()
    child.communicate()
    (row,) = spend("in_tok", "out_tok", "cost_micro", "price_from")
    assert row[:2] == (None, None)
    assert row[3] == "~config"
    assert row[2] == 58 * 2.5 + 70  # (100 + 16) / 2 tokens in, 14 / 2 out
    (listed,) = missy.inside("sessions", "--json").json()
    assert (listed["cost_usd"], listed["cost_estimated"]) == (row[2] / 1e6, True)
    assert "~$0.0002" in missy.inside("sessions").text
    (turn,) = missy.inside("sessions", "show", "s", "--json").json()["turns"]
    assert (turn["cost_usd"], turn["cost_estimated"]) == (row[2] / 1e6, True)


def test_a_tool_call_in_any_script_is_estimated_from_above():
    """Of a text without spaces, each character of three bytes may be a token, or two."""
    call = library.ToolCall("a", "write", {"text": "文" * 1000})
    assert tokens(call_bytes(call)) >= 2000


def test_a_whole_answer_without_counts_is_estimated(missy, serve):
    """An endpoint that sends no usage: an estimate, said to be one; the counts stay unknown."""
    missy.entry(serve(chat_stream("hi")).url, price=PRICE)
    got = missy.inside("ask", "hi", "--json").json()
    assert (got["cost_estimated"], got["usage"]) == (True, None)
    assert got["cost_usd"] == (9 * 2.5 + 10) / 1e6


def test_what_was_not_answered_costs_nothing(missy, serve, home):
    """A refused request, a wrong key, a dead endpoint: nothing is recorded. Retries that fail are free, too."""
    missy.entry(
        serve(chat_error(400, "no"), chat_error(401, "key"), chat_error(500, "oops")).url, price=PRICE
    )
    assert [missy.inside("ask", "hi").code for _ in range(3)] == [5, 4, 5]
    assert not (home / "sessions.db").exists()
    missy.entry(
        serve(chat_error(503, "busy"), chat_stream("hi", usage=usage())).url, price=PRICE, max_retries=1
    )
    assert missy.inside("ask", "hi", "--json").json()["cost_usd"] == 0.0035


def test_a_repair_is_paid(missy, serve, spend):
    """Both calls of an answer that had to be asked for once more are recorded, and are its cost."""
    origin = serve(chat_stream("no", usage=usage()), chat_stream('{"age": 3}', usage=usage(2000, 100)))
    missy.entry(origin.url, price=PRICE)
    got = missy.inside("ask", "--schema", "age int", "--json", "hi").json()
    assert (got["value"], got["cost_usd"]) == ({"age": 3}, 0.0095)
    assert spend("cost_micro") == [(3500,), (6000,)]


def test_a_failed_repair_is_paid_as_well(missy, serve):
    """Exit 6, and the cost of both calls is told."""
    missy.entry(serve(chat_stream("no", usage=usage())).url, price=PRICE)
    ran = missy.inside("ask", "--schema", "age int", "--json", "hi")
    assert (ran.code, ran.json()["cost_usd"]) == (6, 0.007)


def test_the_library_tells_the_cost(missy, serve):
    """`answer.cost` is a Decimal once the answer has ended, in sync and async code and in a session; None before."""
    missy.entry(serve(chat_stream("hi", usage=usage(1000, 100, 400))).url, price=PRICE)
    with library.Missy.open() as m:
        answer = m.ask("hi")
        assert answer.cost is None
        answer.text()
        assert (answer.cost, answer.cost_estimated, answer.usage.cached_tokens) == (
            Decimal("0.003"),
            False,
            400,
        )
        talk = m.session("s")
        said = talk.ask("hi")
        said.text()
        assert said.cost == Decimal("0.003")
        talk.ask("more").text()
        sums = talk.totals()
        assert (sums.cost_micro, sums.turns, sums.in_tok, sums.cost_complete) == (6000, 2, 2000, True)

    async def go() -> tuple[object, object]:
        async with library.AsyncMissy.open() as m:
            answer = m.ask("hi")
            await answer.text()
            talk = await m.session("s")
            await talk.ask("once more").text()
            return answer.cost, (await talk.totals()).cost_micro

    assert asyncio.run(go()) == (Decimal("0.003"), 9000)


def test_sums_know_what_they_do_not_know(missy, at, serve):
    """A session with one turn of unknown price: its sum is a lower bound, in JSON and in the list."""
    missy.entry(serve(chat_stream("hi", usage=usage())).url, price=PRICE)
    assert missy.inside("ask", "--session", "s", "one").code == 0
    at("llm.example", chat_stream("hi", usage=usage()))
    assert missy("ask", "--session", "s", "two").code == 0
    (row,) = missy.inside("sessions", "list", "--json").json()
    assert (row["cost_usd"], row["cost_complete"]) == (0.0035, False)
    assert "$0.0035+" in missy.inside("sessions").text
    exported = json.loads(missy.inside("sessions", "export", "s", "--format", "json").text)
    assert [turn["cost_usd"] for turn in exported["turns"]] == [0.0035, None]


def test_a_deleted_session_leaves_numbers_alone(missy, serve, spend):
    """What was spent stays counted; which session it was is forgotten."""
    missy.entry(serve(chat_stream("hi", usage=usage())).url, price=PRICE)
    missy.inside("ask", "--session", "s", "one")
    assert spend("session")[0][0] is not None
    assert missy.inside("sessions", "delete", "s", "--yes").code == 0
    assert spend("session", "cost_micro") == [(None, 3500)]


def test_a_cost_that_cannot_be_recorded_loses_no_answer(missy, serve):
    """A full disk: the answer is whole and shown, exit 0, and stderr says that its cost was not recorded."""
    missy.entry(serve(chat_stream("hello", usage=usage())).url, price=PRICE)
    assert missy("ask", "hi").code == 0

    def no_more() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    ran = missy("ask", "hi", "--json", preexec_fn=no_more)
    assert (ran.code, ran.json()["text"], ran.json()["cost_usd"]) == (0, "hello", 0.0035)
    assert "was not recorded" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.slow
def test_a_locked_record_holds_no_answer_back(missy, serve):
    """While another process holds the database, the answer is shown at once; after ten seconds the command ends, 0."""
    missy.entry(serve(chat_stream("hello", usage=usage())).url, price=PRICE)
    assert missy("ask", "hi").code == 0
    db = sqlite3.connect(missy.home / "sessions.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    try:
        child = missy.start("ask", "hi")
        assert b"hello" in read_until(child.stdout, b"hello")
        assert child.poll() is None  # it waits for the record
        _, err = child.communicate(timeout=60)
    finally:
        db.execute("ROLLBACK")
        db.close()
    assert child.returncode == 0
    assert b"was not recorded" in err


def test_nothing_of_it_is_on_the_way_to_the_request(missy, at, tmp_path):
    """Without a limit neither SQLite nor the table of prices is loaded before the request has come."""
    report = tmp_path / "report"
    seen = []

    def look(_request, _wire):
        seen.append(report.read_text().split() if report.exists() else [])
        return chat_stream("hi", usage=usage(), model="gpt-4o")

    at("api.openai.com", look, model="gpt-4o")
    assert missy("ask", "hi").code == 0  # the first call of all loads the openai package, and what that needs
    (missy.home / "prices.json").unlink()
    watch = (
        "import os, sys\n"
        "report = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "sys.addaudithook(lambda event, args: event == 'import' and os.write(report, f'{args[0]}\\n'.encode()))\n"
        "sys.argv[:2] = ['missy']\n"
        "from missy.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", watch, str(report), "ask", "hi"],
        env=missy.env(PYTHONPATH=None), stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before = seen[1]
    assert "missy.spending.meter" in before
    late = {"sqlite3", "genai_prices", "decimal", "missy.sessions.store", "missy.cost.price"}
    assert late & set(before) == set()
    assert late <= set(report.read_text().split())


def test_the_responses_format_counts_the_same(missy):
    """`input_tokens_details.cached_tokens` and reasoning inside output, as Responses names them."""
    from missy.providers.counts import responses_usage

    counts = responses_usage(
        {
            "input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100,
            "input_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100},
            "output_tokens_details": {"reasoning_tokens": 90},
        }
    )  # fmt: skip
    assert (counts.cached_tokens, counts.cache_write_tokens, counts.reasoning_tokens) == (400, 100, 90)
