"""The question before a tool acts. It is asked on the terminal itself, and only a person who reads it can answer.

Keys that were typed before it was shown are thrown away; stdin, the model and its text cannot answer. Every line that the
model wrote begins with a bar, so that none can pass for the question.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from missy.cli.output.sanitize import sanitize
from missy.cli.output.window import window_size
from missy.events import Notice
from missy.toolbox.base import ApprovalReply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from missy.events import Event
    from missy.toolbox.base import ApprovalQuestion

_TTY = "/dev/tty"
_BAR = "  | "
_MAX_ANSWER_BYTES = 4096
_MIN_COLUMNS = 20
_CHOICES = {"y": "yes", "yes": "yes", "a": "run", "s": "save", "q": "stop"}


class TerminalApproval:
    """Asks the person at the controlling terminal of this process."""

    def __init__(self, tty: int, show: Callable[[Event], None]) -> None:
        self._tty = tty
        self._show = show

    @classmethod
    def open(cls, show: Callable[[Event], None]) -> Self | None:
        """Return the one who asks; None without a terminal. `show` shows an event among the rest of the output."""
        try:
            return cls(os.open(_TTY, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC), show)
        except OSError:
            return None

    def __del__(self) -> None:
        with suppress(OSError):
            os.close(self._tty)

    def __call__(self, question: ApprovalQuestion) -> ApprovalReply:
        """Ask one question; whatever is no clear yes is a no. In the background of a shell there is nobody to ask."""
        if not self._is_in_foreground():  # touching the terminal would stop this process
            self._show(
                Notice(
                    "this command is in the background of its terminal, so it cannot ask: start it without &"
                )
            )
            return ApprovalReply("nobody")
        if not question.resume:
            self._show(Notice(f"the model wants to {question.action.tool}"))
        with self._line_by_line():
            return self._ask(question)

    def _is_in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self._tty) == os.getpgrp()
        except OSError:  # the terminal has gone
            return False

    def _ask(self, question: ApprovalQuestion) -> ApprovalReply:
        if question.resume:
            self._flush()
            self._write(f"\nmissy: {question.reason}\ngo on with the answer? y=yes, n=no [n] ")
            return _read(self._line(), can_grant=False)
        lines = [row for line in describe(question) for row in _rows(line, self._columns())]
        self._write("\n".join(lines) + "\n")
        saves = " s=yes and save the rule," if question.rule else ""
        run = " a=yes for this run," if question.rule else ""
        self._flush()
        self._write(f"allow it? y=yes,{run}{saves} n=no, n: reason, q=stop [n] ")
        return _read(self._line(), can_grant=bool(question.rule))

    @contextmanager
    def _line_by_line(self) -> Iterator[None]:
        """Let the terminal echo, and give whole lines: a conversation has it otherwise while an answer is shown."""
        import termios

        before = termios.tcgetattr(self._tty)
        asking = [*before[:6], list(before[6])]
        asking[0] |= termios.ICRNL
        asking[3] |= termios.ICANON | termios.ECHO | termios.ISIG
        termios.tcsetattr(self._tty, termios.TCSAFLUSH, asking)
        try:
            yield
        finally:
            termios.tcsetattr(self._tty, termios.TCSADRAIN, before)

    def _columns(self) -> int:
        return window_size(self._tty).columns

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        while data:
            data = data[os.write(self._tty, data) :]

    def _flush(self) -> None:
        """Throw away what was typed before the question could be read."""
        import termios

        termios.tcflush(self._tty, termios.TCIFLUSH)

    def _line(self) -> str:
        line = b""
        while not line.endswith(b"\n") and len(line) < _MAX_ANSWER_BYTES:
            piece = os.read(self._tty, _MAX_ANSWER_BYTES)
            if not piece:  # Ctrl-D
                self._write("\n")
                return ""
            line += piece
        return line.decode(errors="replace").strip()


def _read(line: str, *, can_grant: bool) -> ApprovalReply:
    word = line.lower()
    if word in _CHOICES and (can_grant or word not in ("a", "s")):
        return ApprovalReply(_CHOICES[word])  # type: ignore[arg-type]
    first, colon, reason = line.partition(":")
    if colon and first.strip().lower() in ("n", "no"):
        return ApprovalReply("no", reason.strip())
    return ApprovalReply("no")


def describe(question: ApprovalQuestion) -> list[str]:
    """Return the lines of a question: what, why, with which arguments, within which walls."""
    action = question.action
    lines = ["", f"missy: the model wants to use the tool {sanitize(action.tool, newlines=False)}"]
    if action.argv:
        lines.append("the program and its arguments, a word a line:")
        lines += [_BAR + _quoted(word) for word in action.argv]
    rest = {name: value for name, value in question.arguments.items() if name != "argv"}
    if question.preview:
        rest = {name: value for name, value in rest.items() if name not in ("text", "old", "new", "count")}
    for name, value in rest.items():
        lines += _argument(name, value)
    if question.preview:
        lines.append("what it would change:")
        lines += [_BAR + line for line in sanitize(question.preview).split("\n")]
    if question.level != "none":
        network = "through the policy" if question.network else "none"
        lines.append(f"sandbox: {question.level}; network: {network}")
    why = f"asked because {question.reason}"
    if question.taint and question.taint not in why:
        why += f" {question.taint}"
    lines.append(sanitize(why, newlines=False))
    if question.rule:
        lines.append(f"the rule of a and s: {sanitize(question.rule, newlines=False)}")
    return lines


def _rows(line: str, columns: int) -> Iterator[str]:
    """Yield a line in pieces that fit: where the terminal wraps a line, the rest of it would stand there without a bar."""
    from unicodedata import east_asian_width

    row, width, most = "", 0, max(columns, _MIN_COLUMNS) - 1
    for char in line.expandtabs(4):
        wide = 2 if east_asian_width(char) in "WFA" else 1
        if width + wide > most:
            yield row
            row, width = _BAR, len(_BAR)
        row, width = row + char, width + wide
    yield row


def _argument(name: str, value: Any) -> list[str]:
    text = value if isinstance(value, str) else json.dumps(value)
    return [f"{sanitize(name, newlines=False)}:", *(_BAR + line for line in sanitize(text).split("\n"))]


def _quoted(word: str) -> str:
    """Return a word on one line; quotes show where it begins and ends if that is not plain."""
    shown = sanitize(word).replace("\n", "\\n").replace("\t", "\\t")
    return shown if shown and shown == word and " " not in shown else json.dumps(shown, ensure_ascii=False)
