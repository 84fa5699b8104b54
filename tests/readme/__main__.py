"""`make readme`: what README.md prints, run as printed, from a fresh copy of the source and in an empty home.

It needs the network that `make demo` needs. Two ports on the page are exchanged for free ones, so that several runs may
share a machine. Missy itself reaches this machine alone: the guard of the tests is in its way. Exit code 1 if a line of the
page is not true.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.callback_ports import taking_turns
from tests.readme.page import ROOT, Page
from tests.readme.shell import Ran, run, same
from tests.readme.team import server

WITH_PORTS = ("README.md", "examples/cut_server.py")
PORTS = ("8080", "8765")
FETCHING = ("Two commands", "What it does", "Install")  # make and pip fetch packages there
NOT_RUN = {
    "make demo": "was run first",
    "make test": "is the rest of what CI does",
    "missy setup": "asks: tests/cli/test_wizard.py",
    "missy run --provider local": "needs a terminal: tests/talk",
}
MAY_FAIL = {
    "missy doctor": (5,)
}  # azure, as the page sets it up, is nobody's: the guard refuses to look it up
LEFT_OUT = ("missy config set",)  # the page says that it does not show what they print


def copy(folder: Path) -> None:
    """Copy what git knows, as a clone would have it, with changes that are not committed."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, stdout=subprocess.PIPE, check=True,
    ).stdout.decode().split("\0")  # fmt: skip
    for name in filter(None, names):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)  # `git diff` is among the examples


def free_port() -> str:
    """Return a free port of four digits, as those on the page, so that no length differs."""
    while True:
        port = random.randrange(2000, 9999)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return str(port)


def environment(home: Path, *, guarded: bool) -> dict[str, str]:
    """Return this environment without keys, settings of Missy and an activated Python; pip keeps its settings."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENAI_", "MISSY_", "MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTHON", "SSL_CERT"))
        and not name.upper().endswith(("_API_KEY", "_PROXY"))
    }
    env |= {
        "HOME": str(home),
        "PYTHONUNBUFFERED": "1",
    }  # as on a terminal, lines come out in the order of writing
    pip = Path.home() / ".config" / "pip" / "pip.conf"
    if pip.exists():
        env.setdefault("PIP_CONFIG_FILE", str(pip))
    if guarded:
        env["PYTHONPATH"] = str(ROOT / "tests" / "guard")
    return env


def wrong(ran: Ran, expected: str | None) -> str | None:
    """Say what is not as the page has it: the text of a transcript, or for other lines the exit code."""
    if ran.code is None:
        return f"did not come to its end\n{ran.text}"
    if expected is None:
        return (
            None
            if ran.code in MAY_FAIL.get(ran.line.split("  ")[0], (0,))
            else f"exit {ran.code}\n{ran.text}"
        )
    if ran.line.startswith(LEFT_OUT) or same(ran.text) == same(expected):
        return None
    return f"the page shows:\n{same(expected)}\nand it printed:\n{same(ran.text)}"


Lines = list[tuple[str, str | None]]


def parts(clone: Path) -> Iterator[tuple[str, Lines]]:
    """Yield a name and its lines, each with what the page shows; None where it shows nothing to compare."""
    page = Page(clone / "README.md")
    yield "Two commands", [*page.under("Two commands", "")[0].commands()]
    begin: Lines = [
        (line, None) for line, _ in page.under("What it does, and how to see it", "sh")[0].commands()
    ]
    home = ("export MISSY_HOME=$PWD/.demo", None)
    yield "What it does", [begin[0], home, *((line, None) for line in page.table() if line not in NOT_RUN)]
    numbered = [line for block in page.blocks if block.heading[:1].isdigit() for line in block.commands()]
    yield "1 to 6", [*begin, *numbered, ("kill %1", None), ("deactivate", None)]
    for heading in ("Install", "Set it up", "Use it"):
        lines = [
            line for block in page.under(heading, "sh") for line, _ in block.commands() if line not in NOT_RUN
        ]
        if heading == "Use it":
            lines = [
                "export TEAM_TOKEN=...",
                *(line for line in lines if "jq" not in line or shutil.which("jq")),
            ]
        yield heading, [*(begin[:1] if heading != "Install" else []), *((line, None) for line in lines)]
    (clone / "page.yaml").write_text(page.under("Set it up", "yaml")[0].text)
    (clone / "page.yaml").chmod(0o600)
    (clone / "page.py").write_text(page.under("Use it", "python")[0].text)
    yield (
        "the file, and from Python",
        [
            begin[0],
            ("export TEAM_TOKEN=...", None),
            ("missy --config page.yaml config validate", None),
            ("python page.py", None),
        ],
    )


def main() -> int:
    """Run them all; say which lines are not true."""
    bad = 0
    ports = {port: free_port() for port in PORTS}
    with tempfile.TemporaryDirectory() as folder, server(int(ports["8080"])) as team:
        threading.Thread(target=team.serve_forever, daemon=True).start()
        home, clone = Path(folder) / "home", Path(folder) / "missy"
        home.mkdir()
        clone.mkdir()
        copy(clone)
        for name in WITH_PORTS:
            text = (clone / name).read_text(encoding="utf-8")
            for port, free in ports.items():
                text = text.replace(port, free)
            (clone / name).write_text(text, encoding="utf-8")
        for name, lines in parts(clone):
            env = environment(home, guarded=name not in FETCHING)
            with taking_turns() if name == "What it does" else contextlib.nullcontext():
                results = run([line for line, _ in lines], clone, env)
            for ran, (_, expected) in zip(results, lines, strict=True):
                fault = wrong(ran, expected)
                bad += fault is not None
                print(f"{'ok   ' if fault is None else 'WRONG'} {name}: {ran.line}", flush=True)
                if fault is not None:
                    print("      " + fault.strip().replace("\n", "\n      "), flush=True)
        team.shutdown()
    for line, why in NOT_RUN.items():
        print(f"not run: {line}: {why}")
    print(f"{bad} lines of README.md are not true" if bad else "README.md is true")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
