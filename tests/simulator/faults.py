"""The ways in which the servers are known to fail, each by its name, to be switched on for a number of requests."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.simulator.server import Cut, Request, Response, as_json


@dataclass(frozen=True)
class Fault:
    """One failure. `after` does the true work first, so that only its reply is lost; it waits for `hold`."""

    status: int = 500
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hold: threading.Event | None = None
    seen: threading.Event | None = None  # set when the request has come
    cut: int | None = None  # bytes of the body after which the connection breaks
    after: bool = False
    only_delay: bool = False  # late, but right

    def response(self) -> Response:
        raw = (
            self.body
            if isinstance(self.body, bytes)
            else json.dumps(self.body if self.body is not None else {}).encode()
        )
        kind = "text/html; charset=UTF-8" if raw[:1] == b"<" else "application/json"
        return Response(self.status, raw, {"content-type": kind, **self.headers})


class Faults:
    """The failures that are switched on, by path."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[str, list[tuple[Fault, int | None]]] = defaultdict(list)

    def add(self, path: str, fault: Fault, times: int | None = 1) -> None:
        """Fail the next `times` requests to `path` this way; None is for ever. Later ones queue up behind."""
        with self._lock:
            self._queues[path].append((fault, times))

    def clear(self) -> None:
        with self._lock:
            self._queues.clear()

    def take(self, path: str) -> Fault | None:
        with self._lock:
            queue = self._queues.get(path)
            if not queue:
                return None
            fault, times = queue[0]
            if times is not None:
                queue[0] = (fault, times - 1)
                if times <= 1:
                    queue.pop(0)
            return fault

    def answer(self, request: Request, truly: Callable[[Request], Response]) -> Response:
        """Answer a request truly, or as the fault that is next for its path."""
        fault = self.take(request.path)
        if fault is None:
            return truly(request)
        if fault.seen is not None:
            fault.seen.set()
        time.sleep(fault.delay)
        if fault.hold is not None:
            fault.hold.wait(60)
        if fault.only_delay:
            return truly(request)
        response = truly(request) if fault.after else fault.response()
        if fault.cut is not None:
            assert isinstance(response.body, bytes)
            return Response(response.status, _broken(response.body[: fault.cut]), response.headers)
        return fault.response() if fault.after else response


def _broken(start: bytes) -> Iterator[bytes]:
    yield start
    raise Cut


def _token_error(code: str, message: str, status: int = 401) -> Fault:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return Fault(status, body)


CLOUDFLARE = Fault(
    403,
    b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Enable JavaScript</body></html>",
    {"cf-mitigated": "challenge", "cf-ray": "8f0000000000abcd-OSL", "server": "cloudflare"},
)

# what POST /oauth/token with a refresh token can answer -> (fault, is it for good)
ISSUER_ROWS: dict[str, tuple[Fault, bool]] = {
    "expired": (_token_error("refresh_token_expired", "Your refresh token has expired."), True),
    "reused": (_token_error("refresh_token_reused", "Your refresh token has already been used."), True),
    "reused-400": (_token_error("refresh_token_reused", "Already used.", 400), True),
    "invalidated": (_token_error("refresh_token_invalidated", "Your session has ended."), True),
    "invalid-grant": (Fault(400, {"error": "invalid_grant", "error_description": "Unknown token."}), True),
    "flat-code": (Fault(401, {"code": "refresh_token_expired"}), True),
    "other-401": (_token_error("account_deactivated", "This account was deactivated."), True),
    "bare-401": (Fault(401, b""), True),
    "500": (Fault(500, {"error": {"message": "The server had an error."}}), False),
    "502-page": (Fault(502, b"<html><h1>Bad gateway</h1></html>"), False),
    "429": (Fault(429, {"error": {"message": "Too many requests."}}, {"retry-after": "2"}), False),
    "cloudflare": (CLOUDFLARE, False),
    "200-page": (Fault(200, b"<html>Sign in to the hotel network</html>"), False),
    "200-list": (Fault(200, []), False),
    "200-deep": (Fault(200, b"[" * 200_000), False),
    "200-numbers": (Fault(200, {"access_token": 5}), False),
    "200-spaces": (Fault(200, {"access_token": "a b\r\nc"}), False),
    "200-empty": (Fault(200, {}), False),
    "cut": (Fault(200, {"access_token": "x" * 400}, cut=40), False),
    "302": (Fault(302, b"", {"location": "http://127.0.0.1:9/stolen"}), False),
}


def _error(status: int, headers: dict[str, str] | None = None, **fields: Any) -> Fault:
    return Fault(status, {"error": fields}, headers or {})


# what POST /codex/responses can answer -> (fault, exit code it must become)
BACKEND_ROWS: dict[str, tuple[Fault, int]] = {
    "usage-limit": (
        _error(429, type="usage_limit_reached", message="The usage limit has been reached", plan_type="plus",
               resets_at=4_000_000_000, resets_in_seconds=3600), 7),
    "usage-limit-404": (_error(404, type="usage_limit_reached", message="The usage limit has been reached"), 7),
    "usage-not-included": (_error(429, type="usage_not_included", message="Upgrade to Plus."), 7),
    "rate-limit": (_error(429, {"retry-after": "1"}, code="rate_limit_exceeded", message="Slow down."), 7),
    "bad-request": (Fault(400, {"detail": "Something is wrong with the request"}), 5),
    "model-not-supported": (
        Fault(400, {"detail": "The 'x' model is not supported when using Codex with a ChatGPT account."}), 5),
    "wrong-workspace": (Fault(403, {"detail": {"code": "invalid_workspace_selected"}}), 4),
    "token-expired": (
        Fault(401, {"error": {"message": "Provided authentication token is expired. Please try signing in again.",
                              "code": "token_expired"}, "status": 401}), 4),
    "token-invalidated": (Fault(401, {"error": {"message": "Invalidated.", "code": "token_invalidated"}}), 4),
    "cloudflare": (CLOUDFLARE, 5),
    "deactivated-workspace": (Fault(402, {"detail": {"code": "deactivated_workspace"}}), 5),
    "not-found": (Fault(404, {"detail": "Not Found"}), 5),
    "server-error": (Fault(500, {"error": {"message": "The server had an error."}}), 5),
    "overloaded": (_error(503, code="server_is_overloaded", message="Selected model is at capacity."), 5),
    "slow-down": (_error(503, code="slow_down", message="Slow down."), 5),
}  # fmt: skip


def refusal(detail: Any, status: int = 400) -> Response:
    """The backend's own way to say no."""
    return as_json({"detail": detail}, status)
