"""What may be done: pure decisions on one call of a tool.

This room never reads a file, the environment or a clock, and knows no tool's code. It decides on parsed values (a path
in the workspace, the words of a command, a host), never on the text of a shell command, so that `tools explain`, the
loop and the audit cannot disagree.
"""

from missy.approval.action import Action
from missy.approval.decision import Approvals, Decision, Grant, decide
from missy.approval.rules import InvalidRule, Rule, parse_rule
from missy.approval.taint import Taint

__all__ = [
    "Action",
    "Approvals",
    "Decision",
    "Grant",
    "InvalidRule",
    "Rule",
    "Taint",
    "decide",
    "parse_rule",
]
