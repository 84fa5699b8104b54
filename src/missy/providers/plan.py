"""The provider of an account that signed in with ChatGPT: OpenAI's public API, paid for by the plan of that account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.auth.siwc.account import PlanAccess
from missy.errors import UsageError
from missy.providers import plan_faults
from missy.providers.responses import ResponsesProvider
from missy.providers.responses_profile import ResponsesProfile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from missy.errors import MissyError
    from missy.net.client_lease import Account
    from missy.providers.wire_responses import ResponsesReply

# OpenAI's page "Models and inference". Functions go into an item of the input: top-level tools may stop working.
PROFILE = ResponsesProfile(
    "a ChatGPT plan",
    frozenset(
        {"model", "instructions", "input", "store", "stream", "include", "prompt_cache_key", "reasoning", "tool_choice",
         "text"}
    ),
    tools_in_input=True,
)  # fmt: skip


class PlanProvider(ResponsesProvider[PlanAccess]):
    """See missy.providers.responses.ResponsesProvider. `own_use` says why nobody is lent a client."""

    profile = PROFILE

    def __init__(self, *args: Any, own_use: str, **named: Any) -> None:
        super().__init__(*args, **named)
        self._own_use = own_use

    def _account_headers(self, access: PlanAccess) -> dict[str, str]:  # noqa: ARG002
        return {}

    def _answered(self, access: PlanAccess, headers: Mapping[str, str], parser: ResponsesReply) -> None:  # noqa: ARG002
        parser.fault = plan_faults.fault

    def _explain(self, status: int, headers: Mapping[str, str], body: bytes, **call: Any) -> MissyError:
        return plan_faults.explain(status, headers, body, **call)

    def account(self) -> Account:
        """Refuse: see `own_use`."""
        raise UsageError(f"this entry lends no client: {self._own_use}", hint="ask it, or use an API key")
