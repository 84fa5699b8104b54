"""The sources that an answer names, from all places where endpoints write them. Pure.

Chat Completions and Responses have `url_citation` annotations, in the message or in pieces of it; Perplexity and xAI have
`citations` (URLs) and `search_results` (title and URL) beside the choices, often in every chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.events import Citation

if TYPE_CHECKING:
    from missy.events import Event

MAX_CITATIONS = 256  # of one answer
MAX_URL_CHARS, MAX_TITLE_CHARS = 2048, 300


class Citations:
    """Collects the sources of one answer: each URL once, in the order in which they came."""

    __slots__ = ("_found", "_told")

    def __init__(self) -> None:
        self._found: dict[str, str] = {}
        self._told = False

    def take_annotations(self, annotations: object) -> None:
        """Take the annotations of a message or a part of one; other kinds than `url_citation` have no URL."""
        for annotation in annotations if isinstance(annotations, list) else ():
            if isinstance(annotation, dict) and annotation.get("type") == "url_citation":
                inner = annotation.get("url_citation")
                self._add(inner if isinstance(inner, dict) else annotation)

    def take_lists(self, holder: dict[str, Any]) -> None:
        """Take the lists beside the choices: the results first, since they have titles too."""
        for name in ("search_results", "citations"):
            found = holder.get(name)
            for item in found if isinstance(found, list) else ():
                self._add(item if isinstance(item, dict) else {"url": item})

    def _add(self, source: dict[str, Any]) -> None:
        url, title = source.get("url"), source.get("title")
        if not isinstance(url, str) or not _is_web_url(url):
            return
        title = title[:MAX_TITLE_CHARS] if isinstance(title, str) else ""
        if url in self._found or len(self._found) < MAX_CITATIONS:
            self._found[url] = self._found.get(url) or title

    def events(self) -> list[Event]:
        """Return the sources as events, once."""
        if self._told or not self._found:
            return []
        self._told = True
        return [Citation(url, title) for url, title in self._found.items()]


def _is_web_url(url: str) -> bool:
    """Tell whether a text is one http(s) URL, on one line."""
    known = url[:8].lower().startswith(("https://", "http://"))
    return known and len(url) <= MAX_URL_CHARS and url.isprintable() and " " not in url
