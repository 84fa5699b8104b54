"""An endpoint for many requests at once: it counts each prompt, and can delay, limit, cut and fail.

A prompt steers its own answer by words in it: `[cut]`, `[length]`, `[filter]`, `[empty]`, `[refuse]`, `[bad]`, `[fail]`,
`[once]` (fails the first time), `[json]` (an object), `[hang]`. Everything else is answered with `answer to PROMPT`.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from typing import Any, Self

IN_TOKENS, OUT_TOKENS = 10, 5
SAFETY = 60.0


class Crowd:
    """Listens on loopback until it is closed. `asked` counts the requests of each prompt that were answered or begun.

    `per_second` answers more than so many in one second with 429 and `Retry-After: 1`. `refuse_after` answers every
    request after so many with `refusal`, a status and a body. `delay` is in seconds. `deaf` answers each with 500.
    """

    def __init__(
        self,
        *,
        delay: float = 0.0,
        per_second: int | None = None,
        refuse_after: int | None = None,
        refusal: tuple[int, dict[str, Any]] = (
            401,
            {"error": {"message": "wrong key", "code": "invalid_api_key"}},
        ),
        deaf: bool = False,
    ) -> None:
        self.delay, self.per_second, self.deaf = delay, per_second, deaf
        self.refuse_after, self.refusal = refuse_after, refusal
        self.asked: Counter[str] = Counter()
        self.requests = self.limited = self.refused = self.most_at_once = 0
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self._window, self._in_window = 0.0, 0
        self._at_once = 0
        self._came = threading.Condition()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        if not self._ready.wait(SAFETY):
            raise TimeoutError("the server did not start")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and wait until the thread has ended."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """The base URL that an entry names."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def twice(self) -> int:
        """How many requests were for a prompt that was asked before."""
        return sum(self.asked.values()) - len(self.asked)

    def wait_asked(self, count: int, seconds: float = SAFETY) -> None:
        """Wait until so many requests have come. Raises TimeoutError."""
        with self._came:
            if not self._came.wait_for(lambda: self.requests >= count, seconds):
                raise TimeoutError(f"{self.requests} of {count} requests came")

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, backlog=1000)
        self.port: int = server.sockets[0].getsockname()[1]
        self._ready.set()
        async with server:
            await self._stop.wait()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                body = json.loads(await reader.readexactly(size))
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
                try:
                    reply, keep = await self._reply(body)
                finally:
                    self._at_once -= 1
                writer.write(reply)
                await writer.drain()
                if not keep:
                    break
        except (
            asyncio.IncompleteReadError,
            ConnectionError,
            asyncio.CancelledError,
        ):  # the end of the server too
            pass
        finally:
            writer.close()

    async def _reply(self, body: dict[str, Any]) -> tuple[bytes, bool]:
        prompt = body["messages"][-1]["content"]
        with self._came:
            self.requests += 1
            self.times.append(time.monotonic())
            self._came.notify_all()
        if self.per_second is not None and self._is_over():
            self.limited += 1
            told = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
            return _response(429, told, "Retry-After: 1\r\n"), True
        if self.refuse_after is not None and self.requests > self.refuse_after:
            self.refused += 1
            return _response(*self.refusal), True
        self.asked[prompt] += 1
        self.bodies.append(body)
        if self.delay:
            await asyncio.sleep(self.delay)
        return await self._answer(prompt)

    def _is_over(self) -> bool:
        now = time.monotonic()
        if now - self._window >= 1.0:
            self._window, self._in_window = now, 0
        self._in_window += 1
        return self.per_second is not None and self._in_window > self.per_second

    async def _answer(self, prompt: str) -> tuple[bytes, bool]:
        if self.deaf or "[fail]" in prompt or ("[once]" in prompt and self.asked[prompt] == 1):
            return _response(500, {"error": {"message": "out of order"}}), True
        if "[bad]" in prompt:
            return _response(
                400, {"error": {"message": "unknown thing", "code": "invalid_request_error"}}
            ), True
        if "[hang]" in prompt:
            await self._stop.wait()
        if "[cut]" in prompt:
            return _response(200, _whole("half of it"), "")[:-20], False
        if "[refuse]" in prompt:
            return _response(200, _whole(None, refusal="I cannot help with that")), True
        text, finish = f"answer to {prompt}", "stop"
        if "[json]" in prompt:
            text = json.dumps({"n": len(prompt)})
        if "[length]" in prompt:
            finish = "length"
        if "[filter]" in prompt:
            text, finish = "I was about", "content_filter"
        return _response(200, _whole("" if "[empty]" in prompt else text, finish)), True


def _whole(text: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": finish,
    }
    usage = {
        "prompt_tokens": IN_TOKENS,
        "completion_tokens": OUT_TOKENS,
        "total_tokens": IN_TOKENS + OUT_TOKENS,
    }
    return {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }


def _response(status: int, body: dict[str, Any], headers: str = "") -> bytes:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(data)}\r\n\r\n"
    return head.encode() + data
