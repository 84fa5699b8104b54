"""Errors of OpenAI's API for a ChatGPT plan (OpenAI's page "Errors and recovery"), before and inside an answer. Pure.

The code decides. No reset time is ever shown: OpenAI sends none, and the limit may be the plan's or Missy's own share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.auth.siwc import SETTINGS, USAGE_PAGE
from missy.errors import CredentialError, LimitError, MissyError, ProviderError
from missy.providers import faults, responses_faults

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "subscription_sharing_"
_NO_PLAN = "a Plus or Pro plan is needed; without one, an API key or a local model works: missy setup"
_NO_GRANT = "allow Missy to use the plan: missy auth login chatgpt --enable-plan"
_LATER = "nothing is wrong here: try again in a moment"

# code -> (what happened, what to do); the account or its permission is refused, and no other token helps
_REFUSED = {
    f"{_PREFIX}user_not_eligible": ("the plan of this account cannot be used by apps", _NO_PLAN),
    f"{_PREFIX}invalid_user": (
        "the account was not accepted; the sign-in is unchanged",
        f"try again later; if it stays so, is Missy still connected in {SETTINGS}?",
    ),
    "chatpass_v2_scope_not_authorized": ("Missy may not use the plan of this account", _NO_GRANT),
    "chatpass_v2_invalid_authorization_context": ("Missy may not use the plan of this account", _NO_GRANT),
}
_FOR_THE_MOMENT = {
    f"{_PREFIX}usage_unavailable": "how much of the plan is used cannot be told at the moment",
    f"{_PREFIX}user_unavailable": "the account cannot be looked up at the moment",
}
# status of a refusal that has only a `detail` -> (what happened, what to do)
_ADMISSION = {
    401: ("the account or its permission was not accepted", "see whose it is: missy auth status"),
    403: (
        "the request was refused by a policy of OpenAI, or for the region of this network",
        "OpenAI serves plans in some regions only; the sign-in is fine",
    ),
    503: (
        "use of ChatGPT plans is switched off at the moment",
        "try again later, or use an API key: missy setup",
    ),
}


class PlanRefused(CredentialError):
    """The account was refused. `code` is the server's own name for it."""

    def __init__(
        self, message: str, *, hint: str, status: int | None, request_id: str | None, code: str
    ) -> None:
        super().__init__(message, hint=hint, status=status, request_id=request_id)
        self.code = code


def explain(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    host: str,
    keyed: bool = True,
    model: str | None = None,
) -> MissyError:
    """Map an error response of the API to an error with a hint for the owner of a plan."""
    from missy.net.error_body import read_error_body

    error = faults.from_response(status, headers, body, host=host, keyed=keyed, model=model)
    found = read_error_body(body.decode("utf-8-sig", "replace"))
    code = next((one for one in _codes(found.fields) if one in _KNOWN), "")
    if code:
        return _of_code(code, error, status, found.params)
    if "error" not in found.fields and "detail" in found.fields and status in _ADMISSION:
        return _of_admission(error, status, _code_of(found.fields))
    if isinstance(error, CredentialError):
        hint = "see whose it is: missy auth status"
        said = _code_of(found.fields)
        return PlanRefused(error.message, hint=hint, status=status, request_id=error.request_id, code=said)
    if error.hint.endswith("/v1"):  # that hint is for other endpoints
        error.hint = "try again later"
    return error


def fault(data: dict[str, Any], **call: Any) -> MissyError:
    """Map the error in an event or a response object."""
    error = responses_faults.response_fault(data, **call)
    code = getattr(error, "code", None) or ""
    return _of_code(code, error, None, ()) if code in _KNOWN else error


def _of_code(code: str, error: MissyError, status: int | None, params: tuple[str, ...]) -> MissyError:
    told: dict[str, Any] = {"status": status, "request_id": error.request_id}
    if code in _REFUSED:
        said, hint = _REFUSED[code]
        return PlanRefused(f"{said} ({code})", hint=hint, code=code, **told)
    if code in _FOR_THE_MOMENT:
        wait = error.retry_after if isinstance(error, ProviderError) else None
        message = f"{_FOR_THE_MOMENT[code]} ({code})"
        return ProviderError(message, hint=_LATER, code=code, retry_after=wait, **told)
    if code == f"{_PREFIX}usage_limit_exceeded":
        return LimitError(
            "the usage limit of the plan, or of Missy's share of it, is reached; nothing was charged elsewhere",
            hint=f"manage usage: {USAGE_PAGE}",
            code=code,
            lasting=True,
            **told,
        )
    if code == f"{_PREFIX}route_not_supported":
        return MissyError(
            f"the plan cannot be used for this kind of request: {error.message}",
            hint="that is a fault of Missy: please report it (missy doctor --report)",
            **told,
        )
    named = ", ".join(params) or "a part of the request"
    return ProviderError(
        f"the plan does not support {named}: {error.message}",
        hint="leave it out, or use an entry with an API key",
        code=code,
        lasting=True,
        params=params,
        **told,
    )


_KNOWN = {
    *_REFUSED,
    *_FOR_THE_MOMENT,
    *(
        f"{_PREFIX}{name}"
        for name in ("usage_limit_exceeded", "route_not_supported", "unsupported_capability")
    ),
}


def _of_admission(error: MissyError, status: int, code: str) -> MissyError:
    """Map a refusal before the request was looked at: its body is a `detail` alone."""
    said, hint = _ADMISSION[status]
    message = f"{said}: {error.message}"
    told: dict[str, Any] = {"status": status, "request_id": error.request_id, "code": code}
    if status == 503:
        return ProviderError(message, hint=hint, **told)
    return PlanRefused(message, hint=hint, **told)


def _codes(fields: Mapping[str, Any]) -> list[str]:
    found = (fields.get(name) for name in ("code", "errorcode", "error", "type"))
    return [one for one in found if isinstance(one, str)]


def _code_of(fields: Mapping[str, Any]) -> str:
    return next(iter(_codes(fields)), "")[:100]
