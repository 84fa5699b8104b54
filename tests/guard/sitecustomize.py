"""The guard: no connection but to loopback, and no name but `localhost`, in the tests and in every child of theirs.

It is an audit hook of the interpreter, so nothing of Missy's is patched and nothing of Missy's can go round it. The
test process installs it from conftest.py; children find this folder on PYTHONPATH. Every attempt, allowed or not, is a
line in the file that MISSY_TEST_TRACE names, so that a test can show that nothing was tried at all.
"""

from __future__ import annotations

import contextlib
import os
import sys
from ipaddress import ip_address

_EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")


def _is_loopback(host: object) -> bool:
    """Tell whether `host` stays on this machine."""
    text = host.decode() if isinstance(host, bytes) else str(host)
    if text in {"localhost", ""}:
        return True
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified  # which the system takes for this machine


def _is_literal(host: object) -> bool:
    """Tell whether `host` is an address already: to parse one asks nobody."""
    try:
        ip_address(host.decode() if isinstance(host, bytes) else str(host))
    except ValueError:
        return False
    return True


def _trace(line: str) -> None:
    """Add a line to the trace, in one write, so that lines of several processes do not mix."""
    path = os.environ.get("MISSY_TEST_TRACE")
    if path:
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            os.write(handle, line.encode() + b"\n")
            os.close(handle)


def _watch(event: str, args: tuple[object, ...]) -> None:
    if event not in _EVENTS:
        return
    if event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        host = args[0]
        allowed = host is None or _is_loopback(host) or _is_literal(host)
        what = f"lookup {host!r}"
    else:
        address = args[-1]
        if not isinstance(address, tuple):  # a unix socket, or a datagram socket that is connected already
            return
        allowed = _is_loopback(address[0])
        what = f"connect {address[0]}:{address[1]}"
    _trace(f"{'ok' if allowed else 'FORBIDDEN'} {what}")
    if not allowed:
        raise PermissionError(f"the test guard: {what} is not loopback")


sys.addaudithook(_watch)
