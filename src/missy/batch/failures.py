"""What became of a row that has no whole answer: which kind of failure, and whether to ask again. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from missy.errors import (
    BadReply,
    ConnectionFailed,
    CredentialError,
    IncompleteError,
    LimitError,
    PolicyError,
    ProviderError,
    SchemaMismatch,
    UsageError,
)
from missy.providers.attempts import is_passing
from missy.providers.finish_reasons import is_filter

if TYPE_CHECKING:
    from missy.errors import MissyError

KINDS = ("filtered", "incomplete", "limit", "refused", "bad_input", "schema_mismatch", "provider")
MAX_WAIT_SECONDS = 900.0  # a longer one ends the run: it is a limit of the day or the month, not of the rate
_FILTER = re.compile(r"filter|content_policy|moderation|flagged|safety|responsible", re.IGNORECASE)


def stops(error: MissyError) -> bool:
    """Tell whether an error ends the run, since it would be the same for every row."""
    if isinstance(error, LimitError):
        return not is_passing(error) or (error.retry_after or 0) > MAX_WAIT_SECONDS
    if isinstance(error, PolicyError | CredentialError):
        return True
    return not isinstance(error, ProviderError | IncompleteError | UsageError)


def may_ask_again(error: MissyError) -> bool:
    """Tell whether the same row may succeed now: the endpoint failed before it began to answer."""
    return isinstance(error, ProviderError) and is_passing(error) and not error.in_answer


def is_outage(error: MissyError) -> bool:
    """Tell whether an error says that the endpoint is down, and not that it dislikes the row."""
    if not isinstance(error, ProviderError) or isinstance(error, LimitError):
        return False
    return error.status is None or error.status >= 500 or error.status in (408, 409)


def is_charged(error: MissyError) -> bool:
    """Tell whether a failed request may have cost something: it was not refused with an error status."""
    if isinstance(error, ConnectionFailed) and error.unsent:
        return False
    return isinstance(error, IncompleteError) or (isinstance(error, ProviderError) and error.status is None)


def kind_of(error: MissyError) -> str:
    """Return the kind of a row's failure."""
    if isinstance(error, SchemaMismatch):
        return "schema_mismatch"
    if isinstance(error, IncompleteError):
        return "filtered" if is_filter(error.finish_reason) else "incomplete"
    if isinstance(error, UsageError):
        return "bad_input"
    if not isinstance(error, ProviderError):
        return "provider"
    if _FILTER.search(error.code or ""):
        return "filtered"
    if error.status == 429 or isinstance(error, LimitError):
        return "limit"  # this one request is above the endpoint's limit
    if isinstance(error, ConnectionFailed | BadReply) or error.in_answer:
        return "incomplete" if error.in_answer else "provider"
    return "bad_input" if error.status in (400, 404, 413, 422) else "provider"
