"""The output items of a Responses answer, assembled from all events about them. Pure.

Events of one item have the same `output_index`; the id is used only without an index, since some servers give each event
a new id. The item in the `done` event is authoritative.
"""

from __future__ import annotations

import io
import json
from typing import Any

from missy.errors import BadReply
from missy.providers.counts import place_number, size_of
from missy.providers.surrogates import joined

MAX_ITEMS = 1024  # of one answer
MAX_ITEMS_CHARS = 16 << 20  # characters of all items of one answer, each counted as often as it was received
_OF_A_CALL = ("call_id", "namespace", "name", "arguments")


class Item:
    """One item: its fields so far, and what was output of it."""

    __slots__ = ("arguments", "done", "fields", "ids", "index", "listed", "parts", "placed", "thoughts")

    def __init__(self, index: int, *, placed: bool) -> None:
        self.index: int = index
        self.placed: bool = placed  # whether the index comes from the server
        self.ids: set[str] = set()
        self.fields: dict[str, Any] = {}
        self.parts: dict[int, io.StringIO] = {}  # content_index -> its text that was output
        self.thoughts: set[tuple[str, int]] = set()  # the parts of its thinking that were output
        self.arguments: str | None = None
        self.done: bool = False
        self.listed: bool = False  # whether the list in the last event contains it

    @property
    def type(self) -> str:
        """The item's type, "" if not known yet."""
        return str(self.fields.get("type") or "")

    def is_told_as(self, fields: dict[str, Any], output: list[Any]) -> bool:
        """Tell whether the item is complete, equals `fields`, and was not found in the list yet."""
        if not self.done or self.listed or not _is_copy(self.fields, fields):
            return False
        own = output[self.index] if 0 <= self.index < len(output) else None
        return not (isinstance(own, dict) and _is_copy(self.fields, own))

    @property
    def said(self) -> str:
        """The text that was output."""
        return "".join(self.parts[number].getvalue() for number in sorted(self.parts))

    def say(self, part: int, text: str) -> None:
        """Record a piece of text that is output."""
        self.parts.setdefault(part, io.StringIO()).write(text)

    def rest(self, part: int | None, whole: str) -> str | None:
        """Return the rest of the whole text (of one part, or of the item) that was not output; None if they differ."""
        said = self.said if part is None else self.parts.get(part, io.StringIO()).getvalue()
        said, whole = joined(said), joined(whole)
        if not whole or said.rstrip() == whole.rstrip():
            return ""
        return whole[len(said) :] if whole.startswith(said) else None


class OutputItems:
    """All items of one answer. Raises BadReply over its limits."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._by_index: dict[int, Item] = {}
        self._by_id: dict[str, Item] = {}
        self._kept = 0

    def of(self, event: dict[str, Any]) -> Item:
        """Return the item that an event of the stream tells of."""
        fields = event.get("item")
        id_ = event.get("item_id") or (fields.get("id") if isinstance(fields, dict) else None)
        id_ = str(id_) if id_ else ""
        index = place_number(event.get("output_index"))
        index = 0 if index is None and not id_ else index
        known = self._by_id.get(id_)
        if index is None:
            return self._named(known or self._begin(len(self._items), placed=False), id_)
        unplaced = known if known is not None and not known.placed else None
        known = self._by_index.get(index, unplaced)
        if known is None or (
            known.done and id_ and id_ not in known.ids
        ):  # an item that has ended does not start again
            known = self._begin(index)
        known.placed, self._by_index[index] = True, known
        return self._named(known, id_)

    def _begin(self, index: int, *, placed: bool = True) -> Item:
        if len(self._items) >= MAX_ITEMS:
            raise BadReply("the answer has too many items")
        self._items.append(Item(index, placed=placed))
        return self._items[-1]

    def _named(self, item: Item, id_: str) -> Item:
        if id_ and len(self._by_id) < 4 * MAX_ITEMS:
            item.ids.add(id_)
            self._by_id.setdefault(id_, item)
        return item

    def keep(self, item: Item, fields: dict[str, Any]) -> None:
        """Store the fields of an item, up to the limit: they are sent back with the next turn."""
        self._kept += size_of(fields)
        if self._kept > MAX_ITEMS_CHARS:
            raise BadReply(
                f"the items of the answer are longer than {MAX_ITEMS_CHARS >> 20} million characters"
            )
        item.fields = fields

    def in_last_event(self, output: list[Any], place: int) -> Item | None:
        """Return the item for an element of the last event's list; None if it was complete already."""
        fields = output[place]
        id_ = str(fields.get("id") or "")
        known = self._by_id.get(id_) if id_ else None
        if known is None and (there := self._by_index.get(place)) is not None:
            same = not there.type or there.type == fields.get("type")
            known = there if same else None
        if known is None:  # the order of the list may differ from that of the stream
            known = next((item for item in self._items if item.is_told_as(fields, output)), None)
        if known is None:
            known = self._named(self._begin(place), id_)
            self._by_index.setdefault(place, known)
        known.listed = True
        return None if known.done else known

    def untold(self) -> Item | None:
        """Return the item that the text of the whole answer is of; None where the ends of items have told it."""
        spoken = [item for item in self._items if item.parts]
        if not spoken:
            return self.of({"output_index": -1})
        return spoken[0] if len(spoken) == 1 and not spoken[0].done else None

    def in_order(self) -> list[Item]:
        """Return the items in the order of the answer."""
        return sorted((item for item in self._items if item.fields), key=lambda item: item.index)


def _is_copy(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether two items are equal except for their ids."""
    names = ("type", "content", "call_id", "arguments", "name", "encrypted_content")
    return all(one.get(name) == other.get(name) for name in names)


def text_of(fields: dict[str, Any]) -> tuple[str, bool]:
    """Return the text of a message item, and whether it is a refusal."""
    content = fields.get("content")
    if isinstance(content, str):
        return content, False
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    texts = [part.get("text") or part.get("refusal") for part in parts]
    refused = any(part.get("type") == "refusal" or part.get("refusal") for part in parts)
    return "".join(text for text in texts if isinstance(text, str)), refused


def thoughts_of(fields: dict[str, Any]) -> str:
    """Return the thinking of a reasoning item: its summaries, else its full text."""
    for name in ("summary", "content"):
        parts = fields.get(name)
        texts = (
            [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
        )
        found = [text for text in texts if isinstance(text, str) and text]
        if found:
            return "\n\n".join(found)
    return ""


def resent(fields: dict[str, Any]) -> dict[str, Any]:
    """Return an item in the form in which it is sent back: without status and other fields of the backend."""
    kept = ("type", "id", "role", "phase", "content", "summary", "encrypted_content", *_OF_A_CALL)
    return {key: fields[key] for key in kept if key in fields}


def arguments_of(item: Item) -> str:
    """Return the arguments of a call, from its item, else from their pieces."""
    arguments = item.fields.get("arguments")
    if isinstance(arguments, str) and arguments.strip():
        return arguments
    if arguments is not None and not isinstance(arguments, str):
        return json.dumps(
            arguments
        )  # an object that the server has parsed already; any other type is refused later
    return item.arguments or ""


def place_of(data: dict[str, Any], name: str) -> int:
    """Return the place that an event names; the first where it names none."""
    return place_number(data.get(name)) or 0
