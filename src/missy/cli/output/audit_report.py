"""The result of `audit verify`, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.cli.app import emit, notice
from missy.errors import MissyError
from missy.plural import counted

if TYPE_CHECKING:
    from missy.audit.checkpoint import Checkpoint
    from missy.audit.verifier import Report

_MAX_NAMED_LINES = 20


def show_report(path: Any, report: Report, sealed: Checkpoint | None, wrong: str = "") -> None:
    """Print the result of `verify`. `wrong` says what is wrong with the signature of the checkpoint, "" for nothing.

    Raises MissyError if the record or the signature is not right.
    """
    for number in report.interrupted:
        emit(
            f"line {number}: interrupted: its writer was killed or the disk was full; nothing else is missing"
        )
    for number, what in report.problems:
        emit(f"line {number}: {what}" if number else f"record: {what}")
    if report.unnamed:
        emit(f"and {counted(report.unnamed, 'more line')} like these")
    emit(f"lines: {report.lines}")
    emit(f"head:  {report.head or 'none'}")
    if sealed and not wrong:
        emit(f"checkpoint: {counted(sealed.link.seq, 'line')} of {sealed.origin}, well signed")
    if not report.ok:
        raise MissyError(
            f"the audit {path} is not what was written: {_describe_problems(report)}",
            hint="keep a copy, find out who changed it or whether the machine lost power, then move audit.jsonl and "
            "audit.head away together: a new record begins by itself",
        )
    if wrong:
        raise MissyError(
            wrong, hint="the record was not held against it; take the one that was kept for this record"
        )
    if report.lines and not report.has_head:
        notice(
            "there is no audit.head yet, so lines cut off at the end would not show; the next line makes one"
        )
    state = "whole but for what was interrupted" if report.interrupted else "ok"
    emit(f"{state}: no line was changed, removed, added or moved")


def _describe_problems(report: Report) -> str:
    lines = [str(number) for number, _ in report.problems if number]
    named = ", ".join(lines[:_MAX_NAMED_LINES]) + ", ..." * (len(lines) > _MAX_NAMED_LINES)
    whole = [what for number, what in report.problems if not number]
    return "; ".join([f"line {named}"] * bool(lines) + whole)


def report_as_json(path: Any, report: Report, sealed: Checkpoint | None, wrong: str = "") -> dict[str, Any]:
    """Return the object of `verify --json`."""
    problems = [{"line": number or None, "what": what} for number, what in report.problems]
    return {
        "ok": report.ok and not wrong,
        "file": str(path),
        "lines": report.lines,
        "head": report.head or None,
        "head_file": report.has_head,
        "problems": problems + [{"line": None, "what": wrong}] * bool(wrong),
        "interrupted": list(report.interrupted),
        "checkpoint": sealed
        and {"origin": sealed.origin, "lines": sealed.link.seq, "hash": sealed.link.hash},
    }
