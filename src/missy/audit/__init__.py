"""The audit: a JSON object a line for all that leaves the machine, each line chained to the one before.

It must never hold a credential, a query or a body; never let anything leave that it could not write down
first; and never change or remove a whole line. Many processes write to one file, in turn, under its flock.

`hash` is the SHA-256 of the line without its last member (`,"hash":"..."`). That covers `prev`, the hash of
the line before, so an edited, removed, added or moved line is found. The chain alone can't show that the newest
lines were cut off, or that the whole file was written anew: for that, note the head and the number of lines
elsewhere. A line is given to the system, not forced to the disk: it outlives the process, but perhaps not a
loss of power.
"""

from __future__ import annotations

from missy.audit.chain import GENESIS, MAX_LINE_BYTES, Report
from missy.audit.reader import newest, verify, whole_lines
from missy.audit.writer import Audit, PendingRecord

__all__ = [
    "GENESIS",
    "MAX_LINE_BYTES",
    "Audit",
    "PendingRecord",
    "Report",
    "newest",
    "verify",
    "whole_lines",
]
