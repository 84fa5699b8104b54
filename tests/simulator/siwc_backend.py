"""OpenAI's public API as it serves a ChatGPT plan: answers and models, for whoever has the current token of a sign-in."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from tests.simulator.faults import Fault, Faults, refusal
from tests.simulator.script import Script, Think
from tests.simulator.server import Request, Response, as_json
from tests.simulator.siwc_issuer import PLAN_SCOPE, Family, SiwcIssuer

RESPONSES, MODELS = "/v1/responses", "/v1/models"
PREFIX = "subscription_sharing_"
KNOWN = {
    "model",
    "instructions",
    "input",
    "store",
    "stream",
    "include",
    "prompt_cache_key",
    "reasoning",
    "tool_choice",
    "text",
}
ITEMS = {"message", "function_call", "function_call_output", "reasoning", "additional_tools"}
FOREIGN = (
    "chatgpt-account-id",
    "originator",
    "session-id",
    "openai-organization",
    "openai-project",
    "version",
)


def default_models() -> list[dict[str, Any]]:
    """A catalogue in the server's own order, with one that is hidden."""
    return [_model("gpt-6-sol"), _model("codex-auto-review", visibility="hide"), _model("gpt-6-luna")]


def _model(slug: str, **other: Any) -> dict[str, Any]:
    return {"slug": slug, "display_name": slug.upper(), "visibility": "list", "supported_in_api": True,
            "priority": 9 if slug == "gpt-6-sol" else 1, "default_reasoning_level": "medium",
            "input_modalities": ["text", "image"], **other}  # fmt: skip


@dataclass
class SiwcBackend:
    """The switches are its fields; `scripts` are the next answers, `faults` fails whole requests."""

    issuer: SiwcIssuer
    models: list[dict[str, Any]] = field(default_factory=default_models)
    scripts: deque[Script] = field(default_factory=deque)
    content_type: str | None = "text/event-stream; charset=utf-8"
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self.bodies: list[dict[str, Any]] = []  # of the calls that were answered
        self._encrypted: dict[str, str] = {}  # reasoning that was given out -> the client id that it was for

    def answer(self, request: Request) -> Response:
        return self.faults.answer(request, self._truly)

    def _truly(self, request: Request) -> Response:
        table = {("POST", RESPONSES): self._responses, ("GET", MODELS): self._models}
        found = table.get((request.method, request.path))
        if found is None:
            return coded(403, "route_not_supported", "This route is not supported.")
        family = self._authenticate(request)
        return family if isinstance(family, Response) else found(request, family)

    def _authenticate(self, request: Request) -> Family | Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        family = self.issuer.access_tokens.get(token) if scheme == "Bearer" else None
        foreign = [name for name in FOREIGN if name in request.headers]
        if foreign:
            return refusal(f"Unexpected header: {foreign[0]}")
        if family is None or family.ended or family.access != token:
            return refusal("Unauthorized", 401)
        if family.earliest + self.issuer.early <= self.issuer.now():
            return refusal({"error_code": "invalid_token"}, 401)
        if PLAN_SCOPE not in family.scopes:
            return as_json(
                {"error": {"code": "chatpass_v2_scope_not_authorized", "message": "No scope."}}, 403
            )
        return family

    def _models(self, request: Request, _family: Family) -> Response:
        return refusal("Unknown query") if request.query else as_json({"models": self.models})

    def _responses(self, request: Request, family: Family) -> Response:
        body = request.json()
        wrong = self._find_wrong(body, family) if isinstance(body, dict) else refusal("Invalid JSON body")
        if wrong is not None:
            return wrong
        with self._lock:
            self.bodies.append(body)
            script = self.scripts.popleft() if self.scripts else Script()
            given = {item.encrypted: family.client_id for item in script.items if isinstance(item, Think)}
            self._encrypted.update(given)
        headers = {"x-request-id": f"req_plan_{len(self.bodies)}"}
        headers |= {"content-type": self.content_type} if self.content_type else {}
        return Response(200, script.stream(body["model"]), headers)

    def _find_wrong(self, body: dict[str, Any], family: Family) -> Response | None:
        unknown = next((name for name in body if name not in KNOWN and name != "tools"), None)
        if unknown:
            return refusal(f"Unsupported parameter: {unknown}")
        if "tools" in body:
            return coded(
                400, "unsupported_capability", "Top-level functions are not supported.", param="tools"
            )
        if (
            body.get("store") is not False
            or body.get("stream") is not True
            or not isinstance(body.get("input"), list)
        ):
            return refusal("store must be false, stream true, input a list")
        if body.get("model") not in {one["slug"] for one in self.models}:
            return as_json(
                {"error": {"code": "model_not_found", "message": f"No model {body.get('model')}."}}, 404
            )
        return self._find_wrong_item(body["input"], family)

    def _find_wrong_item(self, items: list[Any], family: Family) -> Response | None:
        calls: set[str] = set()
        answered: set[str] = set()
        for item in items:
            kind = item.get("type", "message") if isinstance(item, dict) else None
            if kind not in ITEMS or item.get("role") == "system":
                return refusal(f"Invalid input item: {kind}")
            if kind == "additional_tools" and not _are_tools(item):
                return refusal("Invalid additional_tools")
            if kind == "function_call":
                calls.add(item["call_id"])
            if kind == "function_call_output":
                answered.add(item["call_id"])
            if kind == "reasoning" and self._encrypted.get(item.get("encrypted_content")) != family.client_id:
                error = {
                    "code": "invalid_encrypted_content",
                    "message": "The encrypted content is not yours.",
                }
                return as_json({"error": error}, 400)
        return refusal("A tool call and its output do not fit") if calls != answered else None


def _are_tools(item: dict[str, Any]) -> bool:
    names = {"type", "name", "description", "strict", "parameters"}
    return item.get("role") == "developer" and all(
        isinstance(tool, dict)
        and tool["type"] == "function"
        and {"strict", "parameters"} <= tool.keys() <= names
        for tool in item.get("tools") or [None]
    )


def coded(status: int, code: str, message: str, **fields: Any) -> Response:
    """An error with one of the codes of plan use."""
    return as_json({"error": {"code": PREFIX + code, "message": message, "param": None, **fields}}, status)


def _row(status: int, code: str, message: str = "No.", **fields: Any) -> Fault:
    error = {"code": code, "message": message, "param": None, **fields}
    return Fault(status, {"error": error}, {"x-request-id": "req_row"})


# what POST /v1/responses can answer -> (fault, exit code it must become)
SIWC_ROWS: dict[str, tuple[Fault, int]] = {
    "not-eligible": (_row(403, f"{PREFIX}user_not_eligible"), 4),
    "usage-limit": (_row(429, f"{PREFIX}usage_limit_exceeded"), 7),
    "usage-unavailable": (_row(503, f"{PREFIX}usage_unavailable"), 5),
    "unsupported": (_row(400, f"{PREFIX}unsupported_capability", param="input[0].content[1]"), 5),
    "route": (_row(403, f"{PREFIX}route_not_supported"), 1),
    "invalid-user": (_row(401, f"{PREFIX}invalid_user"), 4),
    "scope": (_row(403, "chatpass_v2_scope_not_authorized"), 4),
    "context": (_row(403, "chatpass_v2_invalid_authorization_context"), 4),
    "user-unavailable": (_row(503, f"{PREFIX}user_unavailable"), 5),
    "detail-401": (Fault(401, {"detail": "Unauthorized"}), 4),
    "detail-403": (Fault(403, {"detail": "Forbidden"}), 4),
    "detail-503": (Fault(503, {"detail": "Service Unavailable"}), 5),
    "rejected-field": (Fault(400, {"detail": "Unsupported parameter: include"}), 5),
    "520": (Fault(520, b"<html>error code: 520</html>", {"server": "cloudflare"}), 5),
}
