"""A program that sits at a pseudo-terminal like a person: it reads the screen, and presses keys."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.cli.vt import Terminal
from tests.command import COMMAND, SAFETY, Command

UP, DOWN, ENTER, ESC, CTRL_C, CTRL_D, CTRL_U = "\x1b[A", "\x1b[B", "\r", "\x1b", "\x03", "\x04", "\x15"


class Person:
    """Runs a command on a terminal of its own. A context manager: whatever happens, the command is ended."""

    def __init__(
        self,
        missy: Command,
        *args: str,
        columns: int = 80,
        rows: int = 24,
        env: dict[str, str | None] | None = None,
        cwd: Path | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        self.terminal = Terminal(columns, rows)
        self.raw = ""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        self.process = subprocess.Popen(
            [*COMMAND, *args] if command is None else [*command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd or missy.home.parent,
            env=missy.env(**{"TERM": "xterm", **(env or {})}),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def __enter__(self) -> Person:  # noqa: PYI034
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for file in {self._master, self._slave}:
            os.close(file)

    def see(self, *wanted: str) -> str:
        """Wait until the screen shows all of this; returns the screen."""
        end = time.monotonic() + SAFETY
        while not all(text in self._flat() for text in wanted):
            assert self.process.poll() is None or self._read(0), f"it ended:\n{self.terminal.text()}"
            assert time.monotonic() < end, f"never seen: {wanted}\n{self.terminal.text()}"
            self._read(0.5)
        return self.terminal.shown()

    def until(self, told: Callable[[], bool]) -> None:
        """Wait until something is so, and read the screen meanwhile."""
        end = time.monotonic() + SAFETY
        while not told():
            assert time.monotonic() < end, f"it never is:\n{self.terminal.text()}"
            self._read(0.05)

    def see_times(self, wanted: str, count: int) -> None:
        """Wait until this was written so often."""
        end = time.monotonic() + SAFETY
        while self.raw.count(wanted) < count:
            assert self.process.poll() is None or self._read(0), f"it ended:\n{self.terminal.text()}"
            assert time.monotonic() < end, f"never seen so often: {wanted}\n{self.terminal.text()}"
            self._read(0.5)

    def _flat(self) -> str:
        """The screen as one line, so that text is found however it was wrapped."""
        return " ".join(self.terminal.shown().split())

    def press(self, *keys: str) -> None:
        """Press keys, or type text."""
        os.write(self._master, "".join(keys).encode())

    def paste(self, text: str) -> None:
        """Paste a text, as a terminal does that marks what is pasted."""
        data, start = f"\x1b[200~{text}\x1b[201~".encode(), 0
        while start < len(data):  # it takes as much as the program reads
            start += os.write(self._master, data[start : start + 1024])
            self._read(0)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window."""
        self._read(0.05)
        self.terminal.resize(columns, rows)
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def signal(self, number: int) -> None:
        """Send a signal to the command."""
        self.process.send_signal(number)

    def close_window(self) -> None:
        """Close the terminal's own end, as a window does that is closed."""
        os.close(self._slave)
        os.close(self._master)
        self._slave = self._master = os.open(os.devnull, os.O_RDWR)

    def hang_up(self) -> None:
        """Take the terminal away."""
        os.kill(self.process.pid, signal.SIGHUP)

    def end(self) -> int:
        """Wait for the end; returns the exit code."""
        end = time.monotonic() + SAFETY
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it does not end:\n{self.terminal.text()}"
            self._read(0.1)
        while self._read(0):
            pass
        return self.process.returncode

    def modes(self) -> list:
        """How the terminal is set now."""
        return termios.tcgetattr(self._slave)

    def _read(self, timeout: float) -> bool:
        poll = select.poll()  # unlike select(), it takes descriptors of any number
        poll.register(self._master, select.POLLIN)
        if not poll.poll(timeout * 1000):
            return False
        with contextlib.suppress(OSError):
            text = os.read(self._master, 65536).decode(errors="replace")
            self.raw += text
            self.terminal.feed(text)
            return bool(text)
        return False
