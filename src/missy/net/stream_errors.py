"""What goes wrong on a connection: errors of streams and of HTTP, which `connection_errors.translate` gives their types.

They carry no host: the code that raises them does not know which request it works for.
"""

from __future__ import annotations


class StreamError(Exception):
    """The network failed; the cause is an OSError where there is one."""


class ConnectError(StreamError):
    """A connection or its TLS could not be made."""


class ReadError(StreamError):
    """Nothing can be read any more."""


class WriteError(StreamError):
    """Nothing can be written any more."""


class StreamTimeout(Exception):
    """A step took longer than it was given."""


class ConnectTimeout(StreamTimeout):
    """A connection, or its TLS."""


class ReadTimeout(StreamTimeout):
    """A read."""


class WriteTimeout(StreamTimeout):
    """A write."""


class ProxyError(Exception):
    """The proxy did not make a tunnel."""


class LocalProtocolError(Exception):
    """A request cannot be sent as HTTP."""


class RemoteProtocolError(Exception):
    """A response is not HTTP, or breaks off."""
