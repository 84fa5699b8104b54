"""Floods: whatever a server sends, memory stays bounded, the end is a typed error, and nobody sees a traceback."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from typing import Any

import pytest

from tests.command import Command, Result
from tests.net.conftest import ask
from tests.servers import (
    chat_answer,
    chat_chunk,
    chat_stream,
    chunk,
    event_stream,
    json_response,
    response,
    sse,
    tool_delta,
)

MOST = 64  # MiB that a flood may add to what an ordinary answer takes
STREAM, JSON = b"text/event-stream", b"application/json"
# The command's own main, and afterwards the most memory that the process ever had.
MEASURED = """
import os, sys
from missy.cli.main import run
code = run(sys.argv[1:])
sys.stdout.flush()
sys.stderr.flush()
with open("/proc/self/status") as file:
    peak = next(line.split()[1] for line in file if line.startswith("VmHWM"))
os.write(int(os.environ["PEAK"]), peak.encode())
os._exit(code)
"""
pytestmark = [
    pytest.mark.flood,
    pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc"),
]


def closing(kind: bytes, body: Callable[[], Iterator[bytes]], *headers: bytes, status: int = 200):
    """Answer with a body that ends with the connection, however long it is."""
    lines = [b"HTTP/1.1 %d OK" % status, b"Content-Type: " + kind, *headers, b"Connection: close", b"", b""]

    def talk(_request, wire) -> None:
        wire.send(b"\r\n".join(lines))
        for piece in body():
            wire.send(piece)

    return talk


def flood(piece: bytes, first: bytes = b"") -> Callable[[], Iterator[bytes]]:
    """Return an endless body; what the client does not take is never made."""

    def body() -> Iterator[bytes]:
        yield first
        yield from repeat(piece)

    return body


def once(*pieces: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter(pieces)


def delta(**fields: Any) -> bytes:
    return b"data: " + json.dumps(chat_chunk(fields), ensure_ascii=False).encode() + b"\n\n"


def headers(line: bytes, count: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + line * count


def calls() -> Iterator[bytes]:
    for number in range(1200):
        yield sse(chat_chunk(tool_delta(number // 10, f"call_{number // 10}", "f", "a" * 100_000)))


def many_chunks() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    event = b"".join(chunk(bytes([byte])) for byte in b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n')
    for _ in range(22):
        yield event * 100
    yield chunk(sse(chat_chunk({}, "stop"))) + b"0\r\n\r\n"


def raw(pieces: Callable[[], Iterator[bytes]]):
    def talk(_request, wire) -> None:
        for piece in pieces():
            wire.send(piece)

    return talk


ZIPPED = b"Content-Encoding: gzip"
EMOJI = "\U0001f600"
# name -> (reply, the exit codes that fit)
FLOODS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "a line of 10 MB": (closing(STREAM, once(b"data: " + b"a" * 10_000_000 + b"\n\n")), (5,)),
    "a line without end": (closing(STREAM, flood(b"a" * 65536)), (5,)),
    "a comment without end": (closing(STREAM, flood(b"a" * 65536, b":")), (5,)),
    "an event without end": (closing(STREAM, flood(b"data: ab\n" * 8000)), (5,)),
    "an event of empty lines without end": (closing(STREAM, flood(b"data\n" * 10_000)), (5,)),
    "one event of wide characters": (closing(STREAM, lambda: iter([delta(content=EMOJI + "a" * 1_900_000)])), (5, 6)),
    "an event of empty lists": (closing(STREAM, once(b'data: {"choices":[' + b"[]," * 600_000 + b"[]]}\n\n")), (5, 6)),
    "an event of small objects": (closing(STREAM, once(b'data: {"choices":[' + b'{"":0},' * 250_000 + b"[]]}\n\n")), (5, 6)),
    "carriage returns": (closing(STREAM, flood(b"\r" * 65536)), (5,)),
    "line feeds": (closing(STREAM, flood(b"\n" * 65536)), (5,)),
    "white space of unknown kind": (closing(b"text/plain", flood(b" " * 65536)), (5,)),
    "JSON without end": (closing(JSON, flood(b'{"a":1,' * 9000)), (5,)),
    "JSON of empty lists": (closing(JSON, once(b'{"choices":[' + b"[]," * 5_000_000 + b"[]]}")), (5, 6)),
    "JSON of empty lists within the limit": (closing(JSON, once(b'{"choices":[' + b"[]," * 1_000_000 + b"[]]}")), (5, 6)),
    "JSON of small numbers within the limit": (closing(JSON, once(b'{"choices":[' + b"-9," * 1_000_000 + b"0]}")), (5, 6)),
    "a gzip bomb for a stream": (closing(STREAM, once(gzip.compress(bytes(200 << 20))), ZIPPED), (5,)),
    "a gzip bomb for JSON": (closing(JSON, once(gzip.compress(b" " * (200 << 20))), ZIPPED), (5,)),
    "a gzip bomb for an error": (closing(JSON, once(gzip.compress(b" " * (200 << 20))), ZIPPED, status=500), (5,)),
    "what follows a gzip stream": (closing(STREAM, flood(b"x" * 65536, gzip.compress(delta(content="hi"))), ZIPPED), (6,)),
    "a bzip2 bomb for a charset": (closing(JSON + b"; charset=bz2", once(bz2.compress(bytes(300 << 20))), status=500), (5,)),
    "a zlib bomb for a charset": (closing(JSON + b"; charset=zlib", once(zlib.compress(bytes(300 << 20))), status=500), (5,)),
    "an error without end": (closing(b"text/plain", flood(b"e" * 65536), status=500), (5,)),
    "an error page without end": (closing(b"text/html", flood(b"<p>" * 20_000), status=403), (5,)),
    "one header without end": (raw(flood(b"a" * 65536, headers(b"X: ", 1))), (5,)),
    "headers without end": (raw(flood(b"X-Header: value\r\n" * 4000, headers(b"", 0))), (5,)),
    "a chunk extension without end": (
        raw(flood(b"a" * 65536, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")), (5,),
    ),
    "trailers without end": (
        raw(flood(b"X-Header: value\r\n" * 4000, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")), (5,),
    ),
    "tool calls without end": (closing(STREAM, calls), (5, 6)),
    "a hundred thousand chunks": (raw(many_chunks), (0,)),
    "text without end": (closing(STREAM, flood(delta(content="a" * 60_000))), (5, 6)),
    "text of wide characters without end": (closing(STREAM, flood(delta(content=EMOJI * 15_000))), (5, 6)),
    "an event of 15 MiB of text": (closing(STREAM, once(delta(content="a" * (15 << 20)))), (5,)),
    "an event of 15 MiB with one wide character": (closing(STREAM, once(delta(content=EMOJI + "a" * (15 << 20)))), (5,)),
    "pictures of 12 MiB each": (
        closing(STREAM, once(delta(content="hi", images=[{"image_url": {"url": "data:image/png;base64," + "a" * (12 << 20)}}]) * 3)), (6,)),
    "details of 15 MiB each": (closing(STREAM, flood(delta(reasoning_details=[{"type": "reasoning.encrypted", "data": "a" * (15 << 20)}]))), (5, 6)),
    "a whole reply of 15 MiB": (closing(JSON, once(b'{"choices":[{"message":{"content":"' + b"a" * (15 << 20) + b'"}}]}')), (5,)),
    "reasoning without end": (closing(STREAM, flood(delta(reasoning_content=EMOJI * 15_000))), (5, 6)),
}  # fmt: skip


def measure(missy: Command, *args: str) -> tuple[Result, int]:
    """Run the command in a process of its own; return its end, and the most memory that it had, in MiB."""
    read, write = os.pipe()
    with os.fdopen(read, "rb") as peak:
        run = subprocess.run(
            [sys.executable, "-c", MEASURED, *args], stdin=subprocess.DEVNULL, capture_output=True,
            env=missy.env(PEAK=str(write)), cwd=missy.home.parent, timeout=60, check=False, pass_fds=(write,),
        )  # fmt: skip
        os.close(write)
        told = peak.read()
    return Result(run.returncode, run.stdout, run.stderr.decode(errors="replace")), int(told or 0) >> 10


@pytest.fixture(scope="module")
def ordinary() -> dict[str, int]:
    return {}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_takes_little_memory_and_ends_as_an_error(name, missy: Command, serve, ordinary):
    """At most 64 MiB more than an ordinary answer takes, an exit code that fits, no traceback, and no fault of our own."""
    if not ordinary:
        missy.entry(serve(chat_stream("hello")).url, timeout=5)
        done, ordinary["MiB"] = measure(missy, "ask", "hi", "--json")
        assert done.code == 0, done.err
    reply, codes = FLOODS[name]
    missy.entry(serve(reply).url, timeout=0.8, patience=3)
    done, peak = measure(missy, "ask", "hi", "--json")
    assert done.code in codes, (done.code, done.err[-500:], done.text[-500:])
    assert "Traceback" not in done.err
    assert peak - ordinary["MiB"] <= MOST


def nested(levels: int) -> str:
    return '{"a":' + "[" * levels + "]" * levels + "}"


def deep_text(levels: int) -> bytes:
    return (
        b'{"choices":[{"index":0,"delta":{"content":'
        + b'[{"text":' * levels
        + b'"x"'
        + b"}]" * levels
        + b"}}]}"
    )


def call(arguments: str) -> list[Any]:
    return chat_stream(tool_delta(0, "call_1", "f", arguments), finish="tool_calls")


def error(body: bytes, status: int = 500, *headers: tuple[str, str]) -> bytes:
    return response(status, body, *headers, kind="application/json")


event = partial(event_stream, sse(chat_chunk("text")))
# Replies that no parser of ours may trip over: name -> (reply, the exit codes that fit)
ODD: dict[str, tuple[Any, tuple[int, ...]]] = {
    **{f"JSON {levels} levels deep": (json_response(None)[:0] + response(200, b"[" * levels, kind="application/json"), (5,)) for levels in (500, 990, 200_000)},
    **{f"an event {levels} levels deep": (event_stream(b"data: " + b'{"a":' * levels + b"1" + b"}" * levels + b"\n\n"), (5, 6)) for levels in (500, 990, 100_000)},
    **{f"an error {levels} levels deep": (error(b'{"error":{"message":' + b"[" * levels + b"]" * levels + b"}}"), (5,)) for levels in (300, 500, 900, 970, 200_000)},
    **{f"text parts {levels} levels deep": (event_stream(b"data: " + deep_text(levels) + b"\n\n", sse(chat_chunk("x", "stop"))), (0, 5, 6)) for levels in (100, 330, 400, 480)},
    **{f"arguments {levels} levels deep": (call(nested(levels)), (0, 5)) for levels in (90, 300, 500, 900, 960, 980, 100_000)},
    "arguments of 4,300 digits": (call('{"a":' + "1" * 4300 + "}"), (0, 5)),
    "arguments of 5,000 digits": (call('{"a":' + "1" * 5000 + "}"), (5,)),
    "arguments that are parsed already, and deep": (
        event_stream(
            b'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"id":"c","function":{"name":"f","arguments":' + nested(950).encode() + b"}}]}}]}\n\n",
            sse(chat_chunk({}, "tool_calls")),
        ), (5, 6),
    ),
    "usage of 5,000 digits": (event(b'data: {"usage":{"prompt_tokens":' + b"1" * 5000 + b"}}\n\n"), (5, 6)),
    "usage of 4,300 digits": (event(b'data: {"choices":[],"usage":{"prompt_tokens":' + b"1" * 4300 + b"}}\n\n"), (5, 6)),
    "usage of other types": (chat_stream("x", usage={"prompt_tokens": "5", "completion_tokens": -5, "total_tokens": 1e3, "prompt_tokens_details": []}), (0,)),
    "choices that are an object": (event_stream(sse({"choices": {"a": 1}})), (5, 6)),
    "choices that are a number": (event_stream(sse({"choices": 5})), (5, 6)),
    "choices that are true": (event_stream(sse({"choices": True})), (5, 6)),
    "choices that are text": (event_stream(sse({"choices": "abc"})), (5, 6)),
    "whole choices that are a number": (json_response({"choices": 5}), (5,)),
    "whole choices of other types": (json_response({"choices": [5, None, "x", []]}), (5, 6)),
    "deltas of other types": (event_stream(sse({"choices": [{"index": 0, "delta": 5, "finish_reason": 5}]})), (5, 6)),
    "content of other types": (chat_stream({"content": {"a": 1}}, {"content": 5}, {"content": [1, None, {"text": 5}]}), (5, 6)),
    "calls of other types": (chat_stream({"tool_calls": {"a": 1}}, {"tool_calls": [1, {"function": 5}, {"index": True, "id": 5}]}), (5, 6)),
    "reasoning of other types": (chat_stream({"reasoning": 5, "reasoning_details": [1, "x", {"text": 5}]}, "x"), (0,)),
    "a model that is an object": (chat_stream("x", model={"a": 1}), (0,)),
    "a finish reason that is an object": (chat_stream("x", finish={"a": 1}), (6,)),
    "lone surrogates": (chat_stream("a\ud800b", tool_delta(0, "c\ud800", "f\ud800", '{"a":"\\ud800"}'), finish="tool_calls"), (0, 5)),
    "JSON that is text": (json_response("x"), (5,)),
    "JSON that is null": (json_response(None), (5,)),
    "nothing": (response(200), (5,)),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", (5,)),
    "101": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx", (5,)),
    "an error of other types": (error(b'{"error":{"message":{"a":1},"code":{"x":1},"type":[1]}}'), (5,)),
    "an error that is a list": (error(b"[1,2]"), (5,)),
    "an error with a code of 4,300 digits": (error(b'{"error":{"message":"x","code":' + b"1" * 4300 + b"}}"), (5,)),
    "an error of 5,000 digits": (error(b'{"error":{"code":' + b"1" * 5000 + b"}}"), (5,)),
    "a limit that resets at infinity": (error(b'{"error":{"message":"x","resets_at":1e999}}', 429), (7,)),
    "a limit that resets never": (error(b'{"error":{"message":"x","resets_at":NaN,"resets_in_seconds":-1}}', 429), (7,)),
    "a limit that resets in the year 3 million": (error(b'{"error":{"message":"x","resets_at":99999999999999}}', 429), (7,)),
    "a Retry-After that is no date": (error(b"{}", 429, ("Retry-After", "Fri, 31 Foo 99999999999 23:59:59 GMT")), (7,)),
    "a Retry-After that is no number": (error(b"{}", 429, ("Retry-After", "nan"), ("Retry-After", "-inf")), (7,)),
    "a charset of another kind": (response(500, b'{"error":{"message":"x"}}', kind="application/json; charset=rot13"), (5,)),
    "a charset for names": (response(500, b'{"error":{"message":"x"}}\xff', kind="application/json; charset=idna"), (5,)),
    "a compression nobody asked for": (response(200, b"xx", ("Content-Encoding", "br")), (5,)),
    "a broken compression": (response(200, b"xx", ("Content-Encoding", "gzip")), (5,)),
    "two compressions": (response(200, gzip.compress(gzip.compress(b"{}")), ("Content-Encoding", "gzip, gzip")), (5,)),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", (5,)),
    "a length below nothing": (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", (5,)),
    "a length of 5,000 digits": (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n{}", (5,)),
    "a chunk of 16^30 bytes": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\nxx", (5,)),
    "a chunk without a number": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx", (5,)),
    "a status of 99": (b"HTTP/1.1 99 Odd\r\n\r\n", (5,)),
    "a status of 999": (response(999, b"x"), (5,)),
    "a NUL in a header": (b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n", (5,)),
    "a content type in no encoding": (response(200, b"{}", kind="\xff\xfe"), (5,)),
    "HTTP/0.9": (b"hello world\n", (5,)),
    "HTTP/2": (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" * 10, (5,)),
    "SSH": (b"SSH-2.0-OpenSSH_9\r\n", (5,)),
}  # fmt: skip


@pytest.mark.parametrize("way", [chat_stream, chat_answer], ids=["stream", "whole"])
def test_brackets_in_a_text_are_no_flood(way, missy: Command, serve):
    """What is written in a string makes no values: a long text of brackets, commas and quotes is an answer as any other."""
    text = "[[{\"\\'," * 40_000
    missy.entry(serve(way(text)).url)
    done = missy("ask", "--json", "hi")
    assert (done.code, done.json()["text"]) == (0, text)


@pytest.mark.parametrize("name", ODD)
def test_no_odd_reply_is_a_fault_of_our_own(name, missy: Command, serve):
    """Each ends in the exit code that fits, with one JSON object that any parser reads, and without a traceback."""
    reply, codes = ODD[name]
    missy.entry(serve([reply, b""] if isinstance(reply, bytes) else reply).url, timeout=2)
    done = missy.inside("ask", "hi", "--json")
    assert done.code in codes, (done.code, done.err[-500:])
    assert "internal error" not in done.err
    value = json.loads(done.out, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    assert (value["error"] is None) == (done.code == 0)


@pytest.mark.parametrize("name", ODD)
def test_no_odd_reply_breaks_async_code(name, write_config, serve):
    """The async library has a typed error for each of them as well."""
    reply, codes = ODD[name]
    origin = serve([reply, b""] if isinstance(reply, bytes) else reply)
    outcome = ask("async", write_config(origin.url, timeout=2))
    assert outcome.code in codes, outcome.error


@pytest.mark.parametrize(
    "charset", ["bz2", "zlib", "hex", "rot13", "idna", "unicode_escape", "utf-16", "nonsense"]
)
def test_the_users_own_client_is_not_led_by_a_charset(charset, write_config, serve):
    """A charset that names some other codec decodes nothing: errors read as the JSON that they are."""
    import openai

    from missy import Missy

    origin = serve(
        response(500, b'{"error":{"message":"overloaded"}}', kind=f"application/json; charset={charset}")
    )
    with (
        Missy.open(write_config(origin.url)) as missy,
        pytest.raises(openai.InternalServerError, match="overloaded"),
    ):
        missy.openai_client().chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_no_argument(value, missy: Command, serve):
    """What Python's parser takes for a number and JSON does not know makes the arguments broken, not the output."""
    missy.entry(serve(call(f'{{"a":{value}}}')).url)
    done = missy.inside("ask", "hi", "--json")
    assert done.code == 5
    assert done.json()["tool_calls"] == []


def test_a_mutated_reply_never_is_a_fault_of_our_own(missy: Command, serve, write_config):
    """Five hundred good replies with a few bytes changed: an answer or a typed error, every time."""
    import random

    from missy import Missy, MissyError

    draw = random.Random(20261122)
    good = [
        b"".join(p for p in chat_stream("Hello", " world", usage={"prompt_tokens": 1})),
        chat_answer("hello"),
    ]
    turns = iter(range(500))

    def talk(_request, wire) -> None:
        reply = bytearray(good[next(turns) % 2])
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(reply))
            how = draw.randrange(3)
            if how == 0:
                reply[at] = draw.randrange(256)
            elif how == 1:
                del reply[at : at + draw.randint(1, 20)]
            else:
                reply[at:at] = bytes(draw.randrange(256) for _ in range(draw.randint(1, 5)))
        wire.send(bytes(reply))

    origin = serve(talk)
    codes: list[int] = []
    with Missy.open(write_config(origin.url, timeout=2)) as library:
        for _ in range(500):
            try:
                library.ask("hi").text()
                codes.append(0)
            except MissyError as raised:
                codes.append(raised.exit_code)
    assert set(codes) <= {0, 4, 5, 6, 7}
    assert codes.count(5) > 20
