"""What is put on whose account, and in which order things are asked: the policy first, then the key, then the network."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

import pytest

from missy import AsyncMissy, Missy, PolicyError
from tests.command import Command
from tests.servers import chat_answer, chat_stream, response

KEY = "sk-canary-0123456789"


def records(missy: Command) -> list[dict]:
    """Return the audit's records, oldest first."""
    return [json.loads(line) for line in (missy.home / "audit.jsonl").read_text().splitlines()]


def test_what_may_not_be_reached_needs_no_key(missy):
    """A refused entry is refused by the policy (3) and on record, whether it has a key or not."""
    missy.config(
        {"providers": {"lan": {"name": "openai", "base_url": "http://192.168.7.7:8080/v1", "model": "m"}}}
    )
    assert missy.inside("ask", "hi").code == 3
    last = records(missy)[-1]
    assert (last["event"], last["host"], last["credential"]) == ("refused", "192.168.7.7", "none")


def test_a_lent_client_is_on_the_entrys_account(missy, serve):
    """The calls of `openai_client` are recorded under the entry and the name of its credential."""
    origin = serve(chat_answer("hello"))
    missy.entry(origin.url, name="mine", api_key=KEY)
    with Missy.open() as assistant:
        client = assistant.openai_client("mine")
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
        with pytest.raises(PolicyError):
            client.get("https://example.com/steal", cast_to=object)
    sent, refused = (record for record in records(missy) if record["event"] in ("request", "refused"))
    assert (sent["entry"], sent["credential"]) == ("mine", "config:mine.api_key")
    assert (refused["entry"], refused["host"]) == ("mine", "example.com")
    assert len(origin.requests) == 1


def test_a_slow_reader_is_not_taken_for_a_silent_server(missy, serve):
    """Who takes longer than `timeout` over each event still gets the whole answer: the bytes were there."""
    missy.entry(serve(chat_stream("one ", "two ", "three")).url, timeout=0.3)
    with Missy.open() as assistant:
        answer = assistant.ask("hi")
        for _ in answer:
            time.sleep(0.4)
        assert (answer.so_far, answer.done is not None) == ("one two three", True)


def test_an_async_missy_outlives_its_event_loop(missy, serve):
    """Connections belong to a loop; another loop gets its own."""
    missy.entry(serve(chat_stream("hello"), chat_stream("again")).url)
    assistant = AsyncMissy.open()

    async def ask() -> str:
        return await assistant.ask("hi").text()

    assert [asyncio.run(ask()), asyncio.run(ask())] == ["hello", "again"]
    asyncio.run(assistant.aclose())


def test_the_record_tells_a_broken_answer_from_a_whole_one(missy, serve):
    """An answer that was no whole one does not stand in the audit as `ok`."""
    missy.entry(serve(chat_stream("half", finish=None, done=False)).url, max_retries=0)
    assert missy.inside("ask", "hi").code == 6
    ends = [record for record in records(missy) if record["event"] == "end" and record["method"]]
    assert (ends[-1]["status"], ends[-1]["outcome"], ends[-1]["error"]) == (200, "failed", "incomplete")


def test_doctor_shows_no_key_when_another_reference_is_broken(missy, serve):
    """The fix for a vault reference that leads nowhere names the reference, not the key beside it."""
    missy.entry(serve(response(200, b"{}")).url, api_key=KEY, api_keys=["vault://nothere"])
    for words in (("doctor",), ("doctor", "--json")):
        ran = missy.inside(*words)
        assert KEY not in ran.text + ran.err
        assert "vault set nothere" in ran.text


def test_a_line_that_is_not_understood_is_an_object_too(missy):
    """`ask --json` prints its one object for an option that does not exist or does not fit."""
    for words in (("--temperature", "9"), ("--no-such-option",)):
        ran = missy.inside("ask", "hi", "--json", *words)
        assert (ran.code, ran.json()["complete"], ran.json()["error"]["type"]) == (2, False, "usage")


def test_what_was_to_happen_at_exit_happens():
    """The command ends without taking itself apart, but what was registered for its end is done."""
    program = "import atexit, sys; atexit.register(print, 'done'); sys.argv = ['missy', 'presets']\n"
    program += "from missy.cli import main; main()"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "done"
