"""What a server defines, shown to a person who is to approve it: whole, cleaned, and what is only claimed named so."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

from missy.cli.output.sanitize import sanitize
from missy.mcp.definition import MAX_DESCRIPTION_BYTES, clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.mcp.definition import Definition
    from missy.mcp.inspection import Seen

_BAR = "  | "
_MAX_LINES = 400  # of one text


def describe_server(seen: Seen) -> Iterator[str]:
    """Yield the lines that say who a server is."""
    identity = seen.identity
    if "url" in identity:
        yield f"server {seen.name}: the endpoint {identity['url']}"
        return
    yield f"server {seen.name}: the program {' '.join(map(json.dumps, identity['argv']))}, sandbox: {seen.level}"
    for file in identity["files"]:
        yield f"  {file['path']} (SHA-256 {file['sha256'][:16]}...)"


def describe_tool(seen: Seen, tool: Definition) -> Iterator[str]:
    """Yield the lines of one tool: what the model is told of it, and what the server claims besides."""
    raw = tool.raw
    yield f"tool {_line(tool.name)} (the model's name of it: {_line(tool.offered_name)})"
    if problem := seen.problems.get(tool.name):
        yield f"  it cannot be offered: {_line(problem)}"
    if raw.get("title"):
        yield f"  title: {_line(str(raw['title']))}"
    text = str(raw.get("description") or "")
    yield from _block("description", text)
    if clean(text) != text:
        yield f"  NOTE: {len(text) - len(clean(text))} invisible or control characters are taken out"
    if len(text.encode("utf-8", "replace")) > MAX_DESCRIPTION_BYTES:
        yield f"  NOTE: the model is shown the first {MAX_DESCRIPTION_BYTES:,} bytes"
    yield from _block("arguments", _pretty(raw.get("inputSchema")))
    if raw.get("annotations"):
        yield from _block("the server claims, and Missy does not rely on it", _pretty(raw["annotations"]))


def describe_change(seen: Seen, tool: Definition) -> Iterator[str]:
    """Yield the difference between a tool as it was approved and as it is now."""
    before = seen.pins.tools[tool.name]
    yield f"tool {_line(tool.name)} has changed:"
    lines = difflib.unified_diff(
        _pretty(before.raw).split("\n"), _pretty(tool.raw).split("\n"), "approved", "now", lineterm="", n=2
    )
    for line in list(lines)[:_MAX_LINES]:
        yield _BAR + _line(line)


def describe_difference(seen: Seen) -> Iterator[str]:
    """Yield all that is new, changed or gone since the server was approved."""
    difference = seen.difference
    if difference.server_changed:
        yield "the server is another one than the one that was approved:"
        before, now = _pretty(seen.pins.identity).split("\n"), _pretty(seen.identity).split("\n")
        for line in difflib.unified_diff(before, now, "approved", "now", lineterm="", n=0):
            yield _BAR + _line(line)
    for name in difference.changed:
        tool = seen.tool(name)
        assert tool is not None
        yield from describe_change(seen, tool)
    for name in difference.new:
        tool = seen.tool(name)
        assert tool is not None
        yield "new: "
        yield from describe_tool(seen, tool)
    for name in difference.gone:
        yield f"tool {_line(name)} is gone"


def _block(name: str, text: str) -> Iterator[str]:
    yield f"  {name}:"
    lines = sanitize(text).split("\n")
    for line in lines[:_MAX_LINES]:
        yield _BAR + line
    if len(lines) > _MAX_LINES:
        yield f"  ({len(lines) - _MAX_LINES} more lines)"


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True)


def _line(text: str) -> str:
    return sanitize(text, newlines=False)
