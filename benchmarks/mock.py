"""An endpoint that answers at once, in a process of its own, so that what is measured is the client.

The path says how many chunks an answer has: `/20/v1/chat/completions`. It is steered through its standard streams, a
line each: `watch PID` names the client to measure, `seen` prints what the last request was, and the end of stdin ends
it. It must never wait for anything but its clients.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from functools import cache
from itertools import chain, repeat

_WORD = " word"
_BLOCK = 1000  # chunks that are made once and sent over and over
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%s\r\n\r\n"
_USAGE = {"prompt_tokens": 8, "completion_tokens": 20, "total_tokens": 28}


class Watch:
    """The process to measure, and what was seen of its last request."""

    pid = 0
    seen: dict[str, float] | None = None

    @classmethod
    def note(cls, body: bytes) -> None:
        """Take the time and the CPU time that the client has used, at the moment that its request is here."""
        cls.seen = {"at": time.monotonic(), "bytes": len(body)}
        if cls.pid:
            cls.seen["cpu"] = time.clock_gettime(
                (~cls.pid << 3) | 2
            )  # clock_getcpuclockid(3), for any process


class Chat(asyncio.Protocol):
    """One connection: reads requests one after the other, and answers each."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._buffer = bytearray()
        self._left = iter(())
        self._paused = False

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = bytes(self._buffer[:head_end])
        body_end = head_end + 4 + _length(head)
        if len(self._buffer) < body_end:
            return
        body = bytes(self._buffer[head_end + 4 : body_end])
        del self._buffer[:body_end]
        Watch.note(body)
        chunks = int(head.split(b"/", 2)[1])
        self._left = _streamed(chunks) if json.loads(body).get("stream") else iter((_whole(chunks),))
        self.resume_writing()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        for piece in self._left:
            self._transport.write(piece)
            if self._paused:
                return


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


def _streamed(chunks: int):
    """Yield an answer of many chunks in blocks, so that a million of them costs no memory here."""
    blocks, rest = divmod(chunks, _BLOCK)
    if not blocks:
        return iter((_opening() + _block(rest) + _ending(),))
    return chain((_opening(),), repeat(_block(_BLOCK), blocks), (_block(rest) + _ending(),))


def _opening() -> bytes:
    return _HEAD % (b"text/event-stream", b"Transfer-Encoding: chunked")


@cache
def _block(chunks: int) -> bytes:
    return _event(delta={"content": _WORD}) * chunks


@cache
def _ending() -> bytes:
    return b"".join(
        (
            _event(finish="stop"),
            _frame(json.dumps({**_base("chat.completion.chunk"), "choices": [], "usage": _USAGE}).encode()),
            _frame(b"[DONE]"),
            b"0\r\n\r\n",
        )
    )


def _event(*, delta: dict[str, str] | None = None, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish}
    return _frame(json.dumps({**_base("chat.completion.chunk"), "choices": [choice], "usage": None}).encode())


def _frame(data: bytes) -> bytes:
    line = b"data: %s\n\n" % data
    return b"%x\r\n%s\r\n" % (len(line), line)


@cache
def _whole(chunks: int) -> bytes:
    message = {"role": "assistant", "content": _WORD * chunks, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    data = json.dumps({**_base("chat.completion"), "choices": [choice], "usage": _USAGE}).encode()
    return _HEAD % (b"application/json", b"Content-Length: %d" % len(data)) + data


def _base(kind: str) -> dict[str, object]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "gpt-4o", "system_fingerprint": "fp"}


def _obey(stop: asyncio.Event) -> None:
    """Take one line of orders."""
    order, _, value = sys.stdin.readline().strip().partition(" ")
    if order == "watch":
        Watch.pid, Watch.seen = int(value), None
    elif order == "seen":
        print(json.dumps(Watch.seen), flush=True)
    else:
        stop.set()


async def _serve() -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(Chat, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop.add_reader(0, _obey, stop)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
