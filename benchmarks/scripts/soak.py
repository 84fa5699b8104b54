"""Memory over a very long answer: `soak.py sync|async`. Prints by how many MiB the peak rises from the second entry's
answer, a short one, to the third's.
"""

import asyncio
import resource
import sys


def peak():
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def drain():
    from missy import Missy

    with Missy.open() as assistant:
        for entry in ("long", "endless"):
            for _ in assistant.ask("hi", provider=entry):
                pass
            yield peak()


async def adrain():
    from missy import AsyncMissy

    peaks = []
    async with AsyncMissy.open() as assistant:
        for entry in ("long", "endless"):
            async for _ in assistant.ask("hi", provider=entry):
                pass
            peaks.append(peak())
    return peaks


if __name__ == "__main__":
    before, after = drain() if sys.argv[1] == "sync" else asyncio.run(adrain())
    print(after - before)
