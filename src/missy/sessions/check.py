"""`sessions check`: whether the database is intact, has a known schema, and is private."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from missy.errors import MissyError
from missy.plural import counted
from missy.sessions import delete, files, schema
from missy.sessions.store import Store

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True)
class Report:
    """The findings; `problems` is empty if there are none."""

    path: str
    schema: int | None = None
    sessions: int | None = None
    turns: int | None = None
    bytes: int = 0
    wal_bytes: int = 0
    problems: list[str] = field(default_factory=list)


def check(path: Path) -> Report:
    """Check the existing file at `path`. Modes are checked first: opening it narrows them."""
    report = Report(str(path))
    try:
        report.problems += [f"{part}: {why}" for part, why in files.faults_of(path)]
        with Store(path) as store:
            _look(store, report)
            delete.wipe(store)  # what an earlier delete could not clear because of a reader
    except delete.Remains:
        # Whether there is anything to clear is not known: it counts as a problem until it is cleared.
        report.problems.append(
            f"what was deleted earlier could not be cleared now: another process is reading {path}; "
            "check again when that has ended"
        )
    except MissyError as error:
        report.problems.append(error.message)
    for part, size in zip(files.parts(path)[:2], ("bytes", "wal_bytes"), strict=True):
        with suppress(OSError):
            setattr(report, size, part.stat().st_size)
    return report


def _look(store: Store, report: Report) -> None:
    with store.read() as db:
        report.schema = schema.version(db)
        found = [row[0] for row in db.execute("PRAGMA integrity_check(20)")]
        report.problems += [text for text in found if text != "ok"]
        strays = db.execute("PRAGMA foreign_key_check").fetchall()
        report.problems += [f"{row[0]}: a row names a {row[2]} that is not there" for row in strays[:20]]
        report.sessions = db.execute("SELECT count(*) FROM session").fetchone()[0]
        report.turns = db.execute("SELECT count(*) FROM turn").fetchone()[0]
        lost = db.execute(
            "SELECT count(*) FROM turn WHERE parent IS NOT NULL AND parent NOT IN (SELECT id FROM turn)"
        ).fetchone()[0]
        if lost:
            report.problems.append(f"the turn before is missing for {counted(lost, 'turn')}")
