"""Small things done to a URL that is about to be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2


def with_query(url: httpx2.URL, query: str) -> httpx2.URL:
    """Return a URL with parameters, encoded already, added to its query."""
    if not query:
        return url
    before = url.query.decode("ascii")
    return url.copy_with(query=(f"{before}&{query}" if before else query).encode("ascii"))
