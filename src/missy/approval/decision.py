"""The decision: rules, taint and the terminal applied to one action. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from missy.approval.action import CHANGES, MCP
from missy.approval.protected import holds_secret, runs_later
from missy.approval.taint import Taint

if TYPE_CHECKING:
    from missy.approval.action import Action
    from missy.approval.rules import Rule

Verdict = Literal["allow", "ask", "deny"]


class Grant(NamedTuple):
    """A yes for the rest of this run: to what `rule` covers, while no more taint than `taint` has come."""

    rule: Rule
    taint: Taint


class Approvals(NamedTuple):
    """All that a decision rests on, besides the action and the taint.

    `may_ask`: what no rule allows may be asked; `person`: there is someone to ask; `all`: every question is answered
    with yes, which needs the `full` sandbox and no network.
    """

    allow: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()
    grants: tuple[Grant, ...] = ()
    may_ask: bool = True
    person: bool = True
    all: bool = False


class Decision(NamedTuple):
    """The verdict, the rule that decided, and the reason in one sentence."""

    verdict: Verdict
    rule: str
    reason: str

    def __bool__(self) -> bool:
        # A plain tuple is always true: `if decide(...)` must not let everything through.
        return self.verdict == "allow"


def decide(approvals: Approvals, action: Action, taint: Taint = Taint()) -> Decision:  # noqa: B008 it is frozen
    """Decide on one action: deny rules, hard denials, taint, allow rules, and last the question."""
    denied = next((rule for rule in approvals.deny if rule.covers(action)), None)
    if denied is not None:
        return Decision("deny", f"deny: {denied.text}", "a rule of yours denies it")
    allowing = [rule for rule in approvals.allow if rule.allows(action)]
    if action.tool in CHANGES and runs_later(action.path) and not allowing:
        return Decision(
            "deny",
            "runs_later",
            f"{action.path} is run later, outside of the sandbox: only a rule that names it allows it",
        )
    granted = next((grant for grant in approvals.grants if _holds(grant, action, taint)), None)
    if granted is not None:
        return Decision("allow", f"this run: {granted.rule.text}", "you allowed it for this run")
    why = _fresh(action, taint)
    for rule in allowing:
        if not why or rule.after_untrusted or (why == "untrusted" and rule.exactly):
            return Decision("allow", f"allow: {rule.text}", "a rule of yours allows it")
    if action.reads and not (action.tool == "read" and holds_secret(action.path)):
        return Decision("allow", "built-in: read", "the workspace may be read")
    if approvals.all and not (action.tool in CHANGES and runs_later(action.path)):
        return Decision("allow", "approve_all", "--approve-all answers every question of this run with yes")
    return _ask(approvals, _question_reason(action, taint, covered=bool(allowing), why=why))


def _holds(grant: Grant, action: Action, taint: Taint) -> bool:
    return taint.within(grant.taint) and grant.rule.allows(action)


def _fresh(action: Action, taint: Taint) -> str:
    """Return why an allow rule is not enough: "untrusted", "leak", or "" where it is."""
    if taint.untrusted and taint.private and action.sends:
        return "leak"
    if not taint.untrusted:
        return ""
    acts = action.tool in (*CHANGES, "run") or (action.tool.startswith(MCP) and not action.trusted)
    return "untrusted" if acts or (action.tool == "fetch" and not action.in_prompt) else ""


def _question_reason(action: Action, taint: Taint, *, covered: bool, why: str) -> tuple[str, str]:
    if covered and why == "leak":
        return "taint", f"a rule allows it, but it could send private data out {taint}".strip()
    if covered:
        return "taint", f"a rule allows it, but text from others has been read {taint}".strip()
    if action.tool == "read":
        return "secret", "the name of the file says that it holds a secret"
    if action.in_workspace:
        return "program", "its program was named by a path, or lies in the workspace"
    return "default", "no rule allows it"


def _ask(approvals: Approvals, reason: tuple[str, str]) -> Decision:
    rule, text = reason
    if not approvals.may_ask:
        return Decision("deny", "approve: never", f"{text}, and nothing is asked")
    if not approvals.person:
        return Decision("deny", "not_a_tty", f"{text}, and there is nobody to ask")
    return Decision("ask", rule, text)
