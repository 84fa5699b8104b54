"""Thinking that models write into their text between tags, separated from the answer while streaming. Pure."""

from __future__ import annotations

from missy.events import Reasoning, Text

_TAGS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "[think]": "[/think]",
}
MAX_TAG_CHARS = max(map(len, _TAGS))
MAX_BLANK_CHARS = 64  # characters of white space after which no tag is expected any more


class ThinkSplitter:
    """Splits text into Text and Reasoning. Only a tag at the very start of an answer counts: later it is a quotation."""

    __slots__ = ("_close", "_held", "_state")

    def __init__(self) -> None:
        self._state = "start"
        self._held = ""
        self._close = ""

    @property
    def is_over(self) -> bool:
        """Whether all further text belongs to the answer."""
        return self._state == "text"

    def feed(self, piece: str) -> list[Text | Reasoning]:
        """Add a piece of text; output everything that can be classified now."""
        if self._state == "text":
            return [Text(piece)]
        self._held += piece
        if self._state == "start":
            start = self._held.lstrip()
            head = start[:MAX_TAG_CHARS].lower()
            blank = len(self._held) - len(start)
            tag = next((tag for tag in _TAGS if head.startswith(tag)), "")
            if blank >= MAX_BLANK_CHARS or not (tag or any(tag.startswith(head) for tag in _TAGS)):
                return self._answer(self._held)
            if not tag:
                return []
            self._close = _TAGS[tag]
            self._state, self._held = "thinking", start[len(tag) :]
        if self._state == "after":
            return self._answer(self._held.lstrip("\r\n")) if self._held.strip("\r\n") else []
        return self._think()

    def _think(self) -> list[Text | Reasoning]:
        lower, close = self._held.lower(), self._close
        at = lower.find(close) if len(lower) == len(self._held) else self._held.find(close)
        if at >= 0:
            thought, rest = self._held[:at], self._held[at + len(close) :]
            self._state, self._held = "after", ""
            return [*([Reasoning(thought)] if thought else []), *self.feed(rest)]
        keep = next((n for n in range(len(close) - 1, 0, -1) if self._held[-n:].lower() == close[:n]), 0)
        out, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return [Reasoning(out)] if out else []

    def _answer(self, text: str) -> list[Text | Reasoning]:
        self._state, self._held = "text", ""
        return [Text(text)] if text else []

    def flush(self) -> list[Text | Reasoning]:
        """Output what was kept."""
        held, self._held = self._held, ""
        if not held or self._state == "after":
            return []
        return [Reasoning(held)] if self._state == "thinking" else [Text(held)]
