"""Questions on a terminal: a menu, a line of text, a hidden key. The only module that imports prompt-toolkit.

It draws on stderr, in the width of the window, and erases what it drew: only the question and its answer stay. It must
never show a key, and never leave the terminal in a changed mode.
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
from missy.cli.output.window import window_size
from missy.errors import UsageError
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prompt_toolkit.key_binding.key_processor import KeyPressEvent

T = TypeVar("T")
_ESCAPE_SECONDS = 0.05  # after that, an escape byte is the Esc key and not the start of a sequence
_KEY_HELP = "arrows move, letters search, Enter selects, Esc goes back"


class GoBack(Exception):
    """Esc was pressed: go back to the question before."""


class Option(NamedTuple):
    """One line of a menu. `about` explains it and is shown while it is selected."""

    value: Any
    label: str
    about: str = ""


class WizardPrompter:
    """Asks questions. Ctrl-C and the end of the input raise KeyboardInterrupt, Esc raises GoBack.

    A context manager: inside it, the terminal does not echo what is typed before its question, since it could be a key.
    """

    def __init__(self) -> None:
        self._input = create_input(sys.stdin)
        # Do not ask for the cursor position: a late reply of the terminal would be read as typed text.
        self._output = Vt100_Output(sys.stderr, _size, term=os.environ.get("TERM"), enable_cpr=False)

    def __enter__(self) -> WizardPrompter:  # noqa: PYI034
        self._modes = termios.tcgetattr(sys.stdin)
        raise_on_ctrl_c()  # from here on the mode of the terminal must be restored
        self._disable_echo()
        return self

    def __exit__(self, *_exc: object) -> None:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._modes)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Restore the mode of the terminal while other code uses it."""
        self.__exit__()
        try:
            yield
        finally:
            self._disable_echo()

    def _disable_echo(self) -> None:
        modes = list(self._modes)
        modes[0] &= ~termios.ICRNL
        modes[3] &= ~(termios.ECHO | termios.ICANON)  # and deliver each key unchanged
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, modes)

    def say(self, text: str, *, indent: str = "") -> None:
        """Write `text`, each of its lines wrapped to the width of the window."""
        for line in redact(sanitize(text)).split("\n"):
            margin = indent + line[: len(line) - len(line.lstrip())]
            sys.stderr.write("\n".join(_wrap(line.strip(), _columns(), margin)) + "\n")
        sys.stderr.flush()

    def choose(self, question: str, options: Sequence[Option], default: Any = None) -> Any:
        """Show a menu and return the value of the chosen option. `default` is the value selected first."""
        menu = _Menu(question, options, default)
        keys = _key_bindings()
        for name, step in (("up", -1), ("c-p", -1), ("down", 1), ("c-n", 1), ("pageup", -9), ("pagedown", 9)):
            keys.add(name)(lambda _event, step=step: menu.move(step))
        for name in ("enter", "c-j"):  # the second is an Enter that was pressed before the menu was drawn
            keys.add(name)(lambda event: event.app.exit(result=menu.selected()) if menu.selected() else None)
        keys.add("backspace")(lambda _event: menu.search(menu.typed[:-1]))
        keys.add(Keys.Any)(lambda event: menu.search(menu.typed + event.data))
        control = FormattedTextControl(lambda: [*menu.draw()], focusable=True, show_cursor=False)
        window = Window(control, dont_extend_height=True, always_hide_cursor=True)
        app: Application[Option] = Application(
            Layout(window), key_bindings=keys, erase_when_done=True, input=self._input, output=self._output
        )
        app.ttimeoutlen = _ESCAPE_SECONDS
        selected = self._run(lambda: app.run(set_exception_handler=False))
        self.say(f"{question} {selected.label}")
        return selected.value

    def confirm(self, question: str, *, yes: str = "yes", no: str = "no", default: bool = True) -> bool:
        """Ask a yes-or-no question."""
        return bool(self.choose(question, (Option(True, yes), Option(False, no)), default))

    def ask(self, question: str, check: Callable[[str], T], *, default: str = "") -> T:
        """Ask for a line of text, which starts as `default`, until `check` accepts it.

        `check` returns the value, or raises UsageError, which is shown.
        """
        return self._ask(question, check, default=default, secret=False)

    def ask_secret(self, question: str, check: Callable[[str], T]) -> T:
        """Ask for a key; each letter is shown as a star."""
        return self._ask(question, check, default="", secret=True)

    def _ask(self, question: str, check: Callable[[str], T], *, default: str, secret: bool) -> T:
        while True:
            session: PromptSession[str] = PromptSession(
                input=self._input, output=self._output, key_bindings=_key_bindings(), erase_when_done=True,
                is_password=secret, reserve_space_for_menu=0,
            )  # fmt: skip
            session.app.ttimeoutlen = _ESCAPE_SECONDS
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
    """The state of a menu. Shows the options that contain the typed text, as many as fit into the window."""

    def __init__(self, question: str, options: Sequence[Option], default: Any) -> None:
        self._question = question
        self._options = list(options)
        self._selected = next((i for i, option in enumerate(options) if option.value == default), 0)
        self.typed = ""

    def _matching(self) -> list[Option]:
        typed = self.typed.lower()
        return [option for option in self._options if typed in option.label.lower()]

    def selected(self) -> Option | None:
        matching = self._matching()
        return matching[self._selected] if matching else None

    def move(self, step: int) -> None:
        last = len(self._matching()) - 1
        wraps = abs(step) == 1 and last >= 0
        self._selected = (
            (self._selected + step) % (last + 1) if wraps else max(0, min(self._selected + step, last))
        )

    def search(self, typed: str) -> None:
        """Show only options that contain `typed`. The selected one stays selected if possible."""
        if not typed.isprintable():
            return
        before, self.typed = self.selected(), typed
        matching = self._matching()
        self._selected = matching.index(before) if before in matching else 0

    def draw(self) -> list[tuple[str, str]]:
        columns, rows = _columns(), _size().rows
        head = _wrap(self._question, columns, "")
        selected, matching = self.selected(), self._matching()
        about = _wrap(sanitize(selected.about), columns, "    ") if selected and selected.about else []
        foot = [f"  search: {self.typed}" if matching else f"  no match: {self.typed}"] if self.typed else []
        keys = _wrap(_KEY_HELP, columns, "  ") if rows > 12 else []
        room = max(3, rows - len(head) - len(about) - len(foot) - len(keys) - 3)
        first = max(0, min(self._selected - room // 2, len(matching) - room))
        lines: list[tuple[str, str]] = [("bold", line) for line in head]
        if first:
            lines.append(("", "  ..."))
        for option in matching[first : first + room]:
            mark, style = ("> ", "bold") if option is selected else ("  ", "")
            lines.append((style, _truncate(mark + sanitize(option.label, newlines=False), columns)))
            lines += [("", line) for line in about] if option is selected else []
        if first + room < len(matching):
            lines.append(("", "  ..."))
        lines += [("", line) for line in (*foot, *keys)]
        return [(style, line + "\n") for style, line in lines[:-1]] + lines[-1:]


def _key_bindings() -> KeyBindings:
    keys = KeyBindings()

    def leave(error: type[BaseException]) -> Callable[[KeyPressEvent], None]:
        return lambda event: event.app.exit(exception=error)

    for name in ("c-c", "<sigint>"):
        keys.add(name, eager=True)(leave(KeyboardInterrupt))
    keys.add("c-d", eager=True)(leave(EOFError))
    keys.add("escape", eager=True)(leave(GoBack))
    return keys


def _wrap(text: str, columns: int, margin: str) -> list[str]:
    """Break a line at spaces, and words longer than a line anywhere: a truncated address would be wrong."""
    return textwrap.wrap(
        text,
        max(columns, len(margin) + 8),
        initial_indent=margin,
        subsequent_indent=" " * len(margin),
        break_on_hyphens=False,
    ) or [margin.rstrip()]


def _truncate(text: str, columns: int) -> str:
    return text if len(text) <= columns else text[: columns - 3] + "..."


def _columns() -> int:
    """Return the columns to use: one less than the window has, so that the terminal never breaks a line itself."""
    return max(20, window_size(sys.stderr).columns - 1)


def _size() -> Size:
    window = window_size(sys.stderr)
    return Size(rows=window.rows, columns=window.columns)
