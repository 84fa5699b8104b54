"""The record: a line for every request and every connection, allowed or refused, before a byte of it leaves."""

from __future__ import annotations

import pytest

from missy import BadReply, MissyError, PolicyError, TimedOut
from missy.audit import verify
from tests.net.conftest import ask, send
from tests.servers import CUT, Gate, chat_answer, chat_error, chat_stream, response

CANARY = "canary-in-the-query"


def test_the_lines_are_there_before_the_request_is(way, make_door, serve, record):
    """When the server reads the request, the audit names it already; its end comes after the reply."""
    seen = []

    def look(request, wire):
        seen.extend(record.kinds())
        return response(200, b"ok")

    origin = serve(look)
    send(way, make_door(origin.url), origin.url)
    assert [event for event, _ in seen] == ["request", "connect", "end"]
    assert [event for event, _ in record.kinds()] == ["request", "connect", "end", "end"]
    assert {rule for _, rule in record.kinds()} == {"entry:e0"}


def test_a_line_says_who_where_what_and_how_much(way, write_config, serve, home):
    """Time, category, host, port, method, path, status, bytes, credential, rule and duration, and no more of it."""
    from missy.audit import whole_lines

    origin = serve(chat_answer("hello", "stop"))
    config = write_config(origin.url + "/deep", api_key="sk-canary-of-the-record")
    assert ask(way, config, stream=False).text == "hello"
    lines = [line for _, line in whole_lines(home / "audit.jsonl")]
    end = lines[-1]
    expected = {
        "event": "end", "category": "provider", "entry": "test", "host": "127.0.0.1", "port": origin.port, "method": "POST",
        "path": "/v1/deep/chat/completions", "credential": "config:test.api_key", "rule": "entry:test", "status": 200, "outcome": "ok",
    }  # fmt: skip
    assert {name: end[name] for name in expected} == expected
    assert end["bytes_out"] > len(origin.last.body)
    assert end["bytes_in"] > len(b"hello")
    assert 0 <= end["duration_ms"] < 20_000
    assert "canary" not in (home / "audit.jsonl").read_text()
    assert verify(home / "audit.jsonl").ok


def test_a_query_is_not_recorded(way, make_door, serve, record):
    """What follows the question mark may be a secret: it is sent, and not written down."""
    origin = serve(response(200, b"ok"))
    send(way, make_door(origin.url), f"{origin.url}?token={CANARY}")
    assert CANARY in origin.last.path
    assert CANARY not in record.path.read_text()


@pytest.mark.parametrize(
    ("reply", "status", "outcome", "error"),
    [
        (response(500, b"no"), 500, "ok", ""),
        (response(302, b"", ("Location", "http://127.0.0.1:1/")), 302, "ok", ""),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", CUT], 200, "failed", "connection"),
        ([CUT], None, "failed", "connection"),
        (b"garbage\r\n\r\n", None, "failed", "bad_reply"),
        (lambda _request, wire: wire.wait_closed() and None, None, "failed", "timeout"),
    ],
    ids=["500", "302", "cut in the body", "cut before the head", "garbage", "silence"],
)
def test_every_end_is_recorded(reply, status, outcome, error, way, make_door, serve, record):
    """However a request ends, its last line says how."""
    origin = serve(reply)
    try:
        send(way, make_door(origin.url), origin.url, timeout=0.3)
    except MissyError:
        pass
    end = record.lines()[-1]
    assert (end["event"], end["status"], end["outcome"], end["error"]) == ("end", status, outcome, error)
    opened = [line["id"] for line in record.lines() if line["event"] in ("request", "connect")]
    ended = [line["id"] for line in record.lines() if line["event"] == "end"]
    assert sorted(opened) == sorted(ended)


def test_an_answer_that_is_dropped_half_way_is_recorded(write_config, serve, home):
    """A reader that stops reading ends the request: the connection is closed, and the line says how much had come."""
    from missy import Missy
    from missy.audit import whole_lines

    gate = Gate()
    closed = []

    def talk(request, wire):
        wire.send_all(chat_stream("hello", done=False)[:2])
        gate.arrived.set()
        closed.append(wire.wait_closed())

    origin = serve(talk)
    with Missy.open(write_config(origin.url)) as missy:
        answer = missy.ask("hi")
        next(iter(answer))
        assert gate.arrived.wait(20)
        answer.close()
    lines = [line for _, line in whole_lines(home / "audit.jsonl")]
    assert lines[-1]["event"] == "end"
    assert lines[-1]["bytes_in"] > 0


def test_every_refusal_is_recorded(way, make_door, record, table):
    """Not listed, not https, private, no URL, resolved to a private address: each leaves a line with its rule."""
    table.names["host.example.com"] = ["10.0.0.1"]
    door = make_door("https://host.example.com/")
    for url in (
        "https://evil.example.com/",
        "http://evil.example.com/",
        "https://10.0.0.1/",
        "https://a_b.example.com/",
        "https://host.example.com/",
    ):
        with pytest.raises(PolicyError):
            send(way, door, url)
    refused = [(line["rule"], line["host"]) for line in record.lines() if line["event"] == "refused"]
    assert [rule for rule, _ in refused] == [
        "default_deny",
        "https_required",
        "default_deny",
        "invalid",
        "private_address",
    ]
    assert len(record.lines()) == 5 + 2  # the last one was a request until its address was known


def test_what_cannot_be_recorded_is_not_sent(way, make_door, serve, record):
    """With an audit that cannot be written, no connection is opened."""
    record.path.mkdir()
    origin = serve(response(200, b"ok"))
    with pytest.raises(MissyError, match="nothing was sent"):
        send(way, make_door(origin.url), origin.url)
    assert origin.connections == 0


def test_an_allowed_endpoint_cannot_be_reached_while_a_refusal_cannot_be_recorded(way, make_door, record):
    """A refusal that cannot be written down stays a refusal."""
    record.path.mkdir()
    with pytest.raises(MissyError):
        send(way, make_door(), "https://evil.example.com/")


def test_a_reply_over_the_limit_is_an_error_and_recorded(make_door, serve, record):
    """`Door.request` reads no more than it was told to."""
    origin = serve(response(200, b"x" * 5000))
    with pytest.raises(BadReply, match="longer than 4999"):
        make_door(origin.url).request("GET", origin.url, timeout=20, limit=4999)
    reply = make_door(origin.url).request("GET", origin.url, timeout=20, limit=5000)
    assert (reply.status, len(reply.body), reply.headers["content-length"]) == (200, 5000, "5000")
    assert {line["event"] for line in record.lines()} == {"request", "connect", "end"}


def test_a_request_ends_at_its_deadline(make_door, serve):
    """`deadline` counts for the whole, however lively the reply is."""

    def talk(request, wire):
        wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            wire.send(b"x" * 10)

    origin = serve(talk)
    with pytest.raises((TimedOut, BadReply)):
        make_door(origin.url).request("GET", origin.url, timeout=20, deadline=0.3, limit=1 << 30)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[" * 100_000, b'{"a":' + b"9" * 5000 + b"}", b"\xff", b"[" + b"[]," * 200_000 + b"[]]"],
)
def test_a_body_that_is_no_sound_json_is_a_bad_reply(body, make_door, serve):
    """`Reply.json()` has one error for whatever is wrong with it."""
    origin = serve(response(200, body))
    with pytest.raises(BadReply, match="not JSON"):
        make_door(origin.url).request("GET", origin.url, timeout=20).json()


def test_connections_of_failed_replies_are_not_kept(way, make_door, serve):
    """A reply that cannot be read leaves no open connection behind."""
    import os

    origin = serve(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nxx")
    door = make_door(origin.url)
    for count in range(12):
        with pytest.raises(BadReply, match="compressed as 'br'"):
            send(way, door, origin.url)
        if count == 1:
            before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before + 4


def test_an_error_of_the_chat_endpoint_is_recorded_with_its_status(way, write_config, serve, home):
    """A refused key leaves the endpoint's status in the record, and the key nowhere."""
    from missy.audit import whole_lines

    origin = serve(chat_error(401, "Incorrect API key provided: sk-canary-echo"))
    outcome = ask(way, write_config(origin.url, api_key="sk-canary-echo"))
    assert outcome.code == 4
    lines = [line for _, line in whole_lines(home / "audit.jsonl")]
    assert lines[-1]["status"] == 401
    assert "canary" not in (home / "audit.jsonl").read_text()
    assert "canary" not in str(outcome.error)
