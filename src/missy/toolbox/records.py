"""The lines of the audit about tool calls: what was decided and what came of it. Arguments are hashed, not written."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from missy.approval import Action, Taint
    from missy.audit import Audit, PendingRecord
    from missy.toolbox.base import Output


class Recorder:
    """Writes the lines of one run, which has an id of its own."""

    def __init__(self, audit: Audit, run: str, entry: str) -> None:
        self._audit = audit
        self._run = run
        self._entry = entry

    def begin(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        round_: int,
        decision: str,
        rule: str,
        taint: Taint,
        action: Action | None = None,
        sandbox: str = "none",
        pin: str = "",
        allowed: bool,
    ) -> PendingRecord:
        """Record a call before it starts, or that it was refused. Raises MissyError: then it must not start."""
        server = {"server": action.tool[4:].partition("/")[0], "pin": pin} if action and pin else {}
        text = json.dumps(arguments, sort_keys=True, ensure_ascii=True)
        return self._audit.begin(
            kind="tool",
            category="tool",
            host=action.host if action else "",
            port=0,
            rule=rule,
            entry=self._entry,
            allowed=allowed,
            run=self._run,
            round=round_,
            tool=name[:100],
            subject=_subject(action),
            decision=decision,
            taint=taint.word,
            sandbox=sandbox,
            args_hash=hashlib.sha256(text.encode()).hexdigest()[:16],
            args_size=len(text),
            **server,
        )

    def end(self, pending: PendingRecord, output: Output | None, error: str = "") -> None:
        """Record how it ended."""
        self._audit.finish(
            pending,
            status=output.exit if output else None,
            bytes_out=len(output.text.encode("utf-8", "replace")) if output else 0,
            outcome="failed" if error or (output and output.failed) else "ok",
            error=error,
        )


def _subject(action: Action | None) -> str:
    """Return what one looks for in the record: a path, or the name of a program."""
    if action is None:
        return ""
    return action.argv[0] if action.argv else action.path
