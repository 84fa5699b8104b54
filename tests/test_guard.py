"""The guard that all other tests rely on."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

import pytest

from tests.command import Command
from tests.servers import Origin, chat_answer, chat_stream


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("93.184.215.14", 443), ("2001:db8::1", 443)])
def test_a_test_cannot_connect_beyond_loopback(address):
    """A connection to any other address is an error, before a packet leaves."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as sock, pytest.raises(PermissionError, match="not loopback"):
        sock.connect(address)


def test_a_test_cannot_look_up_a_name():
    """A name other than localhost is never asked for, by asyncio's resolver neither."""
    with pytest.raises(PermissionError):
        socket.getaddrinfo("example.com", 443)
    with pytest.raises(PermissionError):
        asyncio.run(asyncio.wait_for(_connect("example.com"), 10))


async def _connect(host: str) -> None:
    await asyncio.open_connection(host, 443)


def test_a_child_is_guarded_and_traced(missy: Command):
    """A child process inherits the guard, and what it tried is written down."""
    code = "import socket; socket.create_connection(('192.0.2.1', 443))"
    done = subprocess.run([sys.executable, "-c", code], env=missy.env(), capture_output=True, check=False)
    assert done.returncode == 1
    assert missy.attempts() == ["ok lookup '192.0.2.1'", "FORBIDDEN connect 192.0.2.1:443"]
    missy.trace.unlink()


def test_the_origin_sends_what_it_is_told_and_keeps_what_came():
    """The test server speaks to a plain socket byte for byte, connection after connection."""
    with Origin(chat_answer("one"), chat_stream("two")) as origin:
        for expected in (b"one", b"two"):
            with socket.create_connection(("127.0.0.1", origin.port)) as sock:
                sock.sendall(b"POST /v1/x HTTP/1.1\r\nHost: h\r\nX-a: B\r\nContent-Length: 2\r\n\r\n{}")
                seen = b""
                while b"one" not in seen and b"0\r\n\r\n" not in seen:
                    seen += sock.recv(65536)
                assert expected in seen
    assert [request.connection for request in origin.requests] == [1, 2]
    assert origin.last.headers == (("Host", "h"), ("X-a", "B"), ("Content-Length", "2"))
    assert origin.last.json() == {}
