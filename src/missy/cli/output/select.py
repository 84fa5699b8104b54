"""Chooses the renderer: JSON if asked for, Markdown on a terminal, else plain text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from missy.cli.output.renderer import Renderer


def make_renderer(
    stdout: TextIO,
    *,
    json: bool = False,
    events: bool = False,
    no_stream: bool = False,
    structured: bool = False,
    environ: Mapping[str, str],
) -> Renderer:
    """Return the renderer for `stdout` and these options.

    `structured`: the answer is JSON, so it is shown as it is, on a terminal too.
    """
    err = sys.stderr
    if events or json:
        from missy.cli.output.json import EventLines, JsonObject

        return EventLines(stdout) if events else JsonObject(stdout, err)
    from missy.cli.output.plain import Plain

    if not stdout.isatty():
        return Plain(stdout, err, stream=not no_stream)
    if structured or environ.get("TERM", "dumb") == "dumb":
        from missy.cli.output.sanitize import sanitize

        return Plain(stdout, err, stream=not no_stream, show=sanitize)
    from missy.cli.output.terminal import Terminal

    return Terminal(stdout, err, stream=not no_stream, environ=environ)
