"""Running things in a box, as whoever runs this file: `python boxing.py LEVEL WORK`; imports no more than the sandbox does."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from missy.sandbox import parent
from missy.sandbox.filter import make_filter
from missy.sandbox.plan import Limits, Plan

ATTACKS = Path(__file__).with_name("attacks.py")
PYTHON = os.path.realpath(sys.executable)
PREFIX = os.path.realpath(sys.base_prefix)
_TARGET = "import ctypes, sys; b = ctypes.create_string_buffer(b'canary!!'); print(ctypes.addressof(b), flush=True); sys.stdin.read()"


def plan(level: Any, work: Path, *argv: str, limits: Limits = Limits(), **more: Any) -> Plan:  # noqa: B008
    """Return the plan of a program, with the Python that runs this readable."""
    private = work.parent / "private"
    private.mkdir(exist_ok=True)
    home = str(private) if level == "floor" else "/tmp"
    program = make_filter(os.uname().machine, network=bool(more.get("listen")))
    assert program is not None
    environ = (("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", home), *more.pop("environ", ()))
    return Plan(
        level, argv, str(work), str(work), program, read=(PREFIX,), hide=(os.path.expanduser("~"),), environ=environ, home=home,
        limits=limits, **more,
    )  # fmt: skip


def run(level: Any, work: Path, *argv: str, seconds: float = 60, **more: Any) -> parent.Finished:
    """Run a program in a box."""
    return parent.run(plan(level, work, *argv, **more), b"", seconds, threading.Event())


def open_ways(level: str | None, work: Path) -> list[str]:
    """Return the attacks that are open at a level; None is without any box."""
    out = work.parent / "outside"
    out.mkdir(exist_ok=True)
    (work / "m").mkdir(exist_ok=True)
    for name in ("secret", "victim", "doomed", "movable"):
        (out / name).write_text("secret")
    (work / "attacks.py").write_text(ATTACKS.read_text())
    with ExitStack() as stack:
        target = stack.enter_context(
            subprocess.Popen([PYTHON, "-c", _TARGET], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=out)
        )
        stack.callback(target.kill)
        assert target.stdout is not None
        address = int(target.stdout.readline())
        places = {
            "pid": target.pid,
            "address": address,
            "outside": str(out),
            "workspace": str(work),
            "home": os.path.expanduser("~"),
        }
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        tcp6 = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        name = f"missy-{secrets.token_hex(4)}"
        for key, where in (
            ("unix", str(out / "s")),
            ("unix_inside", str(work / "s")),
            ("abstract", "\0" + name),
        ):
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            if not where.startswith("\0"):
                Path(where).unlink(missing_ok=True)
            one.bind(where)
            one.listen(4)
            places[key] = where.removeprefix("\0")
        places |= {
            "tcp": tcp.getsockname()[1],
            "tcp6": tcp6.getsockname()[1],
            "udp": udp.getsockname()[1],
            "device": "/dev/vda",
        }
        argv = (PYTHON, "-I", str(work / "attacks.py"), json.dumps(places))
        held = os.open(out / "secret", os.O_RDONLY)  # what a careless parent would leave open
        os.set_inheritable(held, True)
        try:
            if level is None:
                output = subprocess.run(
                    argv, capture_output=True, timeout=60, check=False, cwd=work, close_fds=False
                ).stdout
            else:
                output = run(level, work, *argv).output
        finally:
            os.close(held)
    lines = output.decode().splitlines()
    assert lines[-1:] == ["done"], output.decode()
    return lines[:-1]


if __name__ == "__main__":
    ctypes.CDLL(None)
    place = Path(sys.argv[2])
    print(json.dumps(open_ways(None if sys.argv[1] == "none" else sys.argv[1], place)))
