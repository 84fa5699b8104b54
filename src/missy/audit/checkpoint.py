"""A checkpoint: the last position in the chain, as three lines of text to be signed. Pure.

The format is that of transparency logs (C2SP tlog-checkpoint): origin, number of lines, hash in base64. The hash is
that of the newest line, which covers all lines before it; it is no Merkle tree.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from typing import NamedTuple

from missy.audit.chain import GENESIS, MAX_SEQ, Link

_LINES = re.compile(r"(0|[1-9][0-9]{0,15})")


class Checkpoint(NamedTuple):
    """The name of the record, and its last position."""

    origin: str
    link: Link

    def text(self) -> str:
        """Return the lines that are signed."""
        return f"{self.origin}\n{self.link.seq}\n{b64encode(bytes.fromhex(self.link.hash)).decode()}\n"


def parse_checkpoint(text: str) -> Checkpoint | None:
    """Parse a checkpoint; None for anything else."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0] or not _LINES.fullmatch(lines[1]):
        return None
    try:
        digest = b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    link = Link(int(lines[1]), digest.hex())
    if len(digest) != 32 or link.seq > MAX_SEQ or (link.seq == 0) != (link.hash == GENESIS):
        return None
    return Checkpoint(lines[0], link)
