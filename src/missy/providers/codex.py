"""The provider of kind `openai-codex`: the ChatGPT backend, which its own client uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.auth.login import Access
from missy.auth.usage import account_headers, read_event, read_headers
from missy.errors import CredentialError, ProviderError
from missy.providers import faults, responses_faults
from missy.providers.responses import ResponsesProvider
from missy.providers.responses_profile import ResponsesProfile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from missy.auth.usage import UsageCache
    from missy.errors import MissyError
    from missy.providers.wire_responses import ResponsesReply

PROFILE = ResponsesProfile(
    "the ChatGPT backend",
    frozenset(
        {
            "model", "instructions", "input", "store", "stream", "include", "prompt_cache_key", "reasoning", "tools",
            "tool_choice", "parallel_tool_calls", "text",
        }
    ),
    instructions="You are a helpful assistant.",  # a request without instructions is refused
    # The backend leaves out models whose `minimal_client_version` is higher; the highest seen is 0.155.0, in the list
    # that its own client 0.169.0 carries. Far above it, so that no model is hidden when that client reaches 1.0.
    models_query="?client_version=99.0.0",
)  # fmt: skip


class CodexProvider(ResponsesProvider[Access]):
    """See missy.providers.responses.ResponsesProvider. `limits` keeps what answers tell about the plan's limits."""

    profile = PROFILE

    def __init__(self, *args: Any, limits: UsageCache, **named: Any) -> None:
        super().__init__(*args, **named)
        self._limits = limits

    def _account_headers(self, access: Access) -> dict[str, str]:
        return account_headers(access)

    def _cache_headers(self, cache_key: str | None) -> dict[str, str]:
        return {} if cache_key is None else {"session-id": cache_key}

    def _answered(self, access: Access, headers: Mapping[str, str], parser: ResponsesReply) -> None:
        self._note(access, read_headers(headers))
        parser.on_limits = lambda data: self._note(access, read_event(data))

    def _explain(self, status: int, headers: Mapping[str, str], body: bytes, **call: Any) -> MissyError:
        # an error response has the limits too, especially when they are exhausted
        if self._access is not None:
            self._note(self._access, read_headers(headers))
        return explain(status, headers, body, **call)

    def _note(self, access: Access, limits: dict[str, Any] | None) -> None:
        if limits is not None:
            self._limits.write(access.account_id, limits)


def explain(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    host: str,
    keyed: bool = True,
    model: str | None = None,
) -> MissyError:
    """Map an error response of the ChatGPT backend to an error with a hint for subscribers."""
    from missy.net.error_meaning import REGION_HINT

    error = faults.from_response(status, headers, body, host=host, keyed=keyed, model=model)
    words = error.message.lower()
    if isinstance(error, ProviderError):
        error.hint = responses_faults.NEXT_STEPS.get(error.code or "", error.hint)
    if "workspace" in words and status in (402, 403):
        hint = "log in again and choose another workspace: missy auth login"
        return CredentialError(error.message, hint=hint, status=status, request_id=error.request_id)
    if error.hint == REGION_HINT:
        error.hint = f"{REGION_HINT}; the login is fine"
    if error.hint.endswith("/v1"):  # that hint is for other endpoints
        error.hint = "try again later; if the entry sets base_url, is it right?"
    if isinstance(error, CredentialError) and "missy models" not in error.hint:
        error.hint = "log in again: missy auth login"
    return error
