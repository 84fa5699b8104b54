"""The audit: a JSON object a line for all that leaves the machine, each line chained to the one before.

It must never hold a credential, a query or a body; never let anything leave that it could not write down
first; and never change or remove a whole line. Many processes write to one file, in turn, under its flock.

`hash` is the SHA-256 of the line without its last member (`,"hash":"..."`). That covers `prev`, the hash of
the line before, so an edited, removed, added or moved line is found. That the newest lines were cut off shows in
the head file, and that both files were written anew in a signed checkpoint that is kept elsewhere. A line is given
to the system, not forced to the disk: it outlives the process, but perhaps not a loss of power.
"""

from __future__ import annotations

from missy.audit.chain import GENESIS, MAX_LINE_BYTES, Link
from missy.audit.head import head_path, load_head
from missy.audit.reader import newest, verify, whole_lines
from missy.audit.writer import Audit, PendingRecord

__all__ = [
    "GENESIS",
    "MAX_LINE_BYTES",
    "Audit",
    "Link",
    "PendingRecord",
    "head_path",
    "load_head",
    "newest",
    "verify",
    "whole_lines",
]
