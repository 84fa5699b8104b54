"""SQLite errors as MissyError with a hint. It must never contain the values of a statement."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from missy.errors import MissyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 10  # seconds to wait for another writer

_FULL = "free some space on that disk and try again"
_CHECK = "missy sessions check says more; move the file away to start with an empty one"
_MEANING = {  # primary result code -> (what happened, what to do)
    sqlite3.SQLITE_BUSY: (
        f"is locked: another process has held it for more than {PATIENCE} seconds",
        "wait for that process to end, or end it, and try again",
    ),
    sqlite3.SQLITE_FULL: ("cannot be written: the disk is full", _FULL),
    sqlite3.SQLITE_IOERR: ("cannot be read or written: the disk failed, is full or has a limit", _FULL),
    sqlite3.SQLITE_READONLY: ("cannot be written", "check its permissions and those of its folder"),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "check its permissions and those of its folder"),
    sqlite3.SQLITE_CORRUPT: ("is damaged", _CHECK),
    sqlite3.SQLITE_NOTADB: ("is damaged: it is no database", _CHECK),
    sqlite3.SQLITE_TOOBIG: ("cannot hold a text as long as this", "send less at once"),
}


class NotStored(MissyError):
    """The answer was received and returned, but could not be stored in the session."""

    type = "not_stored"


@contextmanager
def faults(path: Path | None) -> Iterator[None]:
    """Turn every error of SQLite inside into a MissyError that names the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, path) from error
    except UnicodeEncodeError as error:
        raise MissyError(
            "a text with a lone surrogate cannot be stored",
            hint="it comes from bytes that are not valid UTF-8",
        ) from error


def explain(error: sqlite3.Error, path: Path | None) -> MissyError:
    """Return the MissyError for an error of SQLite."""
    code = getattr(error, "sqlite_errorcode", None)
    where = path or "the conversation"
    if code is not None and code & 0xFF in _MEANING:
        what, hint = _MEANING[code & 0xFF]
        return MissyError(f"{where} {what}", hint=hint)
    if isinstance(error, sqlite3.OperationalError) or code is None:
        return MissyError(f"{where} cannot be used: {error}", hint=_CHECK)
    return MissyError(f"{where} does not hold what it should: {error}", hint=_CHECK)
