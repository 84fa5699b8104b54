"""Secrets: whatever fails, and however talkative the run, the key is in nothing that Missy prints or writes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from missy import Missy, MissyError
from tests.command import Command, Result
from tests.servers import (
    CUT,
    Origin,
    chat_chunk,
    chat_error,
    chat_stream,
    event_stream,
    json_response,
    response,
    sse,
    tool_delta,
)

pytestmark = pytest.mark.slow

KEY = "sk-canary-7Qx0f3Lw9ZpT2mVb"
SPELLINGS = (KEY, KEY[3:], KEY[-12:], base64.b64encode(KEY.encode()).decode()[:20], KEY.encode().hex())
HTML = b"<html><title>Just a moment</title>"


def echo(request: Any) -> str:
    """What a careless server repeats: the header that the key came in."""
    return str(request.header("authorization"))


def answering(make: Callable[[str], Any]):
    """Answer with something made of the key that came."""
    return lambda request, _wire: make(echo(request))


REPLIES: dict[str, Any] = {
    "401 that echoes the key": answering(lambda key: chat_error(401, f"Incorrect API key provided: {key}")),
    "401 that echoes it at the edge of what is shown": answering(lambda key: chat_error(401, "x" * 480 + " " + key)),
    "500 that echoes the headers": answering(lambda key: json_response({"error": {"message": {"authorization": key}}}, 500)),
    "an error code that is the key": answering(lambda key: chat_error(400, "no", code=key, type=key)),
    "plain text that is the key": answering(lambda key: response(502, key.encode())),
    "a page with the key": answering(lambda key: response(403, HTML + key.encode(), ("cf-mitigated", "challenge"), kind="text/html")),
    "a redirect with the key": answering(lambda key: response(307, b"", ("Location", f"https://evil.com/?k={key.split()[-1]}"))),
    "an error in the stream": answering(lambda key: event_stream(sse(chat_chunk("hi"), {"error": {"message": f"bad {key}"}}))),
    "429 that names the key": answering(lambda key: chat_error(429, f"limit for {key}", ("Retry-After", "1000"))),
    "a model named like the key": answering(lambda key: chat_stream("hi", finish=None, model=key, done=False)),
    "a tool named like the key": answering(lambda key: chat_stream(tool_delta(0, key, key.split()[-1], "{"), finish="tool_calls")),
    "a compression named like the key": answering(lambda key: response(200, b"x", ("Content-Encoding", key.split()[-1]))),
    "a status line with the key": answering(lambda key: f"HTTP/9.9 {key}\r\n\r\n".encode()),
    "a request id that is the key": answering(lambda key: chat_error(500, "no", ("x-request-id", key.split()[-1]))),
    "broken JSON": response(200, b"{", kind="application/json"),
    "a cut": event_stream(sse(chat_chunk("half")), CUT),
    "silence": lambda _request, wire: wire.wait_closed() and None,
    "garbage": b"\x00\x01\x02garbage\r\n\r\n",
    "an empty stream": event_stream(),
}  # fmt: skip
SOURCES = {
    "the file": ({"api_key": KEY}, {}),
    "the environment": ({}, {"TEST_API_KEY": KEY}),
    "a reference": ({"api_key": "$CANARY"}, {"CANARY": KEY}),
    "a pool": ({"api_keys": [KEY, KEY + "2"]}, {}),
}


def leaks(home: Path, done: Result) -> list[str]:
    """Return the places in which a run left the key, but for the config that it stands in."""
    places = {"stdout": done.text, "stderr": done.err}
    for path in home.rglob("*"):
        if path.is_file() and path.name != "config.yaml":
            places[path.name] = path.read_bytes().decode("latin-1")
    return [place for place, text in places.items() if any(spelling in text for spelling in SPELLINGS)]


def find_leaks(attempt: Callable[[int, str], list[str]], names: Iterable[str]) -> dict[str, list[str]]:
    """Make all attempts, a few at a time, and return what leaked in which."""
    with ThreadPoolExecutor(3) as workers:
        found = {name: workers.submit(attempt, number, name) for number, name in enumerate(names)}
        return {name: places.result() for name, places in found.items() if places.result()}


def run(tmp_path: Path, number: int, config: Any, *args: str, env: Any = None) -> tuple[Path, Result]:
    home = tmp_path / f"home{number}"
    command = Command(home, tmp_path / f"trace{number}")
    command.config(config)
    return home, command(*args, env={"MISSY_HOME": str(home), "OPENAI_LOG": "debug", **(env or {})})


def test_no_failing_run_shows_the_key(home, tmp_path):
    """Nineteen kinds of failure at --debug, with servers that repeat the key: it is in no output and in no file."""
    sources = list(SOURCES.values())

    def attempt(number: int, name: str) -> list[str]:
        entry, env = sources[number % len(sources)]
        with Origin(REPLIES[name]) as origin:
            fields = {
                "name": "openai",
                "model": "m",
                "base_url": origin.url,
                "timeout": 0.5,
                "max_retries": 0,
                **entry,
            }
            folder, done = run(
                tmp_path, number, {"providers": {"test": fields}}, "--debug", "ask", "hi", env=env
            )
        assert done.code in (4, 5, 6, 7), (name, done)
        assert origin.requests, name
        return leaks(folder, done)

    assert find_leaks(attempt, REPLIES) == {}


@pytest.mark.parametrize("args", ["ask hi --json", "ask hi --events", "ask hi --no-stream", "models"])
@pytest.mark.parametrize(
    "name", [name for name in list(REPLIES)[:14] if "model" not in name and "tool" not in name]
)
def test_no_way_to_ask_shows_the_key(args, name, missy: Command, serve):
    """The same for JSON, for events, for answers in one piece and for the list of models; what a model says is its own."""
    missy.entry(serve(REPLIES[name]).url, api_key=KEY, timeout=0.5)
    done = missy.inside("--debug", *args.split())
    assert done.code != 1, done.err
    assert leaks(missy.home, done) == []


BROKEN = {
    "an unknown key": {"providers": {"test": {"api_key": KEY, "apikey": KEY, "base_url": "http://127.0.0.1:1"}}},
    "a key in the place of a list": {"providers": {"test": {"name": "openai", "api_keys": KEY, "base_url": "http://127.0.0.1:1"}}},
    "a key with a space": {"providers": {"test": {"name": "openai", "api_key": f"{KEY} x", "base_url": "http://127.0.0.1:1"}}},
    "a key with a line end": {"providers": {"test": {"name": "openai", "api_key": f"{KEY}\nX: y", "base_url": "http://127.0.0.1:1"}}},
    "a key in the URL": {"providers": {"test": {"name": "openai", "base_url": f"https://user:{KEY}@127.0.0.1:1/v1"}}},
    "a key in the query": {"providers": {"test": {"name": "openai", "base_url": f"https://127.0.0.1:1/v1?key={KEY}"}}},
    "a key in the proxy": {"network": {"proxy": f"http://user:{KEY}@127.0.0.1:1"}, "providers": {"test": {"name": "openai", "base_url": "https://127.0.0.1:1"}}},
    "a refused endpoint": {"providers": {"test": {"name": "openai", "api_key": KEY, "base_url": "https://10.0.0.1/v1"}}},
    "no such name": {"providers": {"test": {"name": "openai", "api_key": KEY, "base_url": "https://nowhere.invalid/v1"}}},
    "nobody there": {"providers": {"test": {"name": "openai", "api_key": KEY, "base_url": "http://127.0.0.1:1/v1", "max_retries": 0}}},
}  # fmt: skip


def test_no_run_that_never_starts_shows_the_key(home, tmp_path):
    """Configs that are wrong about the key, and endpoints that cannot be reached: the message does without it."""

    def attempt(number: int, name: str) -> list[str]:
        folder, done = run(tmp_path, number, BROKEN[name], "--debug", "ask", "hi")
        assert done.code in (2, 3, 4, 5), (name, done)
        return leaks(folder, done)

    assert find_leaks(attempt, BROKEN) == {}


def test_no_listing_and_no_dry_run_shows_the_key(home, tmp_path, serve):
    """What only shows how things stand shows where the key comes from, and not what it is."""
    origin = serve(chat_stream("hi"))
    value = {"providers": {"test": {"name": "openai", "model": "m", "api_key": KEY, "base_url": origin.url}}}
    commands = [
        "providers --json", "providers", "config show", "net list --json", "ask hi --dry-run", "ask hi --dry-run --json",
        "doctor --json", f"net explain {origin.url} --json",
    ]  # fmt: skip

    def attempt(number: int, args: str) -> list[str]:
        return leaks(*run(tmp_path, number, value, "--debug", *args.split()))

    assert find_leaks(attempt, commands) == {}


def test_no_exception_carries_the_key(way, write_config, serve):
    """An error of the library, its hint, its representation and its chain of causes do without the key."""
    import traceback

    from tests.net.conftest import ask

    for name in list(REPLIES)[:8]:
        outcome = ask(way, write_config(serve(REPLIES[name]).url, api_key=KEY, timeout=1))
        assert isinstance(outcome.error, MissyError), name
        told = (
            "".join(traceback.format_exception(outcome.error))
            + repr(vars(outcome.error))
            + repr(outcome.error)
        )
        assert KEY not in told, name


def test_no_object_shows_the_key(write_config, serve):
    """Nothing that a program might print, log or pickle holds the key in its text."""
    import copy

    with Missy.open(write_config(serve(chat_stream("hi")).url, api_key=KEY)) as missy:
        answer = missy.ask("hi")
        answer.text()
        entry = missy.config.entry(None)
        things = [
            missy,
            missy.config,
            entry,
            answer,
            missy.provider(entry),
            missy.preview("hi"),
            missy.door(),
        ]
        assert not any(KEY in f"{thing!r} {thing!s}" for thing in things)
        assert KEY not in json.dumps(missy.preview("hi").headers)
        from missy.secrets.redact import Secret

        for copied in (copy.copy, copy.deepcopy):  # by way of what pickle uses too
            with pytest.raises(TypeError):
                copied(Secret(KEY))
