"""What keys do in the input line, besides prompt-toolkit's own Emacs keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from prompt_toolkit.filters import has_focus, is_searching
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.keys import Keys

from missy.cli.output.sanitize import sanitize
from missy.cli.talk.paste import clean

if TYPE_CHECKING:
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent

    from missy.cli.talk.line import Line


class OutsideEditor(Exception):
    """The text is to be edited in the user's own editor."""


class Edited(Protocol):
    """The part of the editor that keys change."""

    buffer: Buffer
    typed_slash: bool
    notes: tuple[str, ...]

    def line(self) -> Line:
        """Return the text as it is now."""

    def clear(self) -> None:
        """End the reading without a text."""


def key_bindings(editor: Edited) -> KeyBindings:
    """Return the key bindings of the input line."""
    keys = KeyBindings()
    buffer = editor.buffer
    in_text = has_focus(buffer) & ~is_searching

    @keys.add("enter", filter=in_text)
    def _send(event: KeyPressEvent) -> None:
        if buffer.text.strip():
            event.app.exit(result=editor.line())

    @keys.add("c-j", filter=in_text)
    @keys.add("escape", "enter", filter=in_text)
    def _new_line(_event: KeyPressEvent) -> None:
        buffer.insert_text("\n")

    @keys.add(Keys.BracketedPaste, eager=True)
    def _paste(event: KeyPressEvent) -> None:
        pasted = clean(event.data)
        if event.current_buffer is not buffer:  # the words to search for
            event.current_buffer.insert_text(" ".join(pasted.text.split()))
            return
        if not buffer.cursor_position:
            editor.typed_slash = False
        buffer.insert_text(pasted.text)
        editor.notes += pasted.notes

    @keys.add("/", filter=in_text)
    def _slash(event: KeyPressEvent) -> None:
        at_start = not buffer.cursor_position
        buffer.insert_text(event.data * event.arg)
        editor.typed_slash = editor.typed_slash or at_start

    @keys.add(Keys.Any, filter=in_text)
    def _insert(event: KeyPressEvent) -> None:
        buffer.insert_text(sanitize(event.data) * event.arg)

    @keys.add("tab", filter=in_text)
    def _tab(_event: KeyPressEvent) -> None:
        buffer.insert_text("\t")

    @keys.add("c-q")  # they would insert the next key as it is, an escape byte for example
    @keys.add("c-v")
    def _nothing(_event: KeyPressEvent) -> None:
        pass

    @keys.add("c-c", filter=~is_searching)  # a search is ended by it
    def _interrupt(_event: KeyPressEvent) -> None:
        editor.clear()

    @keys.add("c-d", filter=in_text)
    def _end(event: KeyPressEvent) -> None:
        if not buffer.text:
            event.app.exit(exception=EOFError)
        else:
            buffer.delete()

    @keys.add("c-z")
    def _suspend(event: KeyPressEvent) -> None:
        event.app.suspend_to_background()

    @keys.add("c-x", "c-e", filter=in_text)
    def _edit(event: KeyPressEvent) -> None:
        event.app.exit(exception=OutsideEditor)

    return keys
