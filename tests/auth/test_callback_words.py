"""What the person reads in the browser or at the terminal when an answer to a sign-in does not count: the true reason."""

from __future__ import annotations

import queue
import socket
from collections.abc import Iterator

import pytest

from missy.auth.callback import NotOurs, read_paste
from missy.auth.loopback import Listener
from tests.simulator.browser import get, visit

STATE = "right-state-of-this-sign-in-0123456789abcdef"

WRONG = {
    "": "it has no 'state'",
    "code=c": "it has no 'state'",
    f"code=c&state={STATE}&state={STATE}": "it has more than one 'state'",
    "code=c&state=other": "its 'state' belongs to another sign-in",
    f"state={STATE}": "it has no 'code'",
    f"state={STATE}&code=a&code=b": "it has more than one 'code'",
    f"state={STATE}&code=": "its 'code' is empty, too long, or contains characters that no code has",
    f"state={STATE}&code={'x' * 4097}": "its 'code' is empty, too long, or contains characters that no code has",
    f"state={STATE}&code=a%0Ab": "its 'code' is empty, too long, or contains characters that no code has",
    f"state={STATE}&error=": "it has no single 'error'",
    f"state={STATE}&error=a&error=b": "it has no single 'error'",
    f"state={STATE}&" + "&".join(["a=b"] * 32): "it has too many fields",
}
PASTES = {
    "just-a-code": "a code alone cannot be checked: paste the whole address, or code#state",
    "http://[::1": "it is not an address",
    "https://example.com/auth/callback": "it is not the address at the end of the sign-in",
    "http://127.0.0.1:1455/other": "it is not the address at the end of the sign-in",
}


@pytest.fixture
def answers() -> queue.SimpleQueue:
    return queue.SimpleQueue()


@pytest.fixture
def listener(answers) -> Iterator[Listener]:
    with Listener(STATE, answers.put, ports=(0,)) as one:
        yield one


@pytest.mark.parametrize("query", WRONG)
def test_a_callback_that_does_not_count_says_why(query, listener, answers):
    """The page has the one reason, with status 400, and the sign-in waits on."""
    status, _, text = get(f"{listener.redirect_uri}?{query}")
    assert status == 400
    said = text.replace("&#x27;", "'")
    assert f"This is not the result of the current sign-in: {WRONG[query]}." in said
    assert answers.empty()


@pytest.mark.parametrize("line", [*WRONG, *PASTES])
def test_a_paste_that_does_not_count_says_why(line):
    """The same reasons for the same faults, and those of a paste."""
    wanted = WRONG.get(line) or PASTES[line]
    if not line or line == "code=c":  # without a `state=` it is taken for a bare code
        wanted = PASTES["just-a-code"]
    with pytest.raises(NotOurs) as raised:
        read_paste(line, STATE)
    assert str(raised.value).startswith(wanted)


@pytest.mark.parametrize(
    ("request_line", "host", "status", "words"),
    [
        ("GET /auth/callback HTTP/9", "127.0.0.1:{port}", 400, "This is not a request."),
        (
            "GET /auth/callback HTTP/1.1",
            "evil.example:{port}",
            421,
            "This is not the host of this server.",
        ),
        ("POST /auth/callback HTTP/1.1", "localhost:{port}", 405, "Only GET is allowed here."),
        ("GET /elsewhere HTTP/1.1", "localhost:{port}", 404, "There is nothing here."),
        (
            "GET /success HTTP/1.1",
            "localhost:{port}",
            404,
            "There is nothing here.",
        ),  # not before there was one
        ("GET /" + "a" * 20_000 + " HTTP/1.1", "localhost:{port}", 431, "The request is too large."),
    ],
)
def test_a_request_that_is_no_callback_says_why(request_line, host, status, words, listener, answers):
    """Each kind of request has its own status and sentence."""
    head = f"{request_line}\r\nHost: {host.format(port=listener.port)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", listener.port), timeout=30) as sock:
        sock.sendall(head.encode())
        reply = b""
        while piece := sock.recv(65536):
            reply += piece
    assert reply.startswith(f"HTTP/1.1 {status} ".encode())
    assert words.encode() in reply
    assert answers.empty()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (
            "code=c",
            "Missy has the result of the sign-in. Go back to the terminal; this window can be closed.",
        ),
        ("error=access_denied", "The sign-in ended without a login: access_denied. Go back to the terminal."),
        ("error=x&error_description=You+said+no", "The sign-in ended without a login: You said no. Go back"),
    ],
)
def test_an_answer_that_counts_says_what_it_was(query, words, listener, answers):
    """The browser ends at a page that says whether it worked, in the issuer's words where it did not."""
    assert words in visit(f"{listener.redirect_uri}?{query}&state={STATE}").text
    assert not answers.empty()


def test_after_an_answer_there_is_its_page_and_nothing_else(listener, answers):
    """Another path is still not found, and shows nothing of the answer."""
    visit(f"{listener.redirect_uri}?code=c&state={STATE}")
    assert not answers.empty()
    reply = visit(listener.redirect_uri.replace("/auth/callback", "/elsewhere"))
    assert reply.status == 404
    assert "There is nothing here." in reply.text
