"""How an answer ended: the list of the ends that are good. Pure.

Every server has its own words for what went wrong, and makes new ones. So it is the good ends that are listed; an answer
that ended in any other way is not whole.
"""

from __future__ import annotations

from missy.secrets.redact import redact

_GOOD = frozenset({"stop", "eos", "eos_token", "end_turn", "stop_sequence", "tool_calls", "function_call"})
_CALLS = frozenset({"tool_use", "tool_call"})  # other formats' words for tool_calls: good if there is a call
_NONE = frozenset({"", "null", "none"})  # no reason at all, as a word
_FILTERS = (
    "filter", "safety", "recitation", "blocklist", "prohibited", "sensitive", "spii", "refusal", "moderation",
)  # fmt: skip
_LENGTHS = ("length", "token", "max_", "context_window")
WHOLE = ("", "completed")  # the states of a response, and of an item of it, that are good ends
MAX_REASON_CHARS = 100  # characters of a reason that are shown
# the key of the reason, and other formats' names for it where it is absent
_KEYS = ("finishReason", "stop_reason", "native_finish_reason", "stopReason")


def reason_of(choice: dict[str, object]) -> str | None:
    """Return why a choice ended, as the server's own word made fit to be shown; None where it gives no reason."""
    if "finish_reason" in choice:
        reason = choice["finish_reason"]
    else:  # vLLM has a `stop_reason` too, which is a token or a text: only beside the right key
        reason = next((choice[key] for key in _KEYS if isinstance(choice.get(key), str)), None)
    if reason is None or reason is False:
        return None
    word = shown(reason if isinstance(reason, str) else f"a reason of type {type(reason).__name__}")
    return None if _plain(word) in _NONE else word


def shown(word: str) -> str:
    """Return a server's word on one line, masked and of bounded length."""
    return redact(" ".join(word.split()))[:MAX_REASON_CHARS]


def _plain(word: str) -> str:
    return word.strip().lower().replace("-", "_").replace(" ", "_")


def is_good(reason: str | None, *, calls: bool) -> bool:
    """Tell whether an answer that ended so is whole; `calls` says that it asks for tools."""
    word = _plain(reason or "")
    return word in _NONE or word in _GOOD or (calls and word in _CALLS)


def explain(reason: str) -> tuple[str, str]:
    """Return what a bad end means, to follow "the answer", and what to do about it."""
    word = _plain(reason)
    if any(part in word for part in _FILTERS):
        return f"was filtered by the endpoint ({reason})", "ask in other words"
    if any(part in word for part in _LENGTHS):
        hint = "raise --max-tokens, or ask for less; a model has a limit of its own"
        return f"is over its length limit ({reason})", hint
    return f"was broken off by the endpoint ({reason})", "ask again, or ask another model"


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
    """Return what the bad end of a response means, what to do, and its finish reason; None for a good end."""
    if status == "incomplete" and reason == "content_filter":
        return f"was filtered by the endpoint ({reason})", "ask in other words", "content_filter"
    if status == "incomplete":
        return f"is incomplete ({reason or 'no reason given'})", "ask for less, or in parts", "length"
    if status not in WHOLE:
        return f"was broken off by the endpoint ({status})", "ask again, or ask another model", status
    return None
