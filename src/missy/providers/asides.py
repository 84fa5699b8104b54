"""What a Responses answer holds besides text, thinking and calls: sources, and tools that work at the endpoint. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.events import Notice
from missy.providers.citations import Citations

if TYPE_CHECKING:
    from missy.events import Event

# the type of an item -> what the endpoint does meanwhile
_AT_WORK = {
    "web_search_call": "searches the web",
    "file_search_call": "searches files",
    "code_interpreter_call": "runs code",
    "image_generation_call": "makes a picture",
    "mcp_call": "calls a tool of another server (MCP)",
    "mcp_list_tools": "asks another server for its tools (MCP)",
    "computer_call": "uses a computer",
}
_NOT_SHOWN = ("image_generation_call", "custom_tool_call")


class Asides:
    """Collects the sources, and says once for each kind what is going on and what cannot be shown."""

    def __init__(self) -> None:
        self.citations: Citations = Citations()
        self._said: set[str] = set()

    def event(self, kind: str, data: dict[str, Any]) -> list[Event]:
        """Take an event of the stream that is about neither text nor thinking nor a call."""
        if kind == "output_text.annotation.added":
            self.citations.take_annotations([data.get("annotation")])
            return []
        return self._at_work(kind.partition(".")[0])

    def item(self, fields: dict[str, Any], *, is_done: bool) -> list[Event]:
        """Take an item as it is added or done."""
        kind = str(fields.get("type") or "")
        if not is_done:
            return self._at_work(kind)
        content = fields.get("content")
        for part in content if kind == "message" and isinstance(content, list) else ():
            if isinstance(part, dict):
                self.citations.take_annotations(part.get("annotations"))
        if kind not in _NOT_SHOWN:
            return []
        return self._say(
            f"{kind} done", f"the answer contains a part of type {kind}, which Missy cannot show: left out"
        )

    def _at_work(self, kind: str) -> list[Event]:
        doing = _AT_WORK.get(kind)
        return self._say(kind, f"the endpoint {doing}") if doing else []

    def _say(self, key: str, text: str) -> list[Event]:
        if key in self._said:
            return []
        self._said.add(key)
        return [Notice(text)]
