"""What the model is told of the built-in tools: name, description and parameters. No argument can change a rule."""

from __future__ import annotations

from typing import Any

from missy.events import Tool


def _tool(name: str, description: str, required: tuple[str, ...], **properties: dict[str, Any]) -> Tool:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    return Tool(name, description, schema)


def _text(about: str) -> dict[str, Any]:
    return {"type": "string", "description": about}


def _number(about: str) -> dict[str, Any]:
    return {"type": "integer", "description": about}


_PATH = _text("From the workspace on")

READ = _tool(
    "read",
    "Read a text file of the workspace; its lines come numbered.",
    ("path",),
    path=_PATH,
    **{"from": _number("First line, from 1")},
    lines=_number("How many lines"),
)
LIST = _tool(
    "list",
    "List a folder of the workspace: names, kinds, sizes.",
    (),
    path=_PATH,
    depth=_number("Levels of folders, 1 to 5"),
)
SEARCH = _tool(
    "search",
    "Find lines in the files of the workspace that contain a text or match.",
    ("pattern",),
    pattern=_text("Literal text"),
    regex={"type": "boolean", "description": "pattern is a Python regular expression for one line"},
    path=_PATH,
    glob=_text("Only files like *.py"),
)
WRITE = _tool(
    "write",
    "Write a whole text file of the workspace; the person is asked first.",
    ("path", "text"),
    path=_PATH,
    text=_text("The whole content"),
)
EDIT = _tool(
    "edit",
    "Replace exact text in a file of the workspace; the person is asked first.",
    ("path", "old", "new"),
    path=_PATH,
    old=_text("The exact text, with enough of its surroundings"),
    new=_text("What replaces it"),
    count=_number("How often old occurs; 1 without it"),
)
RUN = _tool(
    "run",
    "Run a program in a sandbox, in the workspace, without a shell and without a network; the person is asked first.",
    ("argv",),
    argv={
        "type": "array",
        "items": {"type": "string"},
        "description": "The program and its arguments, a word each",
    },
    stdin=_text("What it reads"),
    cwd=_text("A folder of the workspace"),
)
FETCH = _tool(
    "fetch",
    "GET an https URL and return its text; the person is asked first. Redirects are not followed.",
    ("url",),
    url=_text("https://..."),
)
BUILT_IN = {tool.name: tool for tool in (READ, LIST, SEARCH, WRITE, EDIT, RUN, FETCH)}
