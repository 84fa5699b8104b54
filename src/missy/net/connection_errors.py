"""Connection errors: each error of socket, TLS or HTTP becomes one typed error with a hint."""

from __future__ import annotations

import errno

from missy.errors import BadReply, ConnectionFailed, MissyError, ProviderError, TimedOut
from missy.net.stream_errors import (
    ConnectError,
    LocalProtocolError,
    ProxyError,
    RemoteProtocolError,
    StreamError,
    StreamTimeout,
)

_WORDS = {
    errno.ECONNREFUSED: ("connection refused", "is the server running, and is the port right?"),
    errno.EHOSTUNREACH: ("no route to the host", "check the network"),
    errno.ENETUNREACH: ("the network is unreachable", "check the network"),
    errno.ECONNRESET: ("the server reset the connection", "try again"),
    errno.EADDRNOTAVAIL: ("the address is not available on this machine", "check the host in base_url"),
}


def unreachable(host: str, port: int, error: OSError) -> ConnectionFailed:
    """Return the error for a connection that could not be made."""
    words, hint = _WORDS.get(
        error.errno or 0, (error.strerror or str(error) or type(error).__name__, "check the network")
    )
    failed = ConnectionFailed(f"could not connect to {host}:{port}: {words}", hint=hint)
    failed.unsent = True
    return failed


def broken(host: str, port: int, error: OSError) -> ConnectionFailed:
    """Return the error for a connection that was there and is no more."""
    words, _hint = _WORDS.get(error.errno or 0, (error.strerror or type(error).__name__, ""))
    return ConnectionFailed(f"the connection to {host}:{port} broke: {words}", hint="try again")


def untrusted(host: str, port: int, error: Exception) -> ConnectionFailed:
    """Return the error for a TLS handshake that failed."""
    import ssl  # it is loaded: without TLS there is nothing to be trusted

    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectionFailed(
            f"the certificate of {host}:{port} is not trusted: {error.verify_message}",
            hint="if the network has its own root certificate, name its PEM file in network.ca_bundle",
        )
    if isinstance(error, ssl.SSLError):
        return ConnectionFailed(
            f"no TLS with {host}:{port}: {error.reason or error}", hint="does that port speak https?"
        )
    return ConnectionFailed(
        f"the TLS handshake with {host}:{port} broke off", hint="does that port speak https?"
    )


def translate(error: BaseException, host: str, port: int) -> BaseException:
    """Return the typed error for an error of `stream_errors`; our own errors and signals are returned unchanged."""
    if isinstance(error, MissyError) or not isinstance(error, Exception):
        return error
    if isinstance(error, StreamTimeout):
        return TimedOut(f"{host}:{port} did not answer in time")
    if isinstance(error, RemoteProtocolError):
        text = str(error)
        if "peer closed" in text or "incomplete" in text:
            return ConnectionFailed(f"{host}:{port} broke off in the middle of its reply", hint="try again")
        if "without sending" in text or "without response" in text:
            return ConnectionFailed(
                f"{host}:{port} closed the connection without an answer", hint="try again"
            )
        return BadReply(
            f"{host}:{port} does not answer in HTTP: {text[:200]}", hint="check the port in base_url"
        )
    if isinstance(error, LocalProtocolError):
        return ProviderError(f"the request cannot be sent as HTTP: {str(error)[:200]}")
    if isinstance(error, ProxyError):
        return ConnectionFailed(
            f"the proxy refused to connect to {host}:{port}: {str(error)[:200]}", hint="see network.proxy"
        )
    if isinstance(error, (StreamError, OSError)):
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno:
            is_new = isinstance(error, ConnectError)
            return (unreachable if is_new else broken)(host, port, cause)
        return ConnectionFailed(
            f"the connection to {host}:{port} broke: {str(error)[:200] or 'closed'}", hint="try again"
        )
    return error
