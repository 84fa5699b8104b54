"""Many async requests, 100 at a time: `flood.py missy|sdk streamed|whole URL COUNT`.

Prints the requests a second, and us of CPU for each.
"""

import asyncio
import sys
import time
from contextlib import asynccontextmanager

_CONCURRENCY = 100


@asynccontextmanager
async def missy(_url, streamed):
    from missy import AsyncMissy

    async with AsyncMissy.open() as assistant:
        yield lambda: assistant.ask("hi", provider="one", stream=streamed).text()


@asynccontextmanager
async def sdk(url, streamed):
    from openai import AsyncOpenAI

    messages = [{"role": "user", "content": "hi"}]
    async with AsyncOpenAI(base_url=url, api_key="none") as client:
        create = client.chat.completions.create

        async def whole():
            return (await create(model="gpt-4o", messages=messages)).choices[0].message.content

        async def stream():
            chunks = await create(model="gpt-4o", messages=messages, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices])

        yield stream if streamed else whole


async def flood(ask, count):
    """Send `count` requests from so many workers as there may be at once."""
    left = iter(range(count))

    async def work():
        for _ in left:
            assert await ask()

    await asyncio.gather(*(work() for _ in range(_CONCURRENCY)))


async def main(who, how, url, count):
    async with {"missy": missy, "sdk": sdk}[who](url, how == "streamed") as ask:
        await flood(ask, _CONCURRENCY)
        wall, cpu = time.perf_counter(), time.process_time()
        await flood(ask, int(count))
        print(int(count) / (time.perf_counter() - wall), (time.process_time() - cpu) / int(count) * 1e6)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
