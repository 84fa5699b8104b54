"""One bash that runs lines one after the other, as somebody would who types them; says for each what it printed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

LONGEST = 900  # seconds for all lines together; only what hangs takes so long
MARK = "\x1e"


@dataclass(frozen=True)
class Ran:
    """A line, what came of it on stdout and stderr together, and its exit code (None: it did not come to its end)."""

    line: str
    text: str
    code: int | None


def run(lines: list[str], folder: Path, env: dict[str, str]) -> list[Ran]:
    """Run the lines in one shell without a terminal; what they left in the background is ended."""
    script = ["set -m"]
    for number, line in enumerate(lines):
        script += [f"printf '{MARK}{number}{MARK}'", line, f"printf '{MARK}%s' $?"]
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file, tempfile.TemporaryFile() as out:
        file.write("\n".join(script) + "\nkill $(jobs -p) 2>/dev/null\n")
        file.flush()
        shell = subprocess.Popen(
            ["bash", file.name], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
        try:
            shell.wait(LONGEST)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
        out.seek(0)
        said = out.read().decode(errors="replace")
    ended = {
        int(number): (text, int(code))
        for number, text, code in re.findall(rf"{MARK}(\d+){MARK}([^{MARK}]*){MARK}(\d+)", said)
    }
    return [Ran(line, *ended.get(number, (said[-2000:], None))) for number, line in enumerate(lines)]


def same(one: str) -> str:
    """Return a text without what differs from run to run: dates, durations, hashes, folders, widths of columns."""
    for pattern, name in (
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE"),
        (r"\b[0-9a-f]{64}\b", "HASH"),
        (r"/\S*/tmp\.\w+|/tmp/tmp\.\w+", "FOLDER"),
        (r"[0-9.]+(?= +(none|config|env:\S+)$)", "MS"),
        (r"^(The capital of France is Paris).*", r"\1"),  # a model's words may differ from machine to machine
        (r"^(wrote|try it:) .*\n", ""),  # the page says that it leaves them out
        (r"[ \t]+", " "),
    ):
        one = re.sub(pattern, name, one, flags=re.MULTILINE)
    return one.strip()
