"""Reads README.md: its code blocks in their order, the commands of a transcript, and what the page shows under each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Block:
    """One fenced block: its language (`""` for a transcript) and the heading that it stands under."""

    language: str
    heading: str
    text: str

    def commands(self) -> list[tuple[str, str]]:
        """Return each command of a transcript, and what is shown under it; of other blocks each line that does something."""
        if self.language:
            lines = (line.strip() for line in self.text.splitlines())
            return [(line, "") for line in lines if line and not line.startswith("#")]
        pieces = re.split(r"^\$ (.*)\n", self.text, flags=re.MULTILINE)
        return list(zip(pieces[1::2], pieces[2::2], strict=True))


class Page:
    """A page, and its blocks in order."""

    def __init__(self, path: Path = ROOT / "README.md") -> None:
        self.text = path.read_text(encoding="utf-8")
        self.blocks = list(_blocks(self.text))

    def under(self, heading: str, language: str) -> list[Block]:
        """Return the blocks of one language under a heading; there is one at least."""
        found = [block for block in self.blocks if (block.heading, block.language) == (heading, language)]
        assert found, f"the page has no such block: {heading}, {language}"
        return found

    def shown(self, command: str) -> str:
        """Return what the page shows under a command of a transcript."""
        transcripts = (block for block in self.blocks if not block.language)
        found = [text for block in transcripts for line, text in block.commands() if line == command]
        assert found, f"the page has no line: $ {command}"
        return found[0]

    def table(self) -> list[str]:
        """Return the commands in the second column of the table of what Missy does."""
        rows = re.findall(
            r"^\|([^|]+)\|([^|]+)\|[^|]+\|$", self.text.split("how to see it |")[1], re.MULTILINE
        )
        return [command for row in rows[1:] for command in re.findall(r"`((?:missy|make) [^`]+)`", row[1])]


def _blocks(text: str) -> Iterator[Block]:
    heading, language = "", None
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("```"):
            if language is not None:
                yield Block(language, heading, "".join(f"{text}\n" for text in lines))
            language, lines = (line[3:], []) if language is None else (None, [])
        elif language is not None:
            lines.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ")
