"""The callback: one valid answer ends the wait, and nothing else does, whatever it is."""

from __future__ import annotations

import itertools
import queue
import socket
import sys
import threading
import time
from urllib.parse import quote

import pytest

from missy.auth import loopback
from missy.auth.callback import NotOurs, judge, read_paste
from missy.auth.loopback import Listener, PortsTaken
from tests.simulator.browser import get, visit

STATE = "right-state-of-this-sign-in-0123456789abcdef"
CODE = "ac_the-code"

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get")
PATHS = (
    "/auth/callback", "/auth/callback/", "//auth/callback", "/auth/Callback", "/auth%2fcallback", "/auth/./callback",
    "/cancel", "/favicon.ico", "/", "/success", "/failed", "/auth/callback;x", "http://127.0.0.1/auth/callback",
)  # fmt: skip
HOSTS = (
    "Host: 127.0.0.1:{port}", "", "Host: 127.0.0.1:{port}\r\nHost: 127.0.0.1:{port}", "Host: 127.0.0.1:1",
    "Host: 127.0.0.1", "Host: evil.example:{port}", "Host: localhost.evil.example:{port}", "Host: [::1]:{port}",
    "Host: 127.0.0.1:{port}@evil", " Host: 127.0.0.1:{port}",
)  # fmt: skip
STATES = (
    f"state={STATE}", "state=another-session", "", f"state={STATE}&state={STATE}", f"state={STATE}&state=x", "state=",
    f"state={STATE[:-1]}", f"state={STATE}%00", f"State={STATE}", f"state={STATE.upper()}",
)  # fmt: skip
CODES = (
    f"code={CODE}", "", "code=", f"code={CODE}&code={CODE}", f"code={CODE}&code=other", "code=" + "x" * 5000,
    "code=a%20b", "code=%C3%A9", "code=%FF", "code=a%0D%0Ab", f"Code={CODE}",
)  # fmt: skip
AXES = (METHODS, PATHS, HOSTS, STATES, CODES)


def matrix() -> list[tuple[str, ...]]:
    """Every request with one or two things wrong with it."""
    right = tuple(axis[0] for axis in AXES)
    cases = set()
    for first, second in itertools.combinations(range(len(AXES)), 2):
        for a, b in itertools.product(AXES[first], AXES[second]):
            case = list(right)
            case[first], case[second] = a, b
            cases.add(tuple(case))
    cases.discard(right)
    return sorted(cases)


def send(port: int, data: bytes, *, end: bool = True) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(data)
        if end:
            sock.shutdown(socket.SHUT_WR)
        reply = b""
        while piece := sock.recv(65536):
            reply += piece
        return reply


@pytest.fixture
def answers():
    return queue.SimpleQueue()


@pytest.fixture
def listener(answers):
    with Listener(STATE, answers.put, ports=(0,)) as one:
        yield one


def address(listener: Listener, code: str = CODE, state: str = STATE) -> str:
    return f"{listener.redirect_uri}?code={quote(code)}&scope=openid&state={quote(state)}"


def test_of_all_wrong_requests_none_counts_and_none_ends_the_wait(listener, answers):
    """Each request with one or two things wrong is answered or dropped, and the right one still counts afterwards."""
    cases = matrix()
    assert len(cases) > 800
    for method, path, host, state, code in cases:
        host_line = host.format(port=listener.port)
        query = "&".join(part for part in (code, state) if part)
        head = f"{method} {path}?{query} HTTP/1.1\r\n{host_line}\r\n" + ("\r\n" if host_line else "")
        reply = send(listener.port, head.encode())
        assert answers.empty(), (method, path, host, state, code)
        assert reply.startswith(b"HTTP/1.1 4"), (reply[:60], head)
        assert CODE.encode() not in reply
        assert STATE.encode() not in reply
    visit(address(listener))
    assert answers.get(timeout=10).code.reveal() == CODE


BROKEN = [
    b"", b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"GET\r\n\r\n", b"GET /auth/callback\r\n\r\n",
    b"GET /auth/callback?code=a&state=%b HTTP/2\r\nHost: 127.0.0.1\r\n\r\n" % STATE.encode(),
    b"GET  /auth/callback HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\xff\xfe\r\n\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", b"x" * 3_000_000, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 4000 + b"\r\n",
    b"GET / HTTP/1.1\r\nNo colon\r\n\r\n", b"GET /auth/callback#frag HTTP/1.1\r\n\r\n",
    b"GET /auth/callback?" + b"&".join(b"a=b" for _ in range(2000)) + b" HTTP/1.1\r\n\r\n",
]  # fmt: skip


@pytest.mark.parametrize("data", BROKEN, ids=range(len(BROKEN)))
def test_broken_and_huge_requests_do_not_end_the_wait(listener, answers, data):
    """What is no request, or no end of one, costs its sender the connection and the sign-in nothing."""
    try:
        send(listener.port, data)
    except OSError:  # the listener may hang up in the middle of three megabytes
        pass
    assert answers.empty()
    visit(address(listener))
    assert answers.get(timeout=10).code.reveal() == CODE


def test_slow_clients_hold_up_nobody(listener, answers):
    """With more silent connections open than the listener keeps, the browser is answered at once."""
    idle = [
        socket.create_connection(("127.0.0.1", listener.port)) for _ in range(loopback.CONNECTION_LIMIT + 20)
    ]
    for sock in idle:
        sock.sendall(b"GET /auth/callback?co")
    assert visit(address(listener)).status == 200
    assert answers.get(timeout=10).code.reveal() == CODE
    for sock in idle:
        sock.close()


def test_a_slow_client_is_told_and_dropped(answers):
    """A connection that sends no whole request in its time is ended with 408."""
    with Listener(STATE, answers.put, ports=(0,), patience=0.2) as listener:
        assert send(listener.port, b"GET /auth/callback", end=False).startswith(b"HTTP/1.1 408")


def test_a_request_that_comes_byte_by_byte_counts(listener, answers):
    """How the bytes of a request are cut into packets changes nothing."""
    head = f"GET /auth/callback?code={CODE}&state={STATE} HTTP/1.1\r\nhost: localhost:{listener.port}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", listener.port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head.encode():
            sock.sendall(bytes([byte]))
        assert sock.recv(65536).startswith(b"HTTP/1.1 302")
    assert answers.get(timeout=10).code.reveal() == CODE


def test_the_page_holds_no_token_and_no_query(listener):
    """The browser ends at an address without a query; nothing is cached, no referrer is sent, no script runs."""
    status, headers, text = get(address(listener))
    assert (status, headers["location"]) == (302, "/success")
    page = visit(address(listener))
    assert page.addresses[-1] == f"http://127.0.0.1:{listener.port}/success"
    for shown in (text, page.text, str(headers)):
        assert CODE not in shown
        assert STATE not in shown
    status, headers, _ = get(f"http://127.0.0.1:{listener.port}/success")
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_the_answer_is_given_once(listener, answers):
    """A reload of the callback, or a second valid code, shows the page again and is no second answer."""
    visit(address(listener))
    visit(address(listener))
    assert visit(address(listener, code="another")).status == 200
    assert answers.get(timeout=10).code.reveal() == CODE
    assert answers.empty()


def test_an_error_with_the_right_state_ends_the_wait_and_is_escaped(listener, answers):
    """`error=` ends the sign-in; what the issuer wrote is shown as text, never as HTML."""
    hostile = quote("<script>alert(1)</script>")
    base = f"{listener.redirect_uri}?error=access_denied&error_description={hostile}"
    assert get(f"{base}&state=wrong")[0] == 400
    assert answers.empty()
    page = visit(f"{base}&state={STATE}")
    assert page.addresses[-1].endswith("/failed")
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text
    answer = answers.get(timeout=10)
    assert (answer.code, answer.error, answer.description) == (
        None,
        "access_denied",
        "<script>alert(1)</script>",
    )


def test_a_taken_port_moves_to_the_next_and_the_redirect_follows(answers):
    """The redirect names the port that was free; with none free the error says so; the holder is sent nothing."""
    with socket.create_server(("127.0.0.1", 0)) as holder, socket.create_server(("127.0.0.1", 0)) as second:
        taken, other = holder.getsockname()[1], second.getsockname()[1]
        with pytest.raises(PortsTaken, match=f"{taken} and {other}"):
            Listener(STATE, answers.put, ports=(taken, other))
        with Listener(STATE, answers.put, ports=(taken, 0)) as listener:
            assert listener.port not in (taken, 0)
            assert listener.redirect_uri == f"http://127.0.0.1:{listener.port}/auth/callback"
        holder.setblocking(False)
        with pytest.raises(BlockingIOError):
            holder.accept()


def test_closing_frees_the_port_at_once(answers):
    """After a sign-in the port is free again and no thread is left."""
    with Listener(STATE, answers.put, ports=(0,)) as listener:
        get(f"http://127.0.0.1:{listener.port}/")
        began = time.monotonic()
    assert time.monotonic() - began < loopback.PAGE_SECONDS
    Listener(STATE, answers.put, ports=(listener.port,)).close()
    assert not [thread for thread in threading.enumerate() if thread.name == "sign-in callback"]


def test_closing_while_somebody_connects_is_no_error(answers):
    """The listener may see for itself that it is to stop, and be gone before it is told: closing ends in peace."""
    listener = Listener(STATE, answers.put, ports=(0,))
    thread = next(one for one in threading.enumerate() if one.name == "sign-in callback")

    def before_it_is_told(_frame, event, what):
        if event == "c_call" and what.__name__ == "send" and thread.is_alive():
            socket.create_connection(("127.0.0.1", listener.port)).close()
            thread.join(30)

    sys.setprofile(before_it_is_told)
    try:
        listener.close()
    finally:
        sys.setprofile(None)
    assert not thread.is_alive()


GOOD_PASTES = [
    f"http://127.0.0.1:1455/auth/callback?code={CODE}&state={STATE}",
    f"  'http://localhost:1457/auth/callback?state={STATE}&scope=a+b&code={CODE}' ",
    f"<http://127.0.0.1:1455/auth/callback?code={CODE}&state={STATE}>",
    f"code={CODE}&state={STATE}", f"?state={STATE}&code={CODE}", f"{CODE}#{STATE}",
]  # fmt: skip
BAD_PASTES = [
    CODE, f"{CODE}#", f"{CODE}#wrong", f"#{STATE}", f"code={CODE}", f"code={CODE}&state=wrong", "http://", "http://[::1",
    f"http://127.0.0.1:1455/auth/callback?code={CODE}", f"http://127.0.0.1:1455/auth/callback?code={CODE}&state=wrong",
    f"https://auth.openai.com/oauth/authorize?state={STATE}&code={CODE}",
    f"http://evil.example/auth/callback?code={CODE}&state={STATE}", f"http://127.0.0.1:1455/?code={CODE}&state={STATE}",
    f"{CODE}#{STATE}#x", f"a b#{STATE}", "x" * 70_000, f"code=a&code=b&state={STATE}", f"http://127.0.0.1:1455/auth/callback#code={CODE}&state={STATE}",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD_PASTES)
def test_a_pasted_address_or_code_with_its_state_counts(text):
    """All that a person can reasonably copy is understood."""
    assert read_paste(text, STATE).code.reveal() == CODE


@pytest.mark.parametrize("text", BAD_PASTES)
def test_a_paste_without_the_right_state_never_counts(text):
    """A bare code, another sign-in's address, a foreign address: refused with the reason, which shows no code."""
    with pytest.raises(NotOurs) as caught:
        read_paste(text, STATE)
    assert CODE not in str(caught.value)


def test_two_errors_or_too_many_fields_are_no_answer():
    """An answer that contradicts itself is none, even with the right state."""
    for query in (
        f"state={STATE}&error=a&error=b",
        f"state={STATE}&error=",
        f"state={STATE}&" + "&".join(["a=b"] * 40),
    ):
        with pytest.raises(NotOurs):
            judge(query, STATE)
