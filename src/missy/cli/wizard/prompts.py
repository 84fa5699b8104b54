"""Questions on a terminal: a menu, a line, a key that is not shown. The one room that imports prompt-toolkit.

It draws on stderr, on as many columns as there are, and takes back what it drew: what stays is the question
with its answer. It must never put a key on the screen, and never leave the terminal in another mode.
"""

from __future__ import annotations

import os
import sys
import termios
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_input
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.shortcuts import PromptSession

from missy.cli.interrupts import raise_on_ctrl_c
from missy.cli.output.sanitize import sanitize
from missy.errors import UsageError
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prompt_toolkit.key_binding.key_processor import KeyPressEvent

T = TypeVar("T")
_ESCAPE = 0.05  # seconds after which an escape byte was the Esc key, and not the beginning of another one
_KEYS = "arrows move, letters search, Enter takes, Esc goes back"


class Back(Exception):
    """The person wants the question before this one."""


class Option(NamedTuple):
    """One line of a menu; `about` says what it means while it is the one that would be taken."""

    value: Any
    label: str
    about: str = ""


class Talk:
    """A conversation of questions. Ctrl-C and the end of the input raise KeyboardInterrupt, Esc raises Back.

    A context manager: inside it, what is typed before its question comes is not shown. It could be a key.
    """

    def __init__(self) -> None:
        self._input = create_input(sys.stdin)
        # No cursor position is asked for: an answer that comes too late would be taken for typed text.
        self._output = Vt100_Output(sys.stderr, _size, term=os.environ.get("TERM"), enable_cpr=False)

    def __enter__(self) -> Talk:  # noqa: PYI034
        self._modes = termios.tcgetattr(sys.stdin)
        raise_on_ctrl_c()  # from here on the terminal has to be put back
        self._hush()
        return self

    def __exit__(self, *_exc: object) -> None:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._modes)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let somebody else have the terminal, as it was before."""
        self.__exit__()
        try:
            yield
        finally:
            self._hush()

    def _hush(self) -> None:
        modes = list(self._modes)
        modes[0] &= ~termios.ICRNL
        modes[3] &= ~(termios.ECHO | termios.ICANON)  # and every key is kept as it was pressed
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, modes)

    def say(self, text: str, *, indent: str = "") -> None:
        """Write a paragraph, wrapped to the window; a line of `text` is a line of it."""
        for line in redact(sanitize(text)).split("\n"):
            margin = indent + line[: len(line) - len(line.lstrip())]
            sys.stderr.write("\n".join(_wrap(line.strip(), _columns(), margin)) + "\n")
        sys.stderr.flush()

    def choose(self, question: str, options: Sequence[Option], default: Any = None) -> Any:
        """Let one option be chosen with the arrow keys; `default` is the value of the one to begin with."""
        menu = _Menu(question, options, default)
        keys = _keys()
        for name, step in (("up", -1), ("c-p", -1), ("down", 1), ("c-n", 1), ("pageup", -9), ("pagedown", 9)):
            keys.add(name)(lambda _event, step=step: menu.move(step))
        for name in ("enter", "c-j"):  # the second is an Enter that was pressed before the menu came
            keys.add(name)(lambda event: event.app.exit(result=menu.taken()) if menu.taken() else None)
        keys.add("backspace")(lambda _event: menu.search(menu.typed[:-1]))
        keys.add(Keys.Any)(lambda event: menu.search(menu.typed + event.data))
        control = FormattedTextControl(lambda: [*menu.draw()], focusable=True, show_cursor=False)
        window = Window(control, dont_extend_height=True, always_hide_cursor=True)
        app: Application[Option] = Application(
            Layout(window), key_bindings=keys, erase_when_done=True, input=self._input, output=self._output
        )
        app.ttimeoutlen = _ESCAPE
        taken = self._run(lambda: app.run(set_exception_handler=False))
        self.say(f"{question} {taken.label}")
        return taken.value

    def agree(self, question: str, *, yes: str = "yes", no: str = "no", default: bool = True) -> bool:
        """Ask for a yes or a no."""
        return bool(self.choose(question, (Option(True, yes), Option(False, no)), default))

    def ask(self, question: str, check: Callable[[str], T], *, default: str = "") -> T:
        """Ask for a line, with a default to change or to take, until `check` lets it through.

        `check` returns what is kept, or raises UsageError, which is shown.
        """
        return self._ask(question, check, default=default, secret=False)

    def ask_secret(self, question: str, check: Callable[[str], T]) -> T:
        """Ask for a key; a star is shown for each letter."""
        return self._ask(question, check, default="", secret=True)

    def _ask(self, question: str, check: Callable[[str], T], *, default: str, secret: bool) -> T:
        while True:
            session: PromptSession[str] = PromptSession(
                input=self._input, output=self._output, key_bindings=_keys(), erase_when_done=True,
                is_password=secret, reserve_space_for_menu=0,
            )  # fmt: skip
            session.app.ttimeoutlen = _ESCAPE
            message = "\n".join(_wrap(question, _columns() - 1, "")) + " "
            typed = self._run(lambda: session.prompt(message, default=default, set_exception_handler=False))  # noqa: B023
            self.say(f"{question} {'*' * min(len(typed), 8) if secret else typed}")
            try:
                return check(typed)
            except UsageError as error:
                self.say(f"{error.message}; {error.hint}" if error.hint else error.message, indent="  ! ")
                default = "" if secret else typed

    def _run(self, run: Callable[[], T]) -> T:
        try:
            return run()
        except EOFError:
            raise KeyboardInterrupt from None


class _Menu:
    """What a menu shows: the options that hold what was typed, as many as there are rows for."""

    def __init__(self, question: str, options: Sequence[Option], default: Any) -> None:
        self._question = question
        self._options = list(options)
        self._at = next((i for i, option in enumerate(options) if option.value == default), 0)
        self.typed = ""

    def _shown(self) -> list[Option]:
        typed = self.typed.lower()
        return [option for option in self._options if typed in option.label.lower()]

    def taken(self) -> Option | None:
        shown = self._shown()
        return shown[self._at] if shown else None

    def move(self, step: int) -> None:
        last = len(self._shown()) - 1
        wraps = abs(step) == 1 and last >= 0
        self._at = (self._at + step) % (last + 1) if wraps else max(0, min(self._at + step, last))

    def search(self, typed: str) -> None:
        """Show only what holds `typed`; what would be taken stays the same where that is possible."""
        if not typed.isprintable():
            return
        before, self.typed = self.taken(), typed
        shown = self._shown()
        self._at = shown.index(before) if before in shown else 0

    def draw(self) -> list[tuple[str, str]]:
        columns, rows = _columns(), _size().rows
        head = _wrap(self._question, columns, "")
        taken, shown = self.taken(), self._shown()
        about = _wrap(sanitize(taken.about), columns, "    ") if taken and taken.about else []
        foot = (
            [f"  search: {self.typed}" if shown else f"  nothing holds: {self.typed}"] if self.typed else []
        )
        keys = _wrap(_KEYS, columns, "  ") if rows > 12 else []
        room = max(3, rows - len(head) - len(about) - len(foot) - len(keys) - 3)
        first = max(0, min(self._at - room // 2, len(shown) - room))
        lines: list[tuple[str, str]] = [("bold", line) for line in head]
        if first:
            lines.append(("", "  ..."))
        for option in shown[first : first + room]:
            mark, style = ("> ", "bold") if option is taken else ("  ", "")
            lines.append((style, _cut(mark + sanitize(option.label, newlines=False), columns)))
            lines += [("", line) for line in about] if option is taken else []
        if first + room < len(shown):
            lines.append(("", "  ..."))
        lines += [("", line) for line in (*foot, *keys)]
        return [(style, line + "\n") for style, line in lines[:-1]] + lines[-1:]


def _keys() -> KeyBindings:
    keys = KeyBindings()

    def leave(error: type[BaseException]) -> Callable[[KeyPressEvent], None]:
        return lambda event: event.app.exit(exception=error)

    for name in ("c-c", "<sigint>"):
        keys.add(name, eager=True)(leave(KeyboardInterrupt))
    keys.add("c-d", eager=True)(leave(EOFError))
    keys.add("escape", eager=True)(leave(Back))
    return keys


def _wrap(text: str, columns: int, margin: str) -> list[str]:
    """Break a line at blanks, and what is longer than a line anywhere: a cut address would be a wrong one."""
    return textwrap.wrap(
        text,
        max(columns, len(margin) + 8),
        initial_indent=margin,
        subsequent_indent=" " * len(margin),
        break_on_hyphens=False,
    ) or [margin.rstrip()]


def _cut(text: str, columns: int) -> str:
    return text if len(text) <= columns else text[: columns - 3] + "..."


def _columns() -> int:
    """Return the columns to draw on: one less than there are, so that no terminal breaks a line by itself."""
    return max(20, _size().columns - 1)


def _size() -> Size:
    try:
        columns, rows = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        columns, rows = 80, 24
    return Size(rows=rows or 24, columns=columns or 80)
