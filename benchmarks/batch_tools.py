"""The same two jobs with several tools: how many prompts are asked twice, and how many rows are lost.

Run: python benchmarks/batch_tools.py [--ray PYTHON] [--write]. PYTHON is one that has `ray[data]` and `openai`; its cluster
listens on all interfaces of this machine while it runs. `--write` draws docs/batch.svg.

One job is killed (SIGKILL) when 1,500 of its 4,000 prompts were asked, and run again. The other one meets an endpoint that
answers 20 requests a second and refuses the rest with 429 and `Retry-After: 1`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import chart

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from tests.servers import Crowd  # noqa: E402 its folder is not on the path of a script

ROWS, KILL_AT = 4_000, 1_500
RATE_ROWS, RATE = 600, 20
DELAY = 0.05  # seconds of an answer
AT_ONCE = 100

# As it is written most often: all of them at once under a semaphore, and the answers at the end.
_GATHER = """
import asyncio, json, sys, openai
async def main(url, source, out):
    client, free = openai.AsyncOpenAI(base_url=url, api_key="none"), asyncio.Semaphore(100)
    async def ask(prompt):
        async with free:
            try:
                reply = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": prompt}])
                return reply.choices[0].message.content
            except openai.OpenAIError:
                return None
    prompts = [json.loads(line)["prompt"] for line in open(source)]
    texts = await asyncio.gather(*map(ask, prompts))
    with open(out, "w") as file:
        for prompt, text in zip(prompts, texts):
            file.write(json.dumps({"prompt": prompt, "text": text}) + "\\n")
asyncio.run(main(*sys.argv[1:]))
"""
# With care: each answer is appended when it comes, and a second run skips what is there.
_APPEND = """
import asyncio, json, os, sys, openai
async def main(url, source, out):
    client, free = openai.AsyncOpenAI(base_url=url, api_key="none"), asyncio.Semaphore(100)
    known = {json.loads(line)["prompt"] for line in open(out)} if os.path.exists(out) else set()
    file = open(out, "a")
    async def ask(prompt):
        async with free:
            try:
                reply = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": prompt}])
            except openai.OpenAIError:
                return
            file.write(json.dumps({"prompt": prompt, "text": reply.choices[0].message.content}) + "\\n")
            file.flush()
    prompts = [json.loads(line)["prompt"] for line in open(source)]
    await asyncio.gather(*(ask(prompt) for prompt in prompts if prompt not in known))
asyncio.run(main(*sys.argv[1:]))
"""
_RAY = """
import asyncio, json, os, shutil, sys, ray, openai
class Ask:
    def __init__(self, url):
        self.client, self.free = openai.AsyncOpenAI(base_url=url, api_key="none"), asyncio.Semaphore(50)
    async def one(self, prompt):
        async with self.free:
            try:
                reply = await self.client.chat.completions.create(model="m", messages=[{"role": "user", "content": prompt}])
                return reply.choices[0].message.content
            except openai.OpenAIError:
                return ""
    async def __call__(self, batch):
        batch["text"] = await asyncio.gather(*map(self.one, batch["prompt"].tolist()))
        yield batch
url, source, out = sys.argv[1:]
ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
rows = ray.data.from_items([json.loads(line) for line in open(source)])
answers = rows.map_batches(Ask, fn_constructor_args=(url,), concurrency=2, batch_size=250)
shutil.rmtree(out + ".d", ignore_errors=True)
answers.write_json(out + ".d")
with open(out, "w") as file:
    for name in sorted(os.listdir(out + ".d")):
        file.write(open(os.path.join(out + ".d", name)).read())
"""


class Tool:
    """A tool, and how it is run: `args` is a command to which the URL, the input and the output are added."""

    def __init__(self, label: str, *args: str) -> None:
        self.label = label
        self._args = args

    def start(self, folder: Path, url: str, source: Path) -> subprocess.Popen[bytes]:
        """Start it in a process group of its own."""
        args, environment = [*self._args, url, str(source), str(folder / "out.jsonl")], dict(os.environ)
        if self.label.startswith("missy"):
            home = folder / "home"
            home.mkdir(mode=0o700, exist_ok=True)
            config = home / "config.yaml"
            config.touch(mode=0o600)
            entry = {"name": "openai", "model": "m", "base_url": url}
            config.write_text(json.dumps({"providers": {"t": entry}}))
            environment["MISSY_HOME"] = str(home)
            args = [*self._args, str(source), "-o", str(folder / "out.jsonl"), "--concurrency", str(AT_ONCE)]
        return subprocess.Popen(
            args,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _input(folder: Path, count: int) -> Path:
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps({"prompt": f"prompt {n}"}) + "\n" for n in range(count)))
    return source


def _answered(folder: Path) -> int:
    """Return how many rows have an answer in the output."""
    with (folder / "out.jsonl").open() as file:
        rows = [json.loads(line) for line in file]
    return len({row.get("prompt", row.get("row")) for row in rows if row["text"]})


def killed(tool: Tool, folder: Path) -> tuple[int, int]:
    """Kill the job in the middle and run it again. Returns how many prompts were asked twice, and how many rows are lost."""
    source = _input(folder, ROWS)
    with Crowd(delay=DELAY) as server:
        first = tool.start(folder, server.url, source)
        server.wait_asked(KILL_AT)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        tool.start(folder, server.url, source).wait()
        return server.twice, ROWS - _answered(folder)


def limited(tool: Tool, folder: Path) -> tuple[int, int]:
    """Run the job against a limit of the rate. Returns the requests that were refused, and how many rows are lost."""
    source = _input(folder, RATE_ROWS)
    with Crowd(per_second=RATE) as server:
        tool.start(folder, server.url, source).wait()
        return server.limited, RATE_ROWS - _answered(folder)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ray", metavar="PYTHON", help="one that has ray[data] and openai")
    parser.add_argument("--write", action="store_true", help="draw docs/batch.svg")
    options = parser.parse_args()
    tools = [
        Tool("missy batch", sys.executable, "-m", "missy", "batch", "run"),
        Tool("openai, appending", sys.executable, "-c", _APPEND),
        Tool("openai, at the end", sys.executable, "-c", _GATHER),
    ]
    if options.ray:
        tools.append(Tool("Ray Data, openai", options.ray, "-c", _RAY))
    titles = (
        f"{ROWS:,} prompts, killed at {KILL_AT:,} and run again: prompts that were paid twice",
        f"{RATE_ROWS} prompts, {RATE} a second allowed: rows without an answer",
        f"{RATE_ROWS} prompts, {RATE} a second allowed: requests that were refused",
    )
    panels: dict[str, list[tuple[str, float]]] = {title: [] for title in titles}
    for tool in tools:
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            begun = time.monotonic()
            twice, lost = killed(tool, Path(one))
            refused, unanswered = limited(tool, Path(two))
        if lost:
            raise AssertionError(f"{tool.label}: {lost} rows of the killed job have no answer")
        for title, value in zip(titles, (twice, unanswered, refused), strict=True):
            panels[title].append((tool.label, value))
        seconds = time.monotonic() - begun
        print(
            f"{tool.label:20} twice {twice:5,}   lost {unanswered:5,}   refused {refused:6,}   {seconds:5.0f} s",
            flush=True,
        )
    if options.write:
        drawn = [(title, "", bars) for title, bars in panels.items()]
        (ROOT / "docs" / "batch.svg").write_text(chart.svg("The same jobs with several tools", drawn, 160))


if __name__ == "__main__":
    main()
