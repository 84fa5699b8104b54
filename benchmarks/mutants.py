"""Sampled mutants: would the tests notice if a condition, an operand, a call or a raise were missing?

    python benchmarks/mutants.py --count 200 --jobs 2 --seed 1
    python benchmarks/mutants.py --rooms net auth --count 20

Each mutant is one change of one file, made in a copy of the tree with an interpreter of its own, so that the commands
which the tests start run the changed source too. A mutant is killed when a test of its room fails or does not end in
time. Those that lived are listed with their change: some change nothing that anybody could see, the others lack a test.
"""

from __future__ import annotations

import argparse
import ast
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# A room of src/missy -> the tests that are about it, the likeliest first. A file that is not there is left out.
TESTS = {
    "policy": ["tests/test_policy.py", "tests/test_policy_hostile.py", "tests/net"],
    "net": ["tests/net", "tests/cases", "tests/providers/test_attempts.py", "tests/providers/test_reply.py", "tests/lent",
            "tests/test_accounts.py", "tests/test_reload.py", "tests/cli/test_lessons.py"],
    "providers": ["tests/cases", "tests/providers", "tests/cli/test_compat.py", "tests/cli/test_ask.py", "tests/lent",
                  "tests/net"],
    "secrets": ["tests/secrets", "tests/cli/test_vault.py", "tests/cli/test_compat.py", "tests/cli/test_lessons.py"],
    "auth": ["tests/auth", "tests/cli/test_auth.py", "tests/providers/test_codex.py", "tests/cli/test_codex.py",
             "tests/cli/test_chatgpt.py"],
    "audit": ["tests/audit", "tests/cli/test_audit.py", "tests/cli/test_audit_seal.py", "tests/net/test_record.py"],
    "config": ["tests/config", "tests/cli/test_config.py", "tests/cli/test_settings.py", "tests/cli/test_backups.py",
               "tests/cli/test_roles.py", "tests/kinds", "tests/setup", "tests/test_reload.py"],
}  # fmt: skip
COPIED = (
    "src",
    "tests",
    "benchmarks",
    "docs",
    "examples",
    "requirements",
    "pyproject.toml",
    "README.md",
    "Makefile",
)
_SLOW = "race or flood or slow"
MARKS = (f"not live and not ({_SLOW})", f"not live and ({_SLOW})")  # the quick ones first: most die of them


@dataclass(frozen=True)
class Mutant:
    """One change: the bytes from `start` to `end` of a file become `text`."""

    room: str
    file: str
    line: int
    kind: str
    start: int
    end: int
    text: str

    def show(self, source: bytes) -> str:
        """Say in two lines what it does."""
        before = " ".join(source[self.start : self.end].decode().split())
        return f"{self.file}:{self.line} {self.kind}\n    {before[:110]}  ->  {self.text[:60]}"


class _Finder(ast.NodeVisitor):
    """Collects the mutants of one file."""

    def __init__(self, room: str, file: str, source: bytes) -> None:
        self.found: list[Mutant] = []
        self._room, self._file, self._source = room, file, source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def _span(self, node: ast.AST) -> tuple[int, int]:
        start = self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def _add(self, node: ast.AST, kind: str, text: str) -> None:
        start, end = self._span(node)
        mutant = Mutant(self._room, self._file, node.lineno, kind, start, end, text)  # type: ignore[attr-defined]
        try:
            compile(self._source[:start] + text.encode() + self._source[end:], self._file, "exec")
        except SyntaxError:
            return
        self.found.append(mutant)

    def _test(self, node: ast.If | ast.IfExp) -> None:
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self._add(node.test, "condition", "(True)")
            self._add(node.test, "condition", "(False)")
            self.generic_visit(node)

    visit_If = visit_IfExp = _test  # noqa: N815

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        word = " and " if isinstance(node.op, ast.And) else " or "
        texts = [ast.unparse(value) for value in node.values]
        for index in range(len(texts)):
            kept = texts[:index] + texts[index + 1 :]
            self._add(node, "operand", "(" + word.join(f"({text})" for text in kept) + ")")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._add(node, "not", f"({ast.unparse(node.operand)})")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(value, ast.Call):
            self._add(node, "call", "pass")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._add(node, "raise", "pass")
        self.generic_visit(node)


def mutants(room: str) -> list[Mutant]:
    """Return every mutant of a room, which is a folder or a file of src/missy."""
    place = ROOT / "src" / "missy" / room
    found: list[Mutant] = []
    for path in sorted(place.glob("**/*.py")) if place.is_dir() else [place.with_suffix(".py")]:
        finder = _Finder(room, str(path.relative_to(ROOT)), path.read_bytes())
        finder.visit(ast.parse(path.read_bytes()))
        found += finder.found
    return found


def sample(rooms: list[str], count: int, seed: int) -> list[Mutant]:
    """Draw `count` mutants, as many from each room as from the others where it has them, one a place at most."""
    draw = random.Random(seed)
    chosen: list[Mutant] = []
    pools: dict[str, Iterator[Mutant]] = {}
    for room in rooms:
        found = mutants(room)
        draw.shuffle(found)
        by_place = {(mutant.file, mutant.start, mutant.end): mutant for mutant in found}
        pools[room] = iter(by_place.values())
    while len(chosen) < count and pools:
        for room in list(pools):
            mutant = next(pools[room], None)
            if mutant is None:
                del pools[room]
            elif len(chosen) < count:
                chosen.append(mutant)
    return chosen


class Copy:
    """A copy of the tree, and an interpreter that imports from it whatever starts it."""

    def __init__(self, folder: str) -> None:
        self.root = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.root / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy2(source, self.root / name)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(self.root / ".venv")], check=True)
        packages = next((self.root / ".venv").glob("lib/python3*/site-packages"))
        installed = next(path for path in sys.path if path.endswith("site-packages"))
        # Named as a folder, not as site-packages: the `.pth` of the installed tree itself must not be read.
        (packages / "copy.pth").write_text(f"{self.root / 'src'}\n{installed}\n")

    def pytest(self, words: list[str], limit: float) -> tuple[int | None, str]:
        """Run pytest here; returns its exit code, None when it did not end within `limit` seconds, and its output."""
        command = [
            str(self.root / ".venv/bin/python"),
            "-m",
            "pytest",
            "-x",
            "-p",
            "no:cacheprovider",
            *words,
        ]
        env = {**os.environ, "MISSY_TEST_MODELS": str(ROOT / ".demo"), "PYTHONDONTWRITEBYTECODE": "1"}
        with subprocess.Popen(
            command, cwd=self.root, env=env, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            try:
                said = process.communicate(timeout=limit)[0]
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return None, process.communicate()[0]
            return process.returncode, said

    def judge(self, mutant: Mutant, limit: float, marks: Sequence[str]) -> str:
        """Return what killed the mutant, or '' when it lived."""
        path = self.root / mutant.file
        source = path.read_bytes()
        tests = [name for name in TESTS[mutant.room] if (self.root / name).exists()]
        end = time.monotonic() + limit
        path.write_bytes(source[: mutant.start] + mutant.text.encode() + source[mutant.end :])
        try:
            for expression in marks:
                code, said = self.pytest(["-m", expression, *tests], max(1.0, end - time.monotonic()))
                if code is None:
                    return "no end in time"
                if code not in (0, 5):  # 5: no test has these marks
                    failed = [line for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))]
                    return failed[0][:150] if failed else f"pytest ended with {code}"
        finally:
            path.write_bytes(source)
        return ""


def run(chosen: list[Mutant], jobs: int, limit: float, marks: Sequence[str]) -> dict[Mutant, str]:
    """Judge the mutants, some at a time."""
    verdicts: dict[Mutant, str] = {}
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(jobs) as pool:
        free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for number in range(jobs):
            free.put(Copy(os.path.join(folder, str(number))))

        def one(mutant: Mutant) -> None:
            copy = free.get()
            try:
                verdicts[mutant] = copy.judge(mutant, limit, marks)
            finally:
                free.put(copy)
            shown = verdicts[mutant] or "LIVED"
            print(
                f"{len(verdicts)}/{len(chosen)} {mutant.file}:{mutant.line} {mutant.kind}: {shown}",
                flush=True,
            )

        list(pool.map(one, chosen))
    return verdicts


def report(verdicts: dict[Mutant, str]) -> None:
    """Print the share that was killed by room, and what lived."""
    rooms: dict[str, list[bool]] = defaultdict(list)
    for mutant, verdict in verdicts.items():
        rooms[mutant.room].append(bool(verdict))
    print()
    for room, killed in [*sorted(rooms.items()), ("all", [one for some in rooms.values() for one in some])]:
        print(
            f"{room:10} {sum(killed):4} of {len(killed):4} killed  {100 * sum(killed) / len(killed):5.1f} %"
        )
    for mutant in sorted(
        (m for m, verdict in verdicts.items() if not verdict), key=lambda m: (m.file, m.line)
    ):
        print("lived:", mutant.show((ROOT / mutant.file).read_bytes()))


def main() -> None:
    """Read the options, draw, judge, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rooms", nargs="+", choices=TESTS, default=list(TESTS))
    parser.add_argument("--count", type=int, default=50, help="mutants in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for one mutant")
    parser.add_argument(
        "--quick", action="store_true", help="only the quick tests: what lives may still die of the others"
    )
    parser.add_argument("--list", action="store_true", help="only show what would be tried")
    options = parser.parse_args()
    chosen = sample(options.rooms, options.count, options.seed)
    if options.list:
        for mutant in chosen:
            print(mutant.show((ROOT / mutant.file).read_bytes()))
        return
    report(run(chosen, options.jobs, options.limit, MARKS[:1] if options.quick else MARKS))


if __name__ == "__main__":
    main()
