"""The input line where nothing may be drawn over: for screen readers, for `--plain`, and for terminals that can do less.

What is typed is written once, in order. Up writes an earlier line on a new line. Only backspace, a space and a newline
are used to correct, no escape sequences.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
from typing import TYPE_CHECKING

from prompt_toolkit.input.typeahead import get_typeahead
from prompt_toolkit.input.vt100 import raw_mode
from prompt_toolkit.keys import Keys
from prompt_toolkit.utils import get_cwidth

from missy.cli.interrupts import MAX_WAIT_SECONDS
from missy.cli.output.sanitize import sanitize
from missy.cli.output.window import window_size
from missy.cli.talk.key_input import TerminalInput, hold_text
from missy.cli.talk.line import Line, LineCleared
from missy.cli.talk.paste import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prompt_toolkit.key_binding import KeyPress

_ESCAPE_SECONDS = 0.05
_ERASE = "\b \b"
_LAST_WORD = re.compile(r"\S*\s*\Z")


class PlainEditor:
    """Reads messages and commands, first from `typed_before`; see LineReader.

    `marks`: whether the terminal marks what is pasted.
    """

    def __init__(self, typed_before: str, *, marks: bool) -> None:
        self._input = TerminalInput(typed_before, strict=not marks)
        self._keys = get_typeahead(self._input)  # read, and not handled yet
        self._history: list[str] = []
        self._place = 0  # in the history
        self._text = ""
        self._prompt = ""
        self._notes: tuple[str, ...] = ()
        self._typed_slash = self._escaped = self._is_reading = False
        self._interrupt_r, self._interrupt_w = os.pipe()
        for file in (self._interrupt_r, self._interrupt_w):
            os.set_blocking(file, False)

    def read(self, prompt: str, *, draft: Line | None = None, status: str = "") -> Line:  # noqa: ARG002
        """Read a text; see LineReader. There is no status line."""
        self._prompt, self._place, self._escaped = prompt, len(self._history), False
        self._text, self._notes, self._typed_slash = "", (), False
        self._write(prompt)
        if draft:
            self._insert(draft.text)
            self._typed_slash, self._notes = draft.typed_slash, draft.notes
        self._is_reading = True
        try:
            with raw_mode(self._input.fileno()):
                while not self._handle(self._next()):
                    pass
        finally:
            self._is_reading = False
        return Line(self._text, self._typed_slash, self._notes)

    def confirm(self, question: str) -> bool:
        """Ask a question; see LineReader."""
        return self.read(f"{question} ").text.strip().lower() == "yes"

    def remember(self, lines: Sequence[str]) -> None:
        """Set what the Up key recalls."""
        self._history = [sanitize(line) for line in lines]

    def typed_ahead(self) -> bool:
        """Whether text was typed while nothing was read."""
        if self._input.has_more():
            self._keys += self._input.read_keys()
        return hold_text(self._keys)

    def interrupt(self) -> None:
        """Handle SIGINT as Ctrl-C."""
        os.write(self._interrupt_w, b"c")

    def redraw(self) -> None:
        """Write the text again."""
        if self._is_reading:
            self._write(f"\n{self._prompt}{self._text}")

    def _next(self) -> KeyPress:
        while not self._keys:
            self._keys = self._wait()
        return self._keys.pop(0)

    def _wait(self) -> list[KeyPress]:
        """Wait for keys. Raises EOFError when the terminal is gone; see `interrupt` for the other way to end."""
        files = [self._input.fileno(), self._interrupt_r]
        while not (ready := select.select(files, [], [], MAX_WAIT_SECONDS)[0]):
            pass
        if self._interrupt_r in ready:
            os.read(self._interrupt_r, 64)
            self._clear()
        keys = self._input.read_keys()
        if not keys and not select.select([self._input.fileno()], [], [], _ESCAPE_SECONDS)[0]:
            keys = self._input.flush_keys()
        if self._input.closed:
            raise EOFError
        return keys

    def _handle(self, pressed: KeyPress) -> bool:
        """Handle one key; tell whether it sends the text."""
        key, escaped, self._escaped = pressed.key, self._escaped, False
        if key == Keys.BracketedPaste:
            self._paste(pressed.data)
        elif key == Keys.ControlJ or (key == Keys.ControlM and escaped):
            self._insert("\n")
        elif key == Keys.ControlM:
            return self._send()
        elif key == Keys.Escape:
            self._escaped = True
        elif key in (Keys.ControlH, Keys.Backspace):
            self._erase(1)
        elif key == Keys.ControlU:
            self._erase(len(self._text))
        elif key == Keys.ControlW:
            self._erase(len(self._text) - len(_LAST_WORD.sub("", self._text)))
        elif key == Keys.ControlC:
            self._clear()
        elif key == Keys.ControlZ:
            os.kill(0, signal.SIGTSTP)
        elif key == Keys.ControlD and not self._text:
            self._write("\n")
            raise EOFError
        elif key in (Keys.Up, Keys.Down):
            self._recall(-1 if key == Keys.Up else 1)
        elif key == Keys.ControlI:
            self._insert("\t")
        elif not isinstance(key, Keys):
            self._type(sanitize(pressed.data))
        return False

    def _send(self) -> bool:
        if not self._text.strip():
            return False
        self._write("\n")
        return True

    def _type(self, text: str) -> None:
        if text == "/" and not self._text:
            self._typed_slash = True
        self._insert(text)

    def _paste(self, data: str) -> None:
        pasted = clean(data)
        self._insert(pasted.text)
        self._notes += pasted.notes

    def _insert(self, text: str) -> None:
        self._text += text
        self._write(text)

    def _erase(self, count: int) -> None:
        """Remove the last characters: within the last line on the terminal, else by writing the text again."""
        gone = self._text[len(self._text) - count :] if count else ""
        self._text = self._text[: len(self._text) - count]
        if not self._text:
            self._typed_slash, self._notes = False, ()
        columns = window_size(sys.stdout).columns
        last = self._text.rpartition("\n")[2]
        shown = get_cwidth(last + gone) + (0 if "\n" in self._text else len(self._prompt))
        if "\n" in gone or "\t" in gone or shown >= columns:
            self._write(f"\n{self._prompt}{self._text}")
        else:
            self._write(_ERASE * get_cwidth(gone))

    def _recall(self, step: int) -> None:
        place = self._place + step
        if 0 <= place <= len(self._history):
            self._place = place
            self._text = self._history[place] if place < len(self._history) else ""
            self._typed_slash = self._text.startswith("/")
            self._write(f"\n{self._prompt}{self._text}")

    def _clear(self) -> None:
        self._write("\n")
        raise LineCleared if self._text else KeyboardInterrupt

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
