"""How a file is named and its text put into a message. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from missy.events import Attachment

_MAX_NAME_CHARS = 200


def label(file: Attachment, default: str = "attachment") -> str:
    """Return the name of a file on one line: a name may hold any character, a line end too."""
    name = "".join(char if char.isprintable() else "?" for char in file.name[:_MAX_NAME_CHARS])
    return name.strip() or default


def fenced(file: Attachment) -> str:
    """Return the text of a file below its name, between fences that are longer than any row of backticks in it."""
    text = file.data.decode("utf-8-sig", errors="replace")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    end = "" if text.endswith("\n") else "\n"
    return f"{label(file)}\n{fence}\n{text}{end}{fence}"
