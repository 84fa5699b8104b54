"""The input line on a terminal: editing over several lines, history, search, and a status line below it.

It draws with prompt-toolkit, never on the alternate screen and without mouse reporting, and erases what it drew: the text
that was sent is printed afterwards, whole, by the caller.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Size
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, is_done
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    Window,
)
from prompt_toolkit.layout.processors import HighlightIncrementalSearchProcessor, TabsProcessor
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import Style
from prompt_toolkit.widgets import SearchToolbar

from missy.cli.output.sanitize import sanitize
from missy.cli.output.window import window_size
from missy.cli.talk.key_input import TerminalInput, hold_text
from missy.cli.talk.keys import OutsideEditor, key_bindings
from missy.cli.talk.line import Line
from missy.cli.talk.paste import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prompt_toolkit.formatted_text import StyleAndTextTuples

_ESCAPE_SECONDS = 0.05  # after that, an escape byte is the Esc key and not the start of a sequence
_TAB_COLUMNS = 4


def _style() -> Style:
    prompt = ("prompt", "bold")
    try:
        return Style([prompt, ("status", "dim")])
    except ValueError:  # releases before 3.0.52 know no "dim"
        return Style([prompt])


class Editor:
    """Reads messages and commands, first from `typed_before`; see LineReader.

    `edit_outside` opens a text in the user's editor and returns it.
    """

    def __init__(self, typed_before: str, edit_outside: Callable[[str], str]) -> None:
        self._edit_outside = edit_outside
        self.buffer: Buffer = Buffer(
            multiline=True, history=InMemoryHistory(), on_text_changed=self._on_change
        )
        self.typed_slash: bool = False
        self.notes: tuple[str, ...] = ()
        self._recalled = 1  # the line that is shown; the newest one is 1
        self._prompt = ""
        self._status = ""
        self._input = TerminalInput(typed_before)
        self._app: Application[Line] = Application(
            layout=self._layout(),
            key_bindings=key_bindings(self),
            style=_style(),
            color_depth=ColorDepth.DEPTH_1_BIT if os.environ.get("NO_COLOR") else None,
            erase_when_done=True,
            input=self._input,
            output=_Output(),
            terminal_size_polling_interval=None,
            include_default_pygments_style=False,
        )
        self._app.ttimeoutlen = _ESCAPE_SECONDS

    def read(self, prompt: str, *, draft: Line | None = None, status: str = "") -> Line:
        """Read a text; see LineReader."""
        self._prompt, self._status = prompt, status
        text = draft.text if draft else ""
        self.buffer.reset(Document(text, len(text)))
        self.notes = draft.notes if draft else ()
        self.typed_slash = bool(draft and draft.typed_slash)
        self._recalled = _place(self.buffer)
        while True:
            try:
                # Its own handling of exceptions would wait for a key; SIGINT is handled by the caller.
                return self._app.run(set_exception_handler=False, handle_sigint=False)
            except OutsideEditor:
                self._replace(self._edit_outside(self.buffer.text))

    def _replace(self, text: str) -> None:
        """Use a text that was edited outside. It was not typed here, so it is no command."""
        if text != self.buffer.text:
            pasted = clean(text)
            self.buffer.document = Document(pasted.text, len(pasted.text))
            self.typed_slash, self.notes = False, pasted.notes

    def confirm(self, question: str) -> bool:
        """Ask a question; see LineReader."""
        return self.read(f"{question} ").text.strip().lower() == "yes"

    def remember(self, lines: Sequence[str]) -> None:
        """Set what the Up key recalls."""
        self.buffer.history = InMemoryHistory([sanitize(line) for line in lines])

    def typed_ahead(self) -> bool:
        """Whether text was typed while nothing was read."""
        return hold_text(self._input.ahead())

    def interrupt(self) -> None:
        """Handle SIGINT as Ctrl-C."""
        loop = self._app.loop
        if loop is not None:
            loop.call_soon_threadsafe(self.clear)

    def clear(self) -> None:
        """End the reading without a text."""
        from missy.cli.talk.line import LineCleared

        if self._app.is_running and not self._app.is_done:
            self._app.exit(exception=LineCleared if self.buffer.text else KeyboardInterrupt)

    def redraw(self) -> None:
        """Draw the input again, where the cursor is now."""
        if self._app.is_running:
            self._app.renderer.reset()
            self._app.invalidate()

    def line(self) -> Line:
        """Return the text as it is now."""
        return Line(sanitize(self.buffer.text), self.typed_slash, self.notes)

    def _on_change(self, buffer: Buffer) -> None:
        """Note whether the text begins with a typed slash: lines of the history are stored as they can be typed."""
        if _place(buffer) != self._recalled:
            self._recalled = _place(buffer)
            self.typed_slash = buffer.text.startswith("/")
        elif not buffer.text.startswith("/"):
            self.typed_slash = False
        if not buffer.text:
            self.notes = ()

    def _layout(self) -> Layout:
        search = SearchToolbar()
        control = BufferControl(
            self.buffer,
            input_processors=[
                HighlightIncrementalSearchProcessor(),
                TabsProcessor(_TAB_COLUMNS, char1=" ", char2=" "),
            ],
            include_default_input_processors=False,
            search_buffer_control=search.control,
            preview_search=True,
        )
        text = Window(control, wrap_lines=True, dont_extend_height=True, get_line_prefix=self._prefix)
        status = Window(FormattedTextControl(self._shown_status), height=1, dont_extend_height=True)
        return Layout(
            HSplit(
                [
                    text,
                    ConditionalContainer(search, ~is_done),
                    ConditionalContainer(status, ~is_done & Condition(lambda: bool(self._status))),
                ]
            ),
            text,
        )

    def _prefix(self, line: int, wrapped: int) -> StyleAndTextTuples:
        return [("class:prompt", self._prompt)] if not line and not wrapped else []

    def _shown_status(self) -> StyleAndTextTuples:
        return [("class:status", "; ".join(self.notes) or self._status)]


def _place(buffer: Buffer) -> int:
    """Return the place of the line that is shown, counted from the newest one.

    Its index is no measure: the history is loaded in the background, before the other lines, which moves it.
    """
    return len(buffer._working_lines) - buffer.working_index  # noqa: SLF001 nothing public has their number


class _Output(Vt100_Output):
    """Stdout as a terminal. Bracketed paste stays on between two texts; TerminalModes turns it off."""

    def __init__(self) -> None:
        # Do not ask for the cursor position: a late reply of the terminal would be read as typed text.
        super().__init__(sys.stdout, _size, term=os.environ.get("TERM"), enable_cpr=False)
        self._cursor_shown: bool | None = None  # nobody knows at first

    def disable_bracketed_paste(self) -> None:
        """Do nothing."""

    def hide_cursor(self) -> None:
        """Hide the cursor."""
        if self._cursor_shown is not False:
            self._cursor_shown = False
            self.write_raw("\x1b[?25l")

    def show_cursor(self) -> None:
        """Show the cursor, and leave alone whether it blinks."""
        if not self._cursor_shown:
            self._cursor_shown = True
            self.write_raw("\x1b[?25h")


def _size() -> Size:
    window = window_size(sys.stdout)
    return Size(rows=window.rows, columns=window.columns)
