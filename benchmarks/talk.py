"""The conversation on a pseudo-terminal: its start, a hundred turns, and one answer of ten thousand lines.

python benchmarks/talk.py
It prints what it measured as one JSON object; nothing leaves 127.0.0.1, and its folder is removed afterwards.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from tests.cli.person import CTRL_D, ENTER, Person  # noqa: E402
from tests.command import Command  # noqa: E402
from tests.servers import Origin, chat_stream  # noqa: E402

STARTS, TURNS, LINES, TOKEN = 15, 100, 10_000, 5
USAGE = {"prompt_tokens": 10, "completion_tokens": 10}


def answer_text(lines: int) -> list[str]:
    """Return Markdown in pieces of the size of a token: prose, items and code."""
    pieces: list[str] = []
    for number in range(lines // 20):
        pieces += [f"Paragraph {number} with **bold** text and `code`.\n", "\n"]
        pieces += [f"- item {number}.{item} of a list\n" for item in range(6)]
        pieces += ["\n", "```python\n"]
        pieces += [f"value_{number}_{line} = {line} + {number}  # a comment\n" for line in range(8)]
        pieces += ["```\n", "\n"]
    text = "".join(pieces)
    return [text[start : start + TOKEN] for start in range(0, len(text), TOKEN)]


def cpu(pid: int) -> float:
    """Return the CPU seconds of a running process."""
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)


def resident(pid: int) -> int:
    """Return the memory of a running process in kB."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def start(missy: Command) -> float:
    """Return the CPU seconds from the start to the first input line, the least of several."""
    found = []
    for _ in range(STARTS):
        with Person(missy, "run") as person:
            person.until(lambda person=person: "test" in person.raw)
            found.append(cpu(person.process.pid))
    return round(min(found), 3)


def hundred_turns(missy: Command) -> dict[str, Any]:
    """Return what a hundred turns of one conversation cost, after the first five."""
    with Person(missy, "run") as person:
        pid = person.process.pid
        person.see("test · m")
        for number in range(1, TURNS + 6):
            person.press(f"question {number}", ENTER)
            person.see(f"· {number} turn")
            if number == 5:
                before, memory = cpu(pid), resident(pid)
        found = {
            "turn_ms": round((cpu(pid) - before) / TURNS * 1000, 1),
            "grown_kb": resident(pid) - memory,
            "files": len(os.listdir(f"/proc/{pid}/fd")),
        }
        person.press(CTRL_D)
        person.end()
    return found


def long_answer(missy: Command, pieces: int) -> dict[str, Any]:
    """Return what one long answer costs per piece of it."""
    with Person(missy, "run") as person:
        person.terminal.feed = lambda _text: None  # type: ignore[method-assign]  # its own CPU is not of interest
        pid = person.process.pid
        person.until(lambda: "test" in person.raw)
        before = cpu(pid)
        person.press("long", ENTER)
        person.until(lambda: "1 turn" in person.raw[-2000:])
        found = {"chunk_us": round((cpu(pid) - before) / pieces * 1e6, 1), "resident_kb": resident(pid)}
        person.press(CTRL_D)
        person.end()
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "person"
        home.mkdir(mode=0o700)
        os.environ |= {"HOME": str(home), "MISSY_HOME": str(home / "missy")}
        missy = Command(home / "missy", home / "trace")
        pieces = answer_text(LINES)
        with (
            Origin(chat_stream("A short answer.", usage=USAGE)) as short,
            Origin(chat_stream(*pieces, usage=USAGE)) as long,
        ):
            missy.entry(short.url)
            figures: dict[str, Any] = {"start_cpu_s": start(missy), "turns": hundred_turns(missy)}
            missy.entry(long.url)
            figures["lines"] = {"pieces": len(pieces), **long_answer(missy, len(pieces))}
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
