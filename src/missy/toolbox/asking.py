"""From a decision to a yes or a no: the callback, the grants of this run, the rule that a question offers."""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any

from missy.approval import Grant, InvalidRule, parse_rule
from missy.errors import UsageError
from missy.toolbox.base import ApprovalQuestion, ApprovalReply

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from concurrent.futures import Future

    from missy.approval import Action, Taint
    from missy.approval.rules import Rule
    from missy.toolbox.base import Prepared

    Approve = Callable[[ApprovalQuestion], Any]

_SPECIAL = ("*", "?", "[")


def offered_rule(action: Action) -> str:
    """Return the rule that a yes for the run covers and that can be saved; "" where no rule could."""
    text = action.words
    if any(mark in action.path for mark in _SPECIAL):
        return ""
    for rule in (text, text.replace("run: ", "run: exactly: ", 1)):
        try:
            return rule if parse_rule(rule).allows(action) else ""
        except InvalidRule:
            continue
    return ""


def make_question(
    prepared: Prepared, arguments: dict[str, Any], reason: str, taint: Taint
) -> ApprovalQuestion:
    """Return what the person is shown of a call."""
    return ApprovalQuestion(
        prepared.action,
        arguments,
        reason,
        preview=prepared.preview,
        level=prepared.level,
        network=prepared.network,
        taint=str(taint),
        rule=offered_rule(prepared.action),
    )


def grant_for(question: ApprovalQuestion, taint: Taint) -> Grant | None:
    """Return the grant of a yes for the run."""
    return Grant(parse_rule(question.rule), taint) if question.rule else None


def read_reply(value: Any) -> ApprovalReply:
    """Read what a callback returned: a ApprovalReply, or True and False. Anything else is no yes. Raises UsageError."""
    if isinstance(value, ApprovalReply):
        return value
    if value is True or value is False:
        return ApprovalReply("yes" if value else "no")
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise UsageError("approve must not be async here", hint="use AsyncMissy, or a plain function")
    raise UsageError(
        f"approve returned a {type(value).__name__}", hint="return True, False or a missy.ApprovalReply"
    )


def read_rules(texts: tuple[str, ...], *, allows: bool) -> tuple[Rule, ...]:
    """Read rules as a caller gave them. Raises UsageError for the first that cannot be read."""
    found = []
    for text in texts:
        try:
            found.append(parse_rule(text, allows=allows))
        except InvalidRule as error:
            raise UsageError(
                f"the rule {text!r} cannot be used: {error}", hint=error.hint or "see: docs/tools.md"
            ) from None
    return tuple(found)


class AsyncApproval:
    """An async callback as the executor's thread calls it: it runs on the event loop that the answer belongs to."""

    def __init__(self, callback: Callable[[ApprovalQuestion], Any], loop: asyncio.AbstractEventLoop) -> None:
        self._callback = callback
        self._loop = loop
        self._mutex = threading.Lock()
        self._asked: Future[Any] | None = None
        self._given_up = False

    def __call__(self, question: ApprovalQuestion) -> Any:
        """Ask, and wait for the answer."""
        import asyncio

        async def ask() -> Any:
            answer = self._callback(question)
            return await answer if asyncio.iscoroutine(answer) else answer

        asked = asyncio.run_coroutine_threadsafe(ask(), self._loop)
        with self._mutex:
            self._asked = asked
            if self._given_up:
                asked.cancel()
        return asked.result()

    def cancel(self) -> None:
        """Give up a question that is being asked, and all later ones."""
        with self._mutex:
            self._given_up = True
            if self._asked is not None:
                self._asked.cancel()
