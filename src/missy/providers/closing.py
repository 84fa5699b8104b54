"""The complete message that some servers send at the end of a stream, repeating its pieces. Pure."""

from __future__ import annotations

import io
from typing import Any

_REPEATED = ("reasoning_content", "reasoning", "reasoning_text", "reasoning_details", "thinking", "thought")


class ClosingMessage:
    """Tracks the pieces of a stream; `rest` removes from a complete message what has come already.

    In a stream that has only messages and no pieces, each message is a piece.
    """

    __slots__ = ("_calls", "_text", "_thinking")

    def __init__(self) -> None:
        self._text = io.StringIO()
        self._thinking = False
        self._calls = False

    def say(self, text: str) -> None:
        """Record a piece of text."""
        self._text.write(text)

    def came(self, text: str, thinking: str, calls: bool) -> None:
        """Record the fields of a piece."""
        if text:
            self._text.write(text)
        self._thinking = self._thinking or bool(thinking)
        self._calls = self._calls or calls

    def rest(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return the message without what came before; its text counts if it continues the earlier text."""
        told = set(_REPEATED if self._thinking else ())
        if self._calls:
            told |= {"tool_calls", "function_call"}
        left = {name: value for name, value in message.items() if name not in told}
        said, content = self._text.getvalue(), message.get("content")
        if said:
            left.pop("refusal", None)
            if isinstance(content, str):
                left["content"] = content[len(said) :] if content.startswith(said) else ""
            else:
                left.pop("content", None)
        return left
