"""The output text of a Responses answer: each part once, with a blank line between messages. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.events import Text
from missy.providers.surrogates import Halves

if TYPE_CHECKING:
    from missy.events import Event
    from missy.providers.counts import Length
    from missy.providers.output_items import Item


class Speech:
    """Outputs the text of items. `seen`: some visible text was output; `final_seen`: some of it was not commentary.

    `contradicted`: the whole text of an item differs from its pieces, so pieces were lost.
    """

    def __init__(self, length: Length) -> None:
        self._length = length
        self._halves = Halves()
        self._item: Item | None = None
        self._tail = ""  # the last two characters that were output
        self.seen: bool = False
        self.final_seen: bool = False
        self.contradicted: bool = False

    def say(self, item: Item, part: int, text: str) -> list[Event]:
        """Output a piece of an item's text."""
        if not text:
            return []
        self._length.add(text)
        commentary = item.fields.get("phase") == "commentary"
        events: list[Event] = []
        if item is not self._item:
            events += self.flush()
            if self._tail and not item.parts:  # a blank line between two messages
                blank = "\n" * (2 - (len(self._tail) - len(self._tail.rstrip("\n"))))
                events += [Text(blank, commentary or not self.final_seen)] if blank else []
            self._item = item
        item.say(part, text)
        text = self._halves.feed(text)
        if text:
            events.append(Text(text, commentary))
            self._tail = (self._tail + text[-2:])[-2:]
        if text and not text.isspace():
            self.seen = True
            self.final_seen = self.final_seen or not commentary
        return events

    def complete(self, item: Item, part: int | None, whole: str) -> list[Event]:
        """Output the rest of the whole text (of a part, or of the item) that did not come in pieces."""
        rest = item.rest(part, whole)
        too_late = rest and item.parts and item is not self._item  # another message has started after it
        if rest is None or too_late:
            self.contradicted = True
            return []
        return self.say(item, max(item.parts, default=0) if part is None else part, rest)

    def flush(self) -> list[Event]:
        """Output a lone surrogate."""
        half = self._halves.flush()
        commentary = self._item is not None and self._item.fields.get("phase") == "commentary"
        return [Text(half, commentary)] if half else []
