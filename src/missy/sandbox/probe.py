"""Which walls this machine gives: `full`, `floor`, or none. Believed only after five ways out were tried and failed."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from missy import files, paths
from missy.errors import MissyError
from missy.sandbox.filter import make_filter
from missy.sandbox.plan import Plan

if TYPE_CHECKING:
    from missy.sandbox.plan import Level

LEVELS: tuple[Level, ...] = ("full", "floor")
_SECONDS = 20.0
_VERSION = 1  # of the walls: a change of theirs is tried again


class Walls(NamedTuple):
    """The level of this machine, None for none, and why each better one does not hold."""

    level: Level | None
    missing: tuple[tuple[str, str], ...] = ()

    @property
    def reason(self) -> str:
        """Why there is no better level, in one line."""
        return "; ".join(f"{level}: {why}" for level, why in self.missing)


def walls() -> Walls:
    """Return the level of this machine. It is tried once for each start of the machine, and noted in MISSY_HOME."""
    file = paths.home() / "tools" / "sandbox.json"
    key = _machine()
    note = files.read_note(file)
    if note.get("machine") == key and note.get("level") in LEVELS:
        missing = note.get("missing")
        if isinstance(missing, list) and all(isinstance(one, list) and len(one) == 2 for one in missing):
            return Walls(note["level"], tuple((str(one[0]), str(one[1])) for one in missing))
    found = try_levels()
    files.write_note(
        file, {"machine": key, "level": found.level, "missing": [list(one) for one in found.missing]}
    )
    return found


@cache
def _machine() -> str:
    """Return what the level depends on: kernel, start of the machine, user, container, our walls."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        space = os.readlink("/proc/self/ns/user") + os.readlink("/proc/self/ns/mnt")
    except OSError:
        boot, space = "none", "none"
    return f"{_VERSION} {os.uname().release} {boot} {os.geteuid()} {space} {_seccomp_mode()}"


def _seccomp_mode() -> str:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return ""
    return " ".join(line for line in lines if line.startswith(("Seccomp", "NoNewPrivs")))


def try_levels() -> Walls:
    """Try the levels, the best first; the first whose five probes all fail is the level."""
    missing: list[tuple[str, str]] = []
    for level in LEVELS:
        why = _try(level)
        if not why:
            return Walls(level, tuple(missing))
        missing.append((level, why))
    return Walls(None, tuple(missing))


def _try(level: Level) -> str:
    """Return why a level does not hold, "" if it does."""
    if not sys.platform.startswith("linux"):
        return "it is Linux only"
    program = make_filter(os.uname().machine, network=False)
    if program is None:
        return f"the system calls of {os.uname().machine} are not known"
    import threading

    from missy.sandbox.parent import run

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="missy-probe-")))
        inside = folder / "in"
        inside.mkdir()
        (folder / "secret").write_text("secret", encoding="ascii")
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(inside / "s"))
        unix.listen(1)
        ways = (
            str(folder / "secret"), str(os.getpid()), str(tcp.getsockname()[1]), str(inside / "s"), str(folder),
        )  # fmt: skip
        plan = Plan(
            level, (), str(inside), str(inside), program, hide=(os.path.expanduser("~"),), probe=ways, home=str(inside),
        )  # fmt: skip
        try:
            done = run(plan, b"", _SECONDS, threading.Event())
        except (MissyError, OSError) as error:
            return str(error)
        said = done.output.decode(errors="replace").split()
        if "write" in said and not (folder / "x").exists():  # into a file system of its own
            said.remove("write")
        if said != ["done"]:
            return (
                f"not believed: {', '.join(said[:-1]) or 'the probe'} got out"
                if said
                else "the probe did not run"
            )
    return ""
