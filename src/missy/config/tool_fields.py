"""The table of the keys under `tools`; see missy.config.field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.approval import InvalidRule, parse_rule
from missy.config import values
from missy.config.field import TEXT, TEXTS, Field, above_zero, list_of, whole
from missy.config.section_schema import APPROVALS, BUILT_IN, NETWORKS
from missy.config.values import Wrong, shown

if TYPE_CHECKING:
    from missy.config.values import Check

MAX_ROUNDS, MAX_CALLS, MAX_TOKENS = 1_000, 10_000, 1 << 40
_SIZES = {"KiB": 1 << 10, "MiB": 1 << 20}
MAX_OUTPUT = 16 << 20
_RULE = "a list of rules such as read: docs/**, run: git status, fetch: docs.python.org, mcp:time/*"


def _rule(*, allows: bool) -> Check:
    def check(value: Any) -> str:
        try:
            parse_rule(values.text(value), allows=allows)
        except InvalidRule as error:
            raise Wrong(f"{shown(value)}: {error}", error.hint) from None
        return str(value)

    return check


def _workspace(value: Any) -> str:
    return "." if values.text(value) == "." else values.place(value)


def _size(value: Any) -> int:
    """Check a number of bytes: 65536, 64KiB or 1MiB."""
    if isinstance(value, str) and value[-3:] in _SIZES and value[:-3].strip().isdecimal():
        value = int(value[:-3]) * _SIZES[value[-3:]]
    if isinstance(value, bool) or not isinstance(value, int) or not 1024 <= value <= MAX_OUTPUT:
        raise Wrong(shown(value), "write it like 64KiB")
    return value


_TIME = f"a number of seconds above 0, at most {values.MAX_SECONDS}"

TOOLS = (
    Field(
        "workspace", _workspace, "an absolute path, ~/..., or . for the folder that Missy is started in",
        TEXT, "The one folder that tools reach; never / or your home folder.",
    ),
    Field(
        "use", values.many(values.one_of(BUILT_IN)), f"a list of {', '.join(BUILT_IN)}",
        list_of({"enum": list(BUILT_IN)}),
        "The tools that an answer gets without --tools; none by default.",
    ),
    Field(
        "approve", values.one_of(APPROVALS), " | ".join(APPROVALS), {"enum": list(APPROVALS)},
        "What happens to a call that no rule allows: it is asked, or never allowed.",
    ),
    Field("allow", values.many(_rule(allows=True)), _RULE, TEXTS, "What may be done without a question."),
    Field("deny", values.many(_rule(allows=False)), _RULE, TEXTS, "What is never done; it comes before `allow`."),
)  # fmt: skip
SANDBOX = (
    Field(
        "read", values.many(values.place), "a list of absolute paths or ~/...", TEXTS,
        "Paths that commands may read, besides the workspace and the system's.",
    ),
    Field(
        "write", values.many(values.place), "a list of absolute paths or ~/...", TEXTS,
        "Paths that commands may write, besides the workspace.",
    ),
    Field(
        "network", values.one_of(NETWORKS), " | ".join(NETWORKS), {"enum": list(NETWORKS)},
        "The network of commands: none, or through Missy's policy under the category tool.",
    ),
)  # fmt: skip
LIMITS = (
    Field("rounds", values.whole(MAX_ROUNDS), f"a whole number from 1 to {MAX_ROUNDS}", whole(MAX_ROUNDS), "Model calls."),
    Field("calls", values.whole(MAX_CALLS), f"a whole number from 1 to {MAX_CALLS}", whole(MAX_CALLS), "Tool calls."),
    Field(
        "seconds", values.seconds, _TIME, above_zero(values.MAX_SECONDS),
        "Seconds for the whole answer, without those that you think.",
    ),
    Field(
        "output", _size, "a number of bytes from 1024 to 16MiB, such as 64KiB",
        {"type": ["integer", "string"], "minimum": 1024, "maximum": MAX_OUTPUT, "pattern": "^[0-9]+(KiB|MiB)$"},
        "How much of one result the model gets.",
    ),
    Field("command_seconds", values.seconds, _TIME, above_zero(values.MAX_SECONDS), "Seconds for one command."),
    Field(
        "tokens", values.optional(values.whole(MAX_TOKENS)), f"a whole number from 1 to {MAX_TOKENS}, or null",
        whole(MAX_TOKENS, "null"), "Tokens of all model calls of one answer; null: no limit.",
    ),
)  # fmt: skip
