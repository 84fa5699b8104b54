"""The ASGI application: which request goes where, and what becomes of its failures. Nothing here waits for an endpoint."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from missy.errors import MissyError
from missy.serve.asgi import Gone, Reply, header
from missy.serve.chat import Chat
from missy.serve.doorman import require_own
from missy.serve.faults import Refused, from_error
from missy.serve.ledger import Spent
from missy.serve.metrics import CONTENT_TYPE
from missy.serve.routes import names
from missy.serve.site import PATHS, Site

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.serve.asgi import Receive, Send
    from missy.serve.gateway import Gateway

_CHAT, _MODELS = "/v1/chat/completions", "/v1/models"


class Application:
    """The ASGI application of one gateway. `hosts` are the values of Host that are its own."""

    def __init__(
        self, gateway: Gateway, hosts: frozenset[str], on_fault: Callable[[BaseException], None]
    ) -> None:
        self._gateway = gateway
        self._site = Site(gateway)
        self._hosts = hosts
        self._on_fault = on_fault
        self.is_ending = False

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        reply = Reply(send)
        metrics = self._gateway.metrics
        metrics.in_flight += 1
        chat: Chat | None = None
        try:
            path = scope["path"]
            is_page = not path.startswith("/v1/")
            origin, site = header(scope, b"origin"), header(scope, b"sec-fetch-site")
            require_own(self._hosts, header(scope, b"host"), origin, site, is_page=is_page)
            if path == _CHAT:
                self._require_method(scope, "POST")
                chat = Chat(self._gateway, scope, receive, reply)
                await chat.run()
            elif path in PATHS:
                await self._site.answer(path, scope, receive, reply)
            else:
                await self._other(path, scope, reply)
        except Gone:
            return
        except Refused as refused:
            await self._refuse(reply, refused, chat)
        except MissyError as error:
            await self._refuse(reply, from_error(error), chat)
        except Exception as error:  # a bug: the caller is told nothing of it
            self._on_fault(error)
            await self._refuse(
                reply, Refused(500, "internal_error", "an internal error of the gateway"), chat
            )
        finally:
            metrics.in_flight -= 1

    async def _refuse(self, reply: Reply, refused: Refused, chat: Chat | None) -> None:
        if chat is not None and not chat.is_counted:
            target = chat.target
            place = ("", "") if target is None else (target.entry.entry, target.model or "")
            if chat.key:
                self._gateway.books.refused(chat.key, *place)
            self._gateway.metrics.count(Spent(0, chat.key, *place, refused=1), refused.code)
        if not reply.started:
            # The rest of the request is not read, so the connection cannot be used again.
            await reply.whole(
                refused.status, refused.body(), headers=refused.headers(), close=refused.status < 429
            )

    async def _other(self, path: str, scope: Any, reply: Reply) -> None:
        if path == _MODELS:
            self._require_method(scope, "GET")
            await self._models(scope, reply)
        elif path == "/healthz":
            self._require_method(scope, "GET")
            await reply.whole(200, b'{"ok": true}')
        elif path == "/readyz":
            self._require_method(scope, "GET")
            await self._ready(reply)
        elif path == "/metrics":
            self._require_method(scope, "GET")
            await self._require_admin(scope)
            await reply.whole(200, self._gateway.metrics.text(), CONTENT_TYPE)
        else:
            raise Refused(404, "not_found", f"there is no {path[:100]} here")

    async def _models(self, scope: Any, reply: Reply) -> None:
        key = await self._gateway.books.who(header(scope, b"authorization"))
        config = self._gateway.runtime.current()
        listed = [
            {"id": name, "object": "model", "created": 0, "owned_by": entry}
            for name, entry in names(config, key)
        ]
        await reply.whole(200, json.dumps({"object": "list", "data": listed}).encode())

    async def _ready(self, reply: Reply) -> None:
        is_ready = not self.is_ending and await self._gateway.books.is_up()
        await reply.whole(200 if is_ready else 503, json.dumps({"ok": is_ready}).encode())

    async def _require_admin(self, scope: Any) -> None:
        key = await self._gateway.books.who(header(scope, b"authorization"))
        if not key.is_admin:
            raise Refused(403, "admin_required", "this needs an admin key: missy keys create NAME --admin")

    @staticmethod
    def _require_method(scope: Any, method: str) -> None:
        if scope["method"] != method:
            raise Refused(405, "method_not_allowed", f"only {method} is allowed here")
