"""Starting a boxed program, talking to it, and ending it. The only place, besides the local model, that starts processes."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.errors import MissyError

if TYPE_CHECKING:
    import threading

    from missy.sandbox.plan import Plan

LAUNCHER = str(Path(__file__).with_name("child.py"))
MAX_OUTPUT_BYTES = 64 << 20  # of a program, after which it is ended
MAX_KEPT_BYTES = 8 << 20  # of its output
_TAIL_BYTES = 64 << 10
_TERM_SECONDS = 2.0
_CLOSE_SECONDS = 10.0  # to wait for a launcher that kills what is left
_WAKE_SECONDS = 0.2
_MAX_REPORT_BYTES = 4096


class Finished(NamedTuple):
    """How a program ended: its exit code (above 128 for a signal), its output, and why it was ended, "" for by itself."""

    exit: int
    output: bytes
    ended: str = ""


class NoSandbox(MissyError):
    """A wall could not be put up; nothing was run."""

    type = "sandbox"


class Box:
    """A boxed program that runs. `process` is its launcher; `listener` is its network, if its plan listens."""

    def __init__(self, plan: Plan, **streams: Any) -> None:
        spec, spec_end = os.pipe()
        control_end, self._control = os.pipe()
        self._report, report_end = os.pipe()
        ours, theirs = socket.socketpair() if plan.listen else (None, None)
        given = [spec, control_end, report_end, *([theirs.fileno()] if theirs else [])]
        try:
            self.process = subprocess.Popen(  # noqa: S603 our own launcher
                [sys.executable, "-I", "-S", LAUNCHER, *map(str, given)],
                pass_fds=given, env={}, cwd="/", start_new_session=True, umask=0o022, **streams,
            )  # fmt: skip
        except OSError as error:
            os.close(spec_end)
            raise NoSandbox(f"the sandbox cannot be started: {error.strerror}") from error
        finally:
            for file in given[:3]:
                os.close(file)
            if theirs:
                theirs.close()
        with os.fdopen(spec_end, "wb") as writer:
            writer.write(plan.encode())
        self.listener: socket.socket | None = _receive(ours) if ours else None

    def started(self) -> None:
        """Wait until the program runs. Raises NoSandbox with the wall that could not be put up."""
        with os.fdopen(self._report, "rb") as reader:
            text = reader.read(_MAX_REPORT_BYTES).decode(errors="replace")
        self._report = -1
        if text:
            self.close()
            if text.startswith("exec "):
                raise FileNotFoundError(text[5:])
            raise NoSandbox(f"the sandbox could not be put up: {text}", hint="see: missy doctor")

    def terminate(self) -> None:
        """Ask the program to end: SIGTERM."""
        with suppress(OSError):
            os.write(self._control, b"t")

    def close(self) -> int:
        """End everything in the box, and wait for that. Returns the exit code."""
        control, self._control = self._control, -1
        if control >= 0:
            os.close(control)
        if self._report >= 0:
            os.close(self._report)
            self._report = -1
        if self.listener is not None:
            self.listener.close()
        try:
            return self.process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:  # the launcher was stopped: all others end with it
            self.process.kill()
            return self.process.wait()


def _receive(channel: socket.socket) -> socket.socket | None:
    """Receive the listener of the box; None if it ended before."""
    with channel:
        channel.settimeout(30)
        try:
            _, files, _, _ = socket.recv_fds(channel, 1, 1)
        except OSError:
            return None
        return socket.socket(fileno=files[0]) if files else None


def run(plan: Plan, stdin: bytes, seconds: float, cancelled: threading.Event, serve: Any = None) -> Finished:
    """Run a program to its end, within `seconds`. `serve` is given the listener of the box. Raises NoSandbox.

    Raises FileNotFoundError if there is no such program.
    """
    box = Box(plan, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    stop = serve(box.listener) if serve is not None and box.listener is not None else None
    try:
        box.started()
        output = _Output()
        try:
            ended = _watch(box, stdin, time.monotonic() + seconds, cancelled, output)
        except KeyboardInterrupt:  # the first Ctrl-C ends the program, a second one everything
            box.terminate()
            _drain(box, output)
            ended = "cancelled"
        return Finished(box.close(), output.whole(), ended)
    finally:
        box.close()
        if stop is not None:
            stop()
        for pipe in (box.process.stdin, box.process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]


def _drain(box: Box, output: _Output) -> None:
    """Collect what a program prints that was told to end, for as long as it may take to do so."""
    source, end = box.process.stdout, time.monotonic() + _TERM_SECONDS
    assert source is not None
    poll = select.poll()
    poll.register(source, select.POLLIN | select.POLLHUP)
    while poll.poll(max(0.0, end - time.monotonic()) * 1000) and (block := os.read(source.fileno(), 1 << 16)):
        output.add(block)
        if time.monotonic() >= end:
            return
    with suppress(subprocess.TimeoutExpired):
        box.process.wait(max(0.0, end - time.monotonic()))


def _watch(box: Box, stdin: bytes, deadline: float, cancelled: threading.Event, output: _Output) -> str:
    """Feed a program and collect what it prints, until it ends or has to be ended; returns why, "" for by itself."""
    source, sink = box.process.stdout, box.process.stdin
    assert source is not None
    assert sink is not None
    os.set_blocking(sink.fileno(), False)
    poll = select.poll()
    poll.register(source, select.POLLIN | select.POLLHUP)
    rest = memoryview(stdin)
    if rest:
        poll.register(sink, select.POLLOUT)
    else:
        sink.close()
    ended, killed_at, is_open = "", 0.0, True
    while is_open or box.process.poll() is None:
        if not ended:
            ended = _why_end(output, deadline, cancelled)
            if ended:
                box.terminate()
                killed_at = time.monotonic() + _TERM_SECONDS
        elif time.monotonic() >= killed_at:
            break
        if not is_open:
            with suppress(subprocess.TimeoutExpired):
                box.process.wait(_WAKE_SECONDS)
            continue
        for file, _ in poll.poll(_WAKE_SECONDS * 1000):
            if file == source.fileno():
                block = os.read(file, 1 << 16)
                output.add(block)
                if not block:
                    poll.unregister(source)
                    is_open = False
            else:
                try:
                    rest = rest[os.write(file, rest[: 1 << 16]) :]
                except OSError:
                    rest = rest[:0]
                if not rest:
                    poll.unregister(sink)
                    sink.close()
        if box.process.poll() is not None and ended:
            break
    return ended


def _why_end(output: _Output, deadline: float, cancelled: threading.Event) -> str:
    if cancelled.is_set():
        return "cancelled"
    if time.monotonic() >= deadline:
        return "timeout"
    return "output" if output.total > MAX_OUTPUT_BYTES else ""


class _Output:
    """What a program prints: the beginning, and the end of what is longer."""

    def __init__(self) -> None:
        self.total = 0
        self._head = bytearray()
        self._tail = bytearray()

    def add(self, block: bytes) -> None:
        self.total += len(block)
        room = MAX_KEPT_BYTES - len(self._head)
        self._head += block[:room]
        self._tail += block[room:] if room < len(block) else b""
        if len(self._tail) > 2 * _TAIL_BYTES:
            del self._tail[:-_TAIL_BYTES]

    def whole(self) -> bytes:
        left = self.total - len(self._head) - len(self._tail)
        gap = f"\n[... {left:,} bytes are lost ...]\n".encode() if left > 0 else b""
        return bytes(self._head) + gap + bytes(self._tail)
