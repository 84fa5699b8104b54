"""Keys from the terminal, read with prompt-toolkit's parser: what is a paste, and which sequences make a new line.

A terminal marks a paste (bracketed paste). Two cases are not marked: a terminal that cannot, and the rest of a paste that
holds the end mark itself. Such text must not be taken for typed keys, since its line ends would send it.
"""

from __future__ import annotations

import select
import sys
from typing import TYPE_CHECKING

from prompt_toolkit.input.ansi_escape_sequences import ANSI_SEQUENCES
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Sequence

_ALT_ENTER = (Keys.Escape, Keys.ControlM)
# Enter with a modifier, in the protocols of kitty (CSI u) and xterm (modifyOtherKeys), and Konsole's Shift+Enter.
_NEW_LINE_SEQUENCES = ("\x1b[13;2u", "\x1b[27;2;13~", "\x1b[13;3u", "\x1b[27;3;13~", "\x1bOM")
_END_MARK = "\x1b[201~"  # of a paste; the parser takes those that end one
_PASTED_LINES = 3  # line ends that come in one burst: more than a person types ahead


class TerminalInput(Vt100Input):
    """Reads keys from stdin, after those of `typed_before`.

    `strict`: any text that follows a line end at once is a paste, for terminals that mark none.
    """

    def __init__(self, typed_before: str, *, strict: bool = False) -> None:
        for sequence in _NEW_LINE_SEQUENCES:
            ANSI_SEQUENCES[sequence] = _ALT_ENTER
        ANSI_SEQUENCES[_END_MARK] = Keys.Ignore
        super().__init__(sys.stdin)
        self._lines = 1 if strict else _PASTED_LINES
        self.vt100_parser.feed(typed_before)
        store_typeahead(self, merge_burst(self.flush_keys(), self._lines))

    def read_keys(self) -> list[KeyPress]:
        """Return all keys that have arrived. A burst that must be a paste is returned as one."""
        keys = super().read_keys()
        while self.has_more() and not self.closed:
            keys += super().read_keys()
        return merge_burst(keys, self._lines)

    def ahead(self) -> list[KeyPress]:
        """Return the keys that were pressed since the last text was sent, and keep them for the next one."""
        keys = get_typeahead(self) + (self.read_keys() if self.has_more() else [])
        store_typeahead(self, keys)
        return keys

    def has_more(self) -> bool:
        """Whether more bytes have arrived."""
        return bool(select.select([self.fileno()], [], [], 0)[0])


def merge_burst(keys: list[KeyPress], lines: int) -> list[KeyPress]:
    """Return keys that arrived at once, with what must be a paste as one paste.

    That is all before an end mark that ends nothing: the pasted text held one itself. And all of a burst with `lines` line
    ends or more and no mark.
    """
    end = next((n for n in reversed(range(len(keys))) if keys[n].data == _END_MARK), None)
    if end is not None:
        start = next((n for n in range(end) if keys[n].key == Keys.BracketedPaste), 0)
        return [*keys[:start], _paste(keys[start:end]), *merge_burst(keys[end + 1 :], lines)]
    ends = [n for n, key in enumerate(keys) if key.key in (Keys.ControlM, Keys.ControlJ)]
    if len(ends) < lines or len(keys) == ends[0] + 1:
        return keys
    return keys if any(key.key == Keys.BracketedPaste for key in keys) else [_paste(keys)]


def hold_text(keys: Sequence[KeyPress]) -> bool:
    """Tell whether keys hold more than Enter."""
    return any(key.key not in (Keys.ControlM, Keys.ControlJ) for key in keys)


def _paste(keys: Sequence[KeyPress]) -> KeyPress:
    return KeyPress(Keys.BracketedPaste, "".join(key.data for key in keys if key.data != _END_MARK))
