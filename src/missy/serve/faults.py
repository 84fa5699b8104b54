"""What a caller is told when its request is refused or fails: a status, and an error in OpenAI's JSON form. Pure."""

from __future__ import annotations

import json
import math
from typing import Any

from missy.errors import (
    BudgetError,
    ConfigError,
    CredentialError,
    LimitError,
    MissyError,
    PolicyError,
    ProviderError,
    TimedOut,
    UsageError,
)
from missy.secrets.redact import redact

_TYPES = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}
_CALLERS = frozenset(
    {400, 404, 409, 413, 415, 422}
)  # an endpoint's statuses that are about the request itself


class Refused(Exception):
    """A request that is not answered. `code` is for programs; `retry_after` is in seconds."""

    def __init__(
        self, status: int, code: str, message: str, *, retry_after: float | None = None, final: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message: str = redact(message)
        self.retry_after = retry_after
        self.final = final  # a retry cannot help, although the status suggests one

    def as_json(self) -> dict[str, Any]:
        """Return the body."""
        kind = _TYPES.get(self.status, "api_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": None, "code": self.code}}

    def body(self) -> bytes:
        """Return the body as bytes."""
        return json.dumps(self.as_json()).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that belong to it."""
        found = []
        if self.retry_after is not None:
            found.append((b"retry-after", str(max(1, math.ceil(self.retry_after))).encode()))
        if self.final:
            found.append((b"x-should-retry", b"false"))  # the `openai` package retries every 429 otherwise
        return found


def invalid(message: str, status: int = 400) -> Refused:
    """Return the refusal of a request that cannot be understood or is too large."""
    return Refused(status, "invalid_request", message)


def store_unavailable() -> Refused:
    """Return the refusal while keys and budgets cannot be read."""
    return Refused(
        503, "store_unavailable", "the store of keys and budgets cannot be reached", retry_after=1.0
    )


def from_error(error: MissyError) -> Refused:
    """Return what a caller is told of an error. An endpoint's own texts are masked."""
    said = f"{error.message} ({error.hint})" if error.hint else error.message
    if isinstance(error, BudgetError):
        return Refused(429, "budget_exceeded", said, final=True)
    if isinstance(error, PolicyError):
        return Refused(403, "policy_refused", said)
    if isinstance(error, TimedOut):
        return Refused(504, "upstream_timeout", said)
    if isinstance(error, LimitError):
        return Refused(429, "rate_limit_exceeded", said, retry_after=error.retry_after, final=error.lasting)
    if isinstance(error, ProviderError) and error.status in _CALLERS:
        return Refused(error.status or 400, "upstream_error", said)
    if isinstance(error, CredentialError):  # the entry's own key: nothing that the caller could mend
        return Refused(502, "upstream_error", f"the entry's credential was not accepted: {error.message}")
    if isinstance(error, UsageError) and not isinstance(error, ConfigError):
        return invalid(said)
    return Refused(502, "upstream_error", said)
