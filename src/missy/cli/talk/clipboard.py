"""Copying to the terminal's clipboard, with the escape sequence OSC 52: the only one of its kind that Missy writes.

The terminal does not confirm it, and never gives the clipboard's content: Missy does not ask for it.
"""

from __future__ import annotations

import base64
import re
import sys

from missy.errors import UsageError

_MAX_BYTES = 74_994  # xterm's limit; others have higher ones, and none tells
_BLOCK = re.compile(
    r"^( {0,3})(`{3,}+|~{3,}+)[^\n]*\n(.*?)(?:^ {0,3}\2[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)


def copy(text: str) -> str:
    """Send a text to the terminal's clipboard; return the notice about it. Raises UsageError if it is too long."""
    data = text.encode(errors="replace")
    if len(data) > _MAX_BYTES:
        raise UsageError(
            f"that is {len(data)} bytes, more than a terminal's clipboard takes",
            hint="use /save FILE instead",
        )
    sys.stdout.write(f"\x1b]52;c;{base64.b64encode(data).decode()}\x07")
    sys.stdout.flush()
    return f"{len(data)} bytes sent to the terminal's clipboard (unconfirmed)"


def code_blocks(markdown: str) -> list[str]:
    """Return the fenced code blocks of a text, each as it is, without its last newline."""
    return [_unindent(found[3], len(found[1])).removesuffix("\n") for found in _BLOCK.finditer(markdown)]


def _unindent(code: str, columns: int) -> str:
    """Remove the indentation of the fence from each line."""
    return re.sub(rf"^ {{0,{columns}}}", "", code, flags=re.MULTILINE) if columns else code
