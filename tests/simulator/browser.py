"""A browser that a script drives: it opens the sign-in page, agrees, and follows the redirects to the end."""

from __future__ import annotations

import http.client  # noqa: TID251  (a browser is not Missy, and this one is only for tests)
import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit


class Page(NamedTuple):
    """What the browser shows at the end, and every address that it was at."""

    status: int
    text: str
    addresses: list[str]


def get(
    url: str, *, method: str = "GET", headers: dict[str, str] | None = None, roots: Path | None = None
) -> tuple[int, dict[str, str], str]:
    """One request without following anything: status, headers (lower case), text."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=str(roots) if roots else None)
        context.check_hostname = False  # the simulator's own port, under the certificate of the true name
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(  # noqa: TID251
            parts.hostname or "", parts.port, timeout=30, context=context
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)  # noqa: TID251
    try:
        connection.request(
            method, url[url.index(parts.netloc) + len(parts.netloc) :] or "/", headers=headers or {}
        )
        reply = connection.getresponse()
        found = {name.lower(): value for name, value in reply.getheaders()}
        return reply.status, found, reply.read().decode("utf-8", "replace")
    finally:
        connection.close()


def visit(url: str, roots: Path | None = None) -> Page:
    """Open `url` and follow redirects as a browser does."""
    addresses = [url]
    for _ in range(5):
        status, headers, text = get(addresses[-1], roots=roots)
        if status not in (301, 302, 303, 307, 308):
            return Page(status, text, addresses)
        addresses.append(urljoin(addresses[-1], headers["location"]))
    raise AssertionError(f"too many redirects: {addresses}")


def callback_of(url: str, roots: Path | None = None) -> str:
    """Open the sign-in page and return the address that it sends the browser to, without going there."""
    return get(url, roots=roots)[1]["location"]
