"""When a request may be sent a second time unasked: its connection had been closed, and not a byte of a reply had come.

A server may close a connection that serves again at any moment, also just as the next request is written to it. That
says nothing about the request, so it goes out once more over a new connection, and nobody is asked for a retry.
"""

from __future__ import annotations

import errno
import ssl
from typing import TYPE_CHECKING

import httpcore2

if TYPE_CHECKING:
    from missy.net.gate import RequestContext

_CLOSED = (
    ConnectionResetError,
    BrokenPipeError,
    ConnectionAbortedError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)
_NUMBERS = (errno.ENOTCONN, errno.ESHUTDOWN)


def was_closed_unused(error: BaseException, context: RequestContext) -> bool:
    """Tell whether a request failed because its connection was closed before any byte of the reply; no timeout is that."""
    if context.bytes_in:
        return False
    if isinstance(error, httpcore2.RemoteProtocolError):  # without a byte, it can only be the end
        return True
    if not isinstance(error, (httpcore2.ReadError, httpcore2.WriteError)):
        return False
    cause = error.__cause__
    return isinstance(cause, _CLOSED) or (isinstance(cause, OSError) and cause.errno in _NUMBERS)
