"""One request to /v1/chat/completions: who asks, what it may cost, the call, and how it ended."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from missy.answering.driving import async_answering
from missy.errors import BadReply, IncompleteError, MissyError, TimedOut
from missy.net.limits import Clock
from missy.providers import faults
from missy.providers.counts import chat_usage, size_of
from missy.providers.payload import MAX_EVENT
from missy.providers.relay import relay
from missy.serve.asgi import Gone, header, read_body
from missy.serve.complaints import complaint_of
from missy.serve.faults import Refused, from_error
from missy.serve.metering import INCOMPLETE, LEFT, OK, Meter
from missy.serve.routes import require, resolve
from missy.serve.tap import ALIVE, END, StreamTap
from missy.serve.watched import Ending, Watched
from missy.serve.wire import MAX_BODY, read_answer, read_request

if TYPE_CHECKING:
    from missy.net.messages import HttpResponse
    from missy.serve.asgi import Receive, Reply
    from missy.serve.gateway import Gateway
    from missy.serve.routes import Target
    from missy.serve.wire import Asked

_STREAM = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no"))
_DRAIN_SECONDS = 0.05  # to read the end of the body, so that the connection can be used again


class Chat:
    """One request. `key` and `target` are None until they are known."""

    def __init__(self, gateway: Gateway, scope: Any, receive: Receive, reply: Reply) -> None:
        self._gateway = gateway
        self._scope = scope
        self._receive = receive
        self._reply = reply
        self.key: str = ""
        self.target: Target | None = None
        self.is_counted: bool = False  # whether the end of the request is counted by its meter

    async def run(self) -> None:
        """Answer the request. Raises Refused while nothing was sent, Gone if the caller left."""
        gateway = self._gateway
        key = await gateway.books.who(header(self._scope, b"authorization"))
        self.key = key.name
        asked = read_request(await read_body(self._scope, self._receive, MAX_BODY))
        config = gateway.runtime.current()
        target = resolve(config, asked.model)
        require(key, asked.model, target)
        self.target = target
        model = gateway.model_of(target)
        content = asked.content(model)
        meter = Meter(gateway.books, gateway.day, gateway.metrics, key, target, asked)
        await meter.reserve(config, await gateway.pricing.price(config, target))
        self.is_counted = True
        result = "internal"
        try:
            async with async_answering(gateway.runtime), Watched(self._receive, gateway.active) as watched:
                result = await self._pass_on(watched, meter, target, asked, content, model)
        except Gone:
            result = LEFT
            raise
        except Ending:
            result = INCOMPLETE
            await self._end_early(
                Refused(503, "shutting_down", "the gateway is shutting down", retry_after=1)
            )
        except Refused as refused:
            result = refused.code
            raise
        finally:
            await meter.settle(result)

    async def _pass_on(
        self, watched: Watched, meter: Meter, target: Target, asked: Asked, content: bytes, model: str
    ) -> str:
        """Send the request, and pass the answer on. Returns how it ended."""
        entry = target.entry
        clock = Clock(entry.timeout, entry.deadline, entry.patience)
        try:
            provider = await self._gateway.provider(entry)
            meter.may_cost = True  # from here on: if the caller leaves, nobody knows
            response = await relay(provider, content, model, clock, {"app": self.key})
        except MissyError as error:
            meter.may_cost = isinstance(error, TimedOut)
            raise from_error(error) from None
        try:
            answer = self._stream if asked.stream else self._whole
            return await answer(watched, meter, asked, response, clock)
        finally:
            await response.body.aclose()

    async def _whole(
        self, watched: Watched, meter: Meter, asked: Asked, response: HttpResponse, clock: Clock
    ) -> str:
        data = bytearray()
        try:
            async for piece in response.body:
                clock.reset_idle()
                data += piece
                meter.output_bytes = len(data)
                if len(data) > MAX_EVENT:
                    raise BadReply(f"the reply is longer than {MAX_EVENT >> 20} MiB")
            value = self._completion(bytes(data), meter, asked)
        except MissyError as error:
            response.body.ended(error)
            raise from_error(error) from None
        usage = value.get("usage")
        meter.usage = chat_usage(usage) if isinstance(usage, dict) and usage else None
        with suppress(BadReply):  # nested too deep to be measured: then its length counts
            meter.output_bytes = size_of(value["choices"])
        response.body.ended()
        await meter.settle(OK)
        watched.release()
        await self._reply.whole(200, bytes(data))
        return OK

    def _completion(self, data: bytes, meter: Meter, asked: Asked) -> dict[str, Any]:
        """Read a whole answer. Raises MissyError for what is none: it costs nothing, as far as is known."""
        complaint = None
        try:
            value = read_answer(data)
            complaint = complaint_of("", value)
            if complaint is None and value["choices"]:
                return value
        except BadReply:
            meter.may_cost = False
            raise
        meter.may_cost = False
        if complaint is None:
            raise BadReply("the endpoint sent something that is not an answer")
        raise faults.from_answer(complaint, host=self._host, request_id=None, model=asked.model)

    async def _stream(
        self, watched: Watched, meter: Meter, asked: Asked, response: HttpResponse, clock: Clock
    ) -> str:
        tap = StreamTap(host=self._host, model=asked.model, wants_usage=asked.wants_usage)
        pieces, cut = aiter(response.body), None
        try:
            async for piece in pieces:
                before = tap.output_bytes
                passed = tap.feed(piece)
                meter.usage, meter.output_bytes = tap.usage, tap.output_bytes
                if tap.output_bytes != before:
                    clock.reset_idle()
                else:
                    clock.alive()
                if not passed and self._reply.started and piece[:1] == b":":
                    passed = ALIVE
                if passed:
                    paused = clock.pause()
                    if not self._reply.started:
                        await self._reply.start(200, _STREAM)
                    await self._reply.write(passed)
                    clock.resume(paused)
                if tap.marked or tap.failure is not None:
                    break
        except MissyError as error:
            cut = error
        fault = tap.end(cut)
        response.body.ended(fault)
        if fault is not None:
            meter.may_cost = tap.started or isinstance(cut, TimedOut)
            return await self._broken(meter, fault)
        await meter.settle(OK)
        watched.release()
        if not self._reply.started:
            await self._reply.start(200, _STREAM)
        await self._reply.finish(END)
        response.body.hurry(_DRAIN_SECONDS)
        with suppress(MissyError):
            async for _ in pieces:
                pass
        return OK

    async def _broken(self, meter: Meter, fault: MissyError) -> str:
        """Tell the caller that the answer is not complete. Raises Refused if nothing of it was passed on."""
        refused = from_error(fault)
        if not self._reply.started:
            raise refused
        result = INCOMPLETE if isinstance(fault, IncompleteError) else refused.code
        await meter.settle(result)
        await self._end_early(refused)
        return result

    async def _end_early(self, refused: Refused) -> None:
        """End a stream with an error, and without its end; what was not begun gets the error as its reply."""
        if not self._reply.started:
            await self._reply.whole(refused.status, refused.body(), headers=refused.headers(), close=True)
            return
        text = json.dumps(refused.as_json())
        await self._reply.write(f"event: error\ndata: {text}\n\n".encode())

    @property
    def _host(self) -> str:
        assert self.target is not None
        return self._gateway.host_of(self.target)
