"""The backend: answers, models, limits and the account, for whoever has the current token of a login."""

from __future__ import annotations

import base64
import importlib
import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from tests.simulator.faults import Faults, refusal
from tests.simulator.issuer import Account, Issuer
from tests.simulator.script import Script, Think
from tests.simulator.server import Request, Response, as_json

PREFIX = "/backend-api"
UNSUPPORTED = (
    "max_output_tokens", "max_tokens", "temperature", "previous_response_id", "top_p", "metadata", "user", "truncation",
    "safety_identifier", "prompt_cache_retention",
)  # fmt: skip
KNOWN = {
    "model", "instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "store", "stream",
    "include", "prompt_cache_key", "text", "service_tier", "client_metadata",
}  # fmt: skip
ITEMS = {
    "message",
    "function_call",
    "function_call_output",
    "reasoning",
    "custom_tool_call",
    "custom_tool_call_output",
}


def default_models() -> list[dict[str, Any]]:
    """A catalogue with a default, a second, one that is hidden and one that only newer clients are shown."""
    return [_model("gpt-6-luna", 3), _model("gpt-6.1-sol", 1), _model("codex-auto-review", 9, visibility="hide"),
            _model("gpt-9-early", 2, minimal_client_version="999.0.0")]  # fmt: skip


def _model(slug: str, priority: int, **other: Any) -> dict[str, Any]:
    efforts = [{"effort": effort, "description": ""} for effort in ("low", "medium", "high")]
    return {"slug": slug, "display_name": slug, "description": "", "visibility": "list", "supported_in_api": True,
            "priority": priority, "context_window": 272_000, "default_reasoning_level": "medium",
            "supported_reasoning_levels": efforts, "supports_parallel_tool_calls": True,
            "input_modalities": ["text", "image"], "minimal_client_version": "0.124.0", **other}  # fmt: skip


@dataclass
class Backend:
    """The switches are its fields; `scripts` are the next answers, `faults` fails whole requests."""

    issuer: Issuer
    models: list[dict[str, Any]] = field(default_factory=default_models)
    extra_models: frozenset[str] = frozenset({"gpt-5.5"})  # not listed, and yet they answer
    scripts: deque[Script] = field(default_factory=deque)
    used_percent: float = 12.5
    reset_at: int = 4_000_000_000
    only_current_token: bool = True
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self.bodies: list[dict[str, Any]] = []  # of the calls that were answered
        self._encrypted: dict[str, str] = {}  # reasoning that was given out -> the account it was for

    def answer(self, request: Request) -> Response:
        return self.faults.answer(request, self._truly)

    def _truly(self, request: Request) -> Response:
        table = {
            ("POST", f"{PREFIX}/codex/responses"): self._responses,
            ("GET", f"{PREFIX}/codex/models"): self._models,
            ("GET", f"{PREFIX}/wham/usage"): self._usage,
            ("GET", f"{PREFIX}/wham/accounts/check"): self._accounts,
        }
        if (
            request.path == f"{PREFIX}/codex/responses"
            and request.headers.get("upgrade", "").lower() == "websocket"
        ):
            return as_json({"detail": "Upgrade Required"}, 426)
        if request.path == f"{PREFIX}/codex/chat/completions":
            return refusal("Forbidden", 403)
        found = table.get((request.method, request.path))
        if found is None:
            return refusal("Not Found", 404)
        account = self._authenticate(request)
        return account if isinstance(account, Response) else found(request, account)

    def _authenticate(self, request: Request) -> Account | Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        family = self.issuer.access_tokens.get(token) if scheme == "Bearer" else None
        if family is None:
            return _unauthorized("token_invalid", "Could not parse your authentication token.")
        if family.revoked or (self.only_current_token and family.access != token):
            return _unauthorized("token_invalidated", "Your authentication token has been invalidated.")
        ends = _exp(token)
        if isinstance(ends, int) and 0 < ends <= time.time():
            return _unauthorized("token_expired", "Provided authentication token is expired.")
        if request.headers.get("chatgpt-account-id") != family.account.id:
            return refusal({"code": "invalid_workspace_selected"}, 403)
        return family.account

    def _responses(self, request: Request, account: Account) -> Response:
        try:
            body = json.loads(_unpack(request))
        except NotImplementedError:
            return refusal("Unsupported content encoding", 415)
        except ValueError:
            body = None
        wrong = self._find_wrong(body, account) if isinstance(body, dict) else "Invalid JSON body"
        if wrong is not None:
            return wrong if isinstance(wrong, Response) else refusal(wrong)
        with self._lock:
            self.bodies.append(body)
            script = self.scripts.popleft() if self.scripts else Script()
            self._encrypted.update({i.encrypted: account.id for i in script.items if isinstance(i, Think)})
        headers = {"content-type": "text/event-stream; charset=utf-8", "x-request-id": f"req_sim_{len(self.bodies)}",
                   "openai-model": body["model"], **self.limit_headers(account)}  # fmt: skip
        return Response(200, script.stream(body["model"]), headers)

    def _find_wrong(self, body: dict[str, Any], account: Account) -> str | Response | None:
        if body.get("store") is not False:
            return "Store must be set to false"
        if body.get("stream") is not True:
            return "Stream must be set to true"
        if not isinstance(body.get("input"), list):
            return "Input must be a list"
        if not isinstance(body.get("instructions"), str) or not body["instructions"].strip():
            return "Instructions are required"
        refused = [name for name in body if name in UNSUPPORTED or name not in KNOWN]
        if refused:
            return f"Unsupported parameter: {refused[0]}"
        model = body.get("model")
        if model not in {one["slug"] for one in self.models} | self.extra_models:
            return f"The '{model}' model is not supported when using Codex with a ChatGPT account."
        return self._find_wrong_item(body["input"], account)

    def _find_wrong_item(self, items: list[Any], account: Account) -> str | Response | None:
        calls: set[str] = set()
        answered: set[str] = set()
        for item in items:
            kind = item.get("type", "message") if isinstance(item, dict) else None
            if kind not in ITEMS:
                return f"Invalid input item: {kind}"
            if item.get("role") == "system":
                return "System messages are not allowed"
            if kind == "message" and not _is_content(item.get("content"), item.get("role")):
                return "Invalid message content"
            if kind == "function_call":
                calls.add(item.get("call_id"))
            if kind == "function_call_output":
                if item.get("call_id") not in calls:
                    return f"No tool call found for function call output with call_id {item.get('call_id')}."
                answered.add(item["call_id"])
            if kind == "reasoning" and self._encrypted.get(item.get("encrypted_content")) != account.id:
                error = {
                    "code": "invalid_encrypted_content",
                    "message": "The encrypted content could not be verified.",
                }
                return as_json({"error": error}, 400)
        missing = calls - answered
        return f"No tool output found for function call {missing.pop()}." if missing else None

    def _models(self, request: Request, _account: Account) -> Response:
        version = dict(parse_qsl(request.query)).get("client_version")
        if not version:
            return refusal([{"loc": ["query", "client_version"], "msg": "Field required"}], 422)
        shown = [one for one in self.models if _version(one["minimal_client_version"]) <= _version(version)]
        raw = json.dumps({"models": shown}).encode()
        etag = f'W/"{hash(raw) & 0xFFFFFFFF:08x}"'
        if request.headers.get("if-none-match") == etag:
            return Response(304, b"", {"etag": etag})
        return Response(200, raw, {"content-type": "application/json", "etag": etag})

    def _usage(self, _request: Request, account: Account) -> Response:
        def window(used: float, seconds: int) -> dict[str, Any]:
            return {"used_percent": used, "limit_window_seconds": seconds, "reset_after_seconds": 3600,
                    "reset_at": self.reset_at}  # fmt: skip

        rate = {"allowed": True, "limit_reached": self.used_percent >= 100,
                "primary_window": window(self.used_percent, 18_000), "secondary_window": window(40, 604_800)}  # fmt: skip
        return as_json({"user_id": "user-simulated", "account_id": account.id, "email": account.email,
                        "plan_type": account.plan, "rate_limit": rate, "code_review_rate_limit": None,
                        "additional_rate_limits": [],
                        "credits": {"has_credits": False, "unlimited": False, "balance": "0"}})  # fmt: skip

    def _accounts(self, _request: Request, account: Account) -> Response:
        entry = {"id": account.id, "name": None, "structure": "personal", "plan_type": account.plan,
                 "is_deactivated": False, "is_fedramp_compliant_workspace": account.fedramp,
                 "can_access_with_session": True, "workspace_backend_origin": "NO_CONSTRAINT",
                 "account_routing_override": "NO_CONSTRAINT"}  # fmt: skip
        return as_json(
            {"accounts": [entry], "default_account_id": account.id, "account_ordering": [account.id]}
        )

    def limit_headers(self, account: Account) -> dict[str, str]:
        """What goes with every answer about how much is used up."""
        return {
            "x-codex-plan-type": account.plan,
            "x-codex-primary-used-percent": str(self.used_percent),
            "x-codex-primary-window-minutes": "300",
            "x-codex-primary-reset-at": str(self.reset_at),
            "x-codex-secondary-used-percent": "40",
            "x-codex-secondary-window-minutes": "10080",
            "x-codex-secondary-reset-at": str(self.reset_at),
            "x-codex-credits-has-credits": "False",
            "x-codex-credits-unlimited": "False",
            "x-codex-credits-balance": "",
        }


def _unpack(request: Request) -> bytes:
    """The body without its content encoding: identity, or zstd where this Python has it (3.14)."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding == "identity":
        return request.body
    try:
        zstd = importlib.import_module("compression.zstd")
    except ImportError:
        raise NotImplementedError from None
    if encoding != "zstd":
        raise NotImplementedError
    return zstd.decompress(request.body)


def _unauthorized(code: str, message: str) -> Response:
    return as_json({"error": {"message": message, "code": code}, "status": 401}, 401)


def _exp(token: str) -> Any:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))).get("exp")


def _is_content(content: Any, role: Any) -> bool:
    if isinstance(content, str):
        return True
    kinds = {"output_text", "refusal"} if role == "assistant" else {"input_text", "input_image", "input_file"}
    return isinstance(content, list) and all(isinstance(p, dict) and p.get("type") in kinds for p in content)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())
