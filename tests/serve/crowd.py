"""Many requests at once from one process, over sockets: 500 threads would only measure the threads."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from tests.command import SAFETY


async def _one(port: int, key: str, body: bytes, gate: asyncio.Semaphore) -> tuple[int, str]:
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            head = (
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(head.encode() + body)
            raw = await reader.read()
        except ConnectionError:
            return 0, "closed"
        finally:
            writer.close()
    if not raw:
        return 0, "closed"
    status = int(raw.split(b" ", 2)[1])
    if status == 200:
        return status, "ok"
    return status, str(json.loads(raw.partition(b"\r\n\r\n")[2])["error"]["code"])


def ask_all(
    ports: list[int], key: str, count: int, body: dict[str, Any], at_once: int = 500
) -> Counter[tuple[int, str]]:
    """Send `count` requests, at most so many at once, in turn to each port. Returns how often each outcome came."""
    data = json.dumps(body).encode()

    async def inside() -> Counter[tuple[int, str]]:
        gate = asyncio.Semaphore(at_once)
        async with asyncio.timeout(SAFETY):
            return Counter(
                await asyncio.gather(*(_one(ports[n % len(ports)], key, data, gate) for n in range(count)))
            )

    return asyncio.run(inside())
