"""Measure `missy batch`: CPU and memory for each prompt against an endpoint that answers at once, resume, and a rate limit.

Run: python benchmarks/batch.py [ROWS]. The `openai` package under a semaphore is measured beside it in the same run, and a
bare loop over aiohttp where that is installed; both with 20,000 rows at most.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
MISSY = [sys.executable, "-m", "missy"]
_RATE_ROWS, _RATE = 600, 20


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _measured(args: list[str], home: Path, rows: int) -> str:
    """Run a command; return its times for each row, and its memory at 10 %, at 100 %, and at most."""
    before, begun = _cpu(), time.monotonic()
    child = subprocess.Popen(
        args, env={**os.environ, "MISSY_HOME": str(home)}, stderr=subprocess.PIPE, text=True
    )
    resident: dict[int, int] = {}
    for line in child.stderr or ():
        if line.startswith("{"):
            told = json.loads(line)
            done = 100 * told["done"] // max(told["total"], 1)
            try:
                resident.setdefault(done, _resident(child.pid))
            except OSError:
                break
    code = child.wait()
    cpu, wall = _cpu() - before, time.monotonic() - begun
    early = next((size for done, size in sorted(resident.items()) if done >= 10), 0)
    late = resident[max(resident)] if resident else 0
    return (
        f"exit {code}  {wall:7.1f} s  {cpu:7.1f} s CPU  {1e6 * cpu / rows:6.0f} us a row  "
        f"MiB at 10 %: {early}, at the end: {late}"
    )


def _resident(pid: int) -> int:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


_FLOOR = """
import asyncio, json, sys, aiohttp
async def main(url, path):
    rows, waiting = open(path), asyncio.Semaphore(100)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100)) as session:
        async def work():
            for line in rows:
                body = {"model": "m", "messages": [{"role": "user", "content": json.loads(line)["prompt"]}]}
                async with session.post(url, json=body) as reply:
                    (await reply.json())["choices"][0]["message"]["content"]
        await asyncio.gather(*(work() for _ in range(100)))
asyncio.run(main(*sys.argv[1:]))
"""


_SDK = """
import asyncio, json, sys, openai
async def main(url, path):
    client, free = openai.AsyncOpenAI(base_url=url.removesuffix("/chat/completions"), api_key="none"), asyncio.Semaphore(100)
    async def ask(line):
        async with free:
            messages = [{"role": "user", "content": json.loads(line)["prompt"]}]
            reply = await client.chat.completions.create(model="m", messages=messages)
            return reply.choices[0].message.content
    await asyncio.gather(*map(ask, open(path)))
asyncio.run(main(*sys.argv[1:]))
"""
_OTHERS_ROWS = 20_000


def _home(folder: Path, name: str, url: str) -> Path:
    home = folder / name
    home.mkdir(mode=0o700)
    config = home / "config.yaml"
    config.touch(mode=0o600)
    config.write_text(json.dumps({"providers": {"t": {"name": "openai", "model": "m", "base_url": url}}}))
    return home


def _speed(folder: Path, rows: int) -> None:
    mock = subprocess.Popen(
        [sys.executable, str(HERE / "mock.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert mock.stdout is not None
    assert mock.stdin is not None
    url = f"http://127.0.0.1:{mock.stdout.readline().strip()}/20/v1"
    prompts, others = folder / "in.jsonl", folder / "others.jsonl"
    few = min(rows, _OTHERS_ROWS)
    for path, count in ((prompts, rows), (others, few)):
        with path.open("w") as file:
            for n in range(count):
                file.write(json.dumps({"prompt": f"prompt {n} " + "x" * 600}) + "\n")
    home = _home(folder, "home", url)
    try:
        import aiohttp  # noqa: F401

        floor = [sys.executable, "-c", _FLOOR, f"{url}/chat/completions", str(others)]
        print("aiohttp, bare ", _measured(floor, home, few), flush=True)
    except ImportError:
        print("aiohttp is not installed: no floor")
    sdk = [sys.executable, "-c", _SDK, f"{url}/chat/completions", str(others)]
    print("openai        ", _measured(sdk, home, few), flush=True)
    run = [*MISSY, "batch", "run", str(prompts), "-o", str(folder / "out.jsonl"), "--json"]
    print("missy batch   ", _measured(run, home, rows), flush=True)
    print("resume, all in", _measured(run, home, rows), flush=True)
    mock.stdin.close()
    mock.wait()


def _limited(folder: Path) -> None:
    sys.path.insert(0, str(HERE.parent))
    from tests.servers import Crowd

    with Crowd(per_second=_RATE) as server:
        home = _home(folder, "limited", server.url)
        prompts = folder / "few.jsonl"
        prompts.write_text("".join(json.dumps({"prompt": f"p{n}"}) + "\n" for n in range(_RATE_ROWS)))
        done = subprocess.run(
            [
                *MISSY,
                "batch",
                "run",
                str(prompts),
                "-o",
                str(folder / "few.out.jsonl"),
                "--concurrency",
                "100",
            ],
            env={**os.environ, "MISSY_HOME": str(home)},
            capture_output=True,
            check=False,
        )
        seconds = server.times[-1] - server.times[0]
        print(
            f"20 a second   exit {done.returncode}  {_RATE_ROWS / seconds:.1f} a second, "
            f"{100 * server.limited / server.requests:.1f} % refused, {server.twice} asked twice"
        )


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as made:
        _speed(Path(made), count)
        _limited(Path(made))
