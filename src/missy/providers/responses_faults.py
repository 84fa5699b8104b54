"""Errors inside a Responses answer, with hints. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.errors import ProviderError
from missy.providers import faults

if TYPE_CHECKING:
    from missy.errors import MissyError

_REFUSED = "the backend refuses to answer this: rephrase the prompt"
# the backend's error code -> hint, if other endpoints use the code differently
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
    """Map the error in an event or a response object."""
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
    """Tell whether JSON received instead of a part of the answer is an error."""
    from missy.net import error_body

    return error_body.complains(data, answers=("output", "response"))
