"""When a request is resent automatically: its reused connection was closed before any byte of a reply (RFC 9112, 9.3.1).

A server may close an idle connection at any moment, also just as the next request is written to it. That is not an
error of the request, so it is sent once more over a new connection, and does not count as a retry.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from missy.net.stream_errors import ReadError, RemoteProtocolError, WriteError

if TYPE_CHECKING:
    from missy.net.gate import RequestContext

_CLOSED = (ConnectionResetError, BrokenPipeError, ConnectionAbortedError)
_NUMBERS = (errno.ENOTCONN, errno.ESHUTDOWN)


def was_closed_unused(error: BaseException, context: RequestContext) -> bool:
    """Tell whether a request failed because its connection was closed before any byte of the response, not by a timeout."""
    if context.bytes_in:
        return False
    if isinstance(error, RemoteProtocolError):  # without any byte, this can only be the closed connection
        return True
    if not isinstance(error, (ReadError, WriteError)):
        return False
    cause = error.__cause__
    if isinstance(cause, _CLOSED) or (isinstance(cause, OSError) and cause.errno in _NUMBERS):
        return True
    import ssl  # imported here: a plain connection needs none

    return isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
