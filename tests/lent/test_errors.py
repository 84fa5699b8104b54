"""Errors of a lent client are Missy's and the package's at once, its timeouts are the caller's where they are shorter."""

from __future__ import annotations

import socket
import time
from typing import Any

import openai
import pytest

import missy as package
from tests.lent.conftest import ASK
from tests.servers import Gate, chat_answer, chat_error, chat_stream, response

LATE = 50.0  # seconds; far below the entry's own 60, far above what a busy machine needs for 0.3


def nobody() -> str:
    """A base URL where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


def hang(_request, wire):
    wire.wait_closed()


def raised(borrower: Any, client: Any, call: Any = None) -> Any:
    """Return what a call raises: an error of both families."""
    with pytest.raises(openai.OpenAIError) as caught:
        borrower.run(call or (lambda: client.chat.completions.create(**ASK)))
    error = caught.value
    assert isinstance(error, package.MissyError)
    assert error.hint
    assert str(error) == error.message
    return error


def test_no_connection(borrow, records):
    """A refused port is missy.ConnectionFailed and openai.APIConnectionError, with the request and the exit code."""
    borrower = borrow(nobody())
    error = raised(borrower, borrower.client())
    assert isinstance(error, package.ConnectionFailed)
    assert isinstance(error, openai.APIConnectionError)
    assert not isinstance(error, openai.APITimeoutError)
    assert (error.exit_code, error.type) == (5, "connection")
    assert error.request.url.path == "/v1/chat/completions"
    assert records()[-1]["error"] == "connection"


def test_no_answer_in_time(borrow, serve):
    """Silence is missy.TimedOut and openai.APITimeoutError."""
    borrower = borrow(serve(hang).url, timeout=0.3)
    error = raised(borrower, borrower.client())
    assert isinstance(error, package.TimedOut)
    assert isinstance(error, openai.APITimeoutError)
    assert error.exit_code == 5


def test_the_packages_own_retry_covers_connections_and_silence(borrow, serve):
    """With `max_retries` of the caller's, a broken connection and a timeout are tried again, and then answered."""
    for script in ([b""], hang, [b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"]):
        origin = serve(script, chat_answer("hello"))
        borrower = borrow(origin.url, timeout=0.5)
        assert borrower.ask(borrower.client().with_options(max_retries=1)) == "hello"
        assert len(origin.requests) == 2


def test_after_its_retries_the_error_is_ours_again(borrow, serve):
    """When all of them fail, what is raised says what it is."""
    origin = serve([b""])
    borrower = borrow(origin.url)
    error = raised(borrower, borrower.client().with_options(max_retries=1))
    assert isinstance(error, package.ConnectionFailed)
    assert len(origin.requests) == 2


def test_a_refusal_is_never_retried(borrow, serve, records):
    """One attempt, one line on record, however many retries are allowed."""
    borrower = borrow(serve(chat_answer()).url)
    client = borrower.client().with_options(max_retries=5)
    error = raised(borrower, client, lambda: client.get("https://example.com/", cast_to=object))
    assert (error.exit_code, error.rule) == (3, "entry_only")
    assert len(records()) == 1


def test_a_refused_endpoint_is_refused_before_its_key_is_looked_for(borrow, records):
    """An address that is not public: PolicyError, though the key's reference leads nowhere."""
    borrower = borrow("https://10.0.0.1/v1", api_key="$NOT_THERE")
    error = raised(borrower, borrower.client())
    assert error.exit_code == 3
    assert [line["event"] for line in records()] == ["refused"]


def test_a_missing_key_is_told(borrow, serve):
    """A reference that resolves to nothing: CredentialError, exit code 4, nothing sent."""
    origin = serve(chat_answer())
    borrower = borrow(origin.url, api_key="$NOT_THERE")
    assert raised(borrower, borrower.client()).exit_code == 4
    assert origin.connections == 0


def test_what_the_server_says_is_the_packages_to_tell(borrow, serve):
    """A status of 4xx or 5xx is the package's own error, with its status and body."""
    borrower = borrow(serve(chat_error(404, "no such model")).url)
    client = borrower.client()
    with pytest.raises(openai.NotFoundError, match="no such model"):
        borrower.run(lambda: client.chat.completions.create(**ASK))


BY = {
    "the request": lambda c, t: c.chat.completions.create(**ASK, timeout=t),
    "with_options": lambda c, t: c.with_options(timeout=t).chat.completions.create(**ASK),
    "a Timeout": lambda c, t: c.with_options(timeout=openai.Timeout(60, read=t)).chat.completions.create(
        **ASK
    ),
    "the client": lambda c, t: (setattr(c, "timeout", t), c.chat.completions.create(**ASK))[1],
}


@pytest.mark.parametrize("by", BY)
def test_the_callers_shorter_timeout_counts(by, borrow, serve):
    """Whichever way it is given, silence lasts as long as the caller said."""
    borrower = borrow(serve(hang).url)
    client, begun = borrower.client(), time.monotonic()
    error = raised(borrower, client, lambda: BY[by](client, 0.3))
    assert 0.28 <= time.monotonic() - begun < LATE
    assert "0.3" in error.message


@pytest.mark.parametrize("by", BY)
def test_the_entrys_shorter_timeout_counts(by, borrow, serve):
    """A caller cannot wait longer than the entry allows."""
    borrower = borrow(serve(hang).url, timeout=0.3)
    client, begun = borrower.client(), time.monotonic()
    raised(borrower, client, lambda: BY[by](client, 60))
    assert time.monotonic() - begun < LATE


def test_silence_inside_a_stream_is_a_timeout_too(borrow, serve):
    """After some events nothing more: the same error out of the stream."""
    gate = Gate()
    borrower = borrow(serve(chat_stream("one", gate)).url)
    client = borrower.client()
    with pytest.raises(package.TimedOut) as caught:
        borrower.read(client.with_options(timeout=0.3))
    gate.open()
    assert isinstance(caught.value, openai.APITimeoutError)
    assert len(borrower.so_far) == 1


def test_raw_and_streaming_responses_work(borrow, serve):
    """`with_raw_response` and `with_streaming_response` are the package's own, and no fingerprint goes out for it."""
    origin = serve(response(200, chat_answer("hello").partition(b"\r\n\r\n")[2], kind="application/json"))
    borrower = borrow(origin.url)
    client = borrower.client()
    made = borrower.run(lambda: client.chat.completions.with_raw_response.create(**ASK))
    assert made.headers["content-type"] == "application/json"
    assert made.parse().choices[0].message.content == "hello"
    if borrower.way == "sync":
        with client.chat.completions.with_streaming_response.create(**ASK) as opened:
            assert opened.parse().choices[0].message.content == "hello"
    else:

        async def read() -> Any:
            async with client.chat.completions.with_streaming_response.create(**ASK) as opened:
                return await opened.parse()

        assert borrower.run(read).choices[0].message.content == "hello"
    names = {name.lower() for request in origin.requests for name, _ in request.headers}
    assert not any(name.startswith("x-stainless") for name in names)
