"""Finish reasons: the list of those that mean a complete answer. Pure.

Servers use many words for failures and invent new ones. So only the good reasons are listed; an answer with any other
reason is not complete.
"""

from __future__ import annotations

from missy.providers.surrogates import joined
from missy.secrets.redact import redact

_GOOD = frozenset({"stop", "eos", "eos_token", "end_turn", "stop_sequence", "tool_calls", "function_call"})
_CALLS = frozenset({"tool_use", "tool_call"})  # other formats' names for tool_calls: good if there is a call
_NONE = frozenset({"", "null", "none"})  # words that mean "no reason"
_FILTERS = (
    "filter", "safety", "recitation", "blocklist", "prohibited", "sensitive", "spii", "refusal", "moderation",
)  # fmt: skip
_LENGTHS = ("length", "token", "max_", "context_window")
WHOLE = ("", "completed")  # the states of a response, and of an item of it, that are good ends
MAX_REASON_CHARS = 100  # characters of a reason that are shown
# other formats' names for the key of the reason
_KEYS = ("finishReason", "stop_reason", "native_finish_reason", "stopReason")


def reason_of(choice: dict[str, object]) -> str | None:
    """Return the finish reason of a choice, the server's own word ready to be shown; None if it gives none."""
    if "finish_reason" in choice:
        reason = choice["finish_reason"]
    else:  # vLLM also has a `stop_reason`, a token or a text: ignored next to the standard key
        reason = next((choice[key] for key in _KEYS if isinstance(choice.get(key), str)), None)
    if reason is None or reason is False:
        return None
    word = shown(reason if isinstance(reason, str) else f"a reason of type {type(reason).__name__}")
    return None if _plain(word) in _NONE else word


def shown(word: str) -> str:
    """Return a server's word on one line, masked and shortened."""
    return redact(" ".join(joined(word).split()))[:MAX_REASON_CHARS]


def _plain(word: str) -> str:
    return word.strip().lower().replace("-", "_").replace(" ", "_")


def is_good(reason: str | None, *, calls: bool) -> bool:
    """Tell whether an answer with this reason is complete; `calls`: it has tool calls."""
    word = _plain(reason or "")
    return word in _NONE or word in _GOOD or (calls and word in _CALLS)


def is_filter(reason: str | None) -> bool:
    """Tell whether a bad reason means that the endpoint filtered the answer."""
    return any(part in _plain(reason or "") for part in _FILTERS)


def explain(reason: str) -> tuple[str, str]:
    """Return what a bad reason means (to follow "the answer"), and a hint."""
    word = _plain(reason)
    if any(part in word for part in _FILTERS):
        return f"was filtered by the endpoint ({reason})", "rephrase the prompt"
    if any(part in word for part in _LENGTHS):
        hint = "raise --max-tokens, or ask for less; a model has a limit of its own"
        return f"is over its length limit ({reason})", hint
    return f"was aborted by the endpoint ({reason})", "ask again, or ask another model"


def status_of(response: dict[str, object], end: str) -> tuple[str, str]:
    """Return how a response ended, and why; `end` is what the event says that brought it."""
    details = response.get("incomplete_details")
    reason = shown(str((details.get("reason") if isinstance(details, dict) else None) or ""))
    status = response.get("status")
    word = end if end != "completed" or status is None else shown(str(status)).lower()
    if reason and word in WHOLE:  # it says that it is whole, and why it is not
        word = "incomplete"
    return word, reason


def explain_status(status: str, reason: str) -> tuple[str, str, str] | None:
    """Return what the bad status of a response means, a hint, and its finish reason; None for a good status."""
    if status == "incomplete" and reason == "content_filter":
        return f"was filtered by the endpoint ({reason})", "rephrase the prompt", "content_filter"
    if status == "incomplete":
        return f"is incomplete ({reason or 'no reason given'})", "ask for less, or in parts", "length"
    if status not in WHOLE:
        return f"was aborted by the endpoint ({status})", "ask again, or ask another model", status
    return None
