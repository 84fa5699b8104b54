"""The routes of the page: sign in with an admin key, the overview, sign out. Sessions are in memory, for eight hours."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from missy.serve import limits, page
from missy.serve.asgi import header, read_body
from missy.serve.faults import Refused
from missy.serve.keys import hash_of, is_form
from missy.serve.store import StoreDown

if TYPE_CHECKING:
    from missy.serve.asgi import Receive, Reply
    from missy.serve.gateway import Gateway

PATHS = frozenset({"/", "/login", "/logout", "/style.css"})
_COOKIE = "missy_session"
_SESSION_SECONDS = 8 * 3600
_MAX_SESSIONS = 100
_MAX_FORM = 4096
_DAY_MINUTES = 1440
_HTML = b"text/html; charset=utf-8"
_POLICY = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (
        b"referrer-policy",
        b"same-origin",
    ),  # with no-referrer, the page's own forms would have the Origin "null"
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Site:
    """The page of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._style = files("missy.serve").joinpath("style.css").read_bytes()
        # By the hash of a session's token: the hash of its key, and its end.
        self._sessions: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def answer(self, path: str, scope: Any, receive: Receive, reply: Reply) -> None:
        """Answer a request to one of PATHS. Raises Refused."""
        method = scope["method"]
        if path == "/style.css" and method == "GET":
            await reply.whole(200, self._style, b"text/css; charset=utf-8", _POLICY)
        elif path == "/" and method == "GET":
            await self._front(scope, reply)
        elif path == "/login" and method == "POST":
            await self._sign_in(scope, receive, reply)
        elif path == "/logout" and method == "POST":
            self._sessions.pop(_hashed(_token(scope)), None)
            await _redirect(reply, _cookie("", 0, scope))
        elif path == "/login" and method == "GET":
            await _redirect(reply)
        else:
            raise Refused(405, "method_not_allowed", "this method is not allowed here")

    async def _front(self, scope: Any, reply: Reply) -> None:
        digest = self._session(scope)
        if digest is None:
            await _send(reply, 200, page.sign_in())
            return
        try:
            key = await self._gateway.books.who_is(digest)
            if not key.is_admin:
                raise Refused(403, "admin_required", "this is no admin key")
            shown = page.overview(await self._state())
        except StoreDown:
            await _send(reply, 503, page.unavailable())
        except Refused as refused:
            if refused.status == 503:
                await _send(reply, 503, page.unavailable())
            else:
                await _send(reply, 200, page.sign_in("The key cannot be used any more."))
        else:
            await _send(reply, 200, shown)

    async def _sign_in(self, scope: Any, receive: Receive, reply: Reply) -> None:
        form = parse_qs((await read_body(scope, receive, _MAX_FORM)).decode("latin-1"), max_num_fields=4)
        given = form.get("key", [""])[0].strip()
        try:
            if not is_form(given) or not (await self._gateway.books.who_is(hash_of(given))).is_admin:
                raise Refused(401, "invalid_api_key", "no admin key")
        except Refused as refused:
            if refused.status == 503:
                await _send(reply, 503, page.unavailable())
            else:
                await _send(reply, 401, page.sign_in("This is no admin key that can be used."))
            return
        token = secrets.token_urlsafe(32)
        self._sessions[_hashed(token)] = (hash_of(given), time.time() + _SESSION_SECONDS)
        while len(self._sessions) > _MAX_SESSIONS:
            self._sessions.popitem(last=False)
        await _redirect(reply, _cookie(token, _SESSION_SECONDS, scope))

    def _session(self, scope: Any) -> str | None:
        found = self._sessions.get(_hashed(_token(scope)))
        return found[0] if found is not None and found[1] > time.time() else None

    async def _state(self) -> page.State:
        gateway, ledger = self._gateway, self._gateway.ledger
        since = int(time.time()) // 60 - page.DAYS * _DAY_MINUTES
        by = {name: await ledger.usage(name, since) for name in ("day", "key", "model")}
        known = []
        for key in await ledger.keys():
            name = f"{limits.COST}:{limits.window(key.period, time.time())}"
            known.append((key, await ledger.taken(key.name, name) if key.budget_micro is not None else 0))
        metrics = gateway.metrics
        allows = gateway.runtime.config.serve.on_store_failure == "allow"
        return page.State(
            by["day"], by["key"], by["model"], known, metrics.in_flight - 1, metrics.unsettled, metrics.store_up, allows
        )  # fmt: skip


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode("latin-1", "replace")).hexdigest()


def _token(scope: Any) -> str:
    for part in header(scope, b"cookie").split(";"):
        name, _, value = part.strip().partition("=")
        if name == _COOKIE:
            return value
    return ""


def _cookie(value: str, seconds: int, scope: Any) -> tuple[bytes, bytes]:
    secure = "; Secure" if scope["scheme"] == "https" else ""
    text = f"{_COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    return b"set-cookie", text.encode("ascii")


async def _send(reply: Reply, status: int, html: str) -> None:
    await reply.whole(status, html.encode(), _HTML, _POLICY)


async def _redirect(reply: Reply, *headers: tuple[bytes, bytes]) -> None:
    await reply.whole(303, b"", _HTML, [(b"location", b"/"), *headers])
