"""HTTP for the callback listener: parsing a request, building a response. Pure: no I/O.

A page never contains a code, a state or a query, and text from the issuer is escaped.
"""

from __future__ import annotations

import html

from missy.auth.callback import CallbackResult

_REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
            408: "Request Timeout", 421: "Misdirected Request", 431: "Request Header Fields Too Large"}  # fmt: skip


def parse_request(head: bytes) -> tuple[str, str, str, str] | None:
    """Parse a request head to method, path, query and Host; None unless it is one plain HTTP/1 request."""
    try:
        lines = head.decode("ascii").split("\r\n")
    except UnicodeDecodeError:
        return None
    method, _, rest = lines[0].partition(" ")
    target, _, version = rest.partition(" ")
    if version not in ("HTTP/1.0", "HTTP/1.1") or not target.startswith("/") or "#" in target:
        return None
    hosts = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if (
            not colon
            or not name
            or name != name.strip()
            or any(mark < " " for mark in line.replace("\t", ""))
        ):
            return None
        if name.lower() == "host":
            hosts.append(value.strip())
    if len(hosts) != 1:
        return None
    path, _, query = target.partition("?")
    return method, path, query, hosts[0]


def landing(answer: CallbackResult) -> str:
    """Return the path, without a query, to which the browser is redirected after `answer`."""
    return "/success" if answer.code is not None else "/failed"


def page_text(answer: CallbackResult) -> str:
    """Return the text that the browser shows after `answer`."""
    if answer.code is not None:
        return "Missy has the result of the sign-in. Go back to the terminal; this window can be closed."
    return (
        f"The sign-in ended without a login: {answer.description or answer.error}. Go back to the terminal."
    )


def make_response(status: int, text: str, *, location: str = "", body: bool = True) -> bytes:
    """Return a complete HTTP response: a text page that is not cached, framed or sent as a referrer."""
    page = f"<!doctype html><meta charset=utf-8><title>Missy</title><p>{html.escape(text)}</p>\n".encode()
    head = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        "Content-Type: text/html; charset=utf-8",
        f"Content-Length: {len(page)}",
        "Cache-Control: no-store",
        "Referrer-Policy: no-referrer",
        "X-Content-Type-Options: nosniff",
        "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
        "Connection: close",
    ]
    if location:
        head.append(f"Location: {location}")
    return "\r\n".join([*head, "", ""]).encode() + (page if body else b"")
