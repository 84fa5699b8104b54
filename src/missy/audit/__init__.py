"""The audit: one JSON object per line for everything that leaves the machine, each line chained to the one before.

It never contains a credential, a query string or a body. Nothing is sent that could not be recorded first, and a
complete line is never changed or removed. Many processes write to one file, one at a time, under its flock.

`hash` is the SHA-256 of the line without its last member (`,"hash":"..."`). That covers `prev`, the hash of
the line before, so an edited, removed, added or moved line is detected. The head file shows that the newest lines
were cut off; a signed checkpoint, kept elsewhere, shows that both files were rewritten. A line is written without
fsync: it survives the end of the process, but perhaps not a loss of power.
"""

from __future__ import annotations

from missy.audit.chain import GENESIS, MAX_LINE_BYTES, Link
from missy.audit.head import head_path, load_head
from missy.audit.reader import newest, verify, whole_lines
from missy.audit.segments import SEGMENT
from missy.audit.writer import Audit, PendingRecord

__all__ = [
    "GENESIS",
    "MAX_LINE_BYTES",
    "SEGMENT",
    "Audit",
    "Link",
    "PendingRecord",
    "head_path",
    "load_head",
    "newest",
    "verify",
    "whole_lines",
]
