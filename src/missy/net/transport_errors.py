"""The errors of sockets and of HTTP below `missy.net.core`, which turns each into a typed MissyError.

Their cause, where the system reported one, is the OSError.
"""

from __future__ import annotations


class TransportError(Exception):
    """Any of these errors; only the names below are raised."""


class Expired(TransportError):
    """The time given for one operation is over."""


class ConnectTimeout(Expired):
    """Connecting, or the TLS handshake, took too long."""


class ReadTimeout(Expired):
    """No bytes came in time."""


class WriteTimeout(Expired):
    """The peer took no bytes in time."""


class NetworkError(TransportError):
    """The connection failed."""


class ConnectError(NetworkError):
    """No connection, or no TLS."""


class ReadError(NetworkError):
    """The connection broke while reading."""


class WriteError(NetworkError):
    """The connection broke while writing."""


class RemoteProtocolError(TransportError):
    """The server does not follow HTTP, or ended its response early."""


class LocalProtocolError(TransportError):
    """A request cannot be sent as HTTP."""


class ProxyError(TransportError):
    """The proxy refused the tunnel."""
