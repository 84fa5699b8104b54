"""Errors inside a Responses answer, and what to do about them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.errors import ProviderError
from missy.providers import faults

if TYPE_CHECKING:
    from missy.errors import MissyError

_REFUSED = "the backend will not answer this: ask in other words"
# the backend's name for an error -> what to do about it, where that is not what other endpoints mean by it
NEXT_STEPS = {
    "usage_not_included": "the plan of this account does not include this use: upgrade it, or log in to another account",
    "invalid_prompt": _REFUSED,
    "cyber_policy": _REFUSED,
    "bio_policy": _REFUSED,
    "content_policy_violation": _REFUSED,
}


def response_fault(
    data: dict[str, Any], *, host: str, request_id: str | None, model: str | None, limits: Any
) -> MissyError:
    """Return the error that an event or a response object holds."""
    response = data.get("response")
    source = response if isinstance(response, dict) and response.get("error") else data
    headers = {"headers": data["headers"]} if isinstance(data.get("headers"), dict) else {}
    error = faults.from_answer(
        {**headers, **source}, host=host, request_id=request_id, model=model, limits=limits
    )
    if isinstance(error, ProviderError):
        error.hint = NEXT_STEPS.get(error.code or "", error.hint)
    return error


def complains(data: dict[str, Any]) -> bool:
    """Tell whether JSON that came where a part of the answer belongs is a complaint."""
    from missy.net import error_body

    return error_body.complains(data, answers=("output", "response"))
