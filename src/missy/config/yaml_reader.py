"""Parsing YAML text to plain dicts, lists and scalars, with the line of each. The only module that reads YAML.

It works on the parser's events, so that a second document, a tag, a duplicate key, an alias bomb or deep nesting is
refused with its line before anything is built from it. A tag never creates an object. A plain scalar that is not
null, a boolean or a decimal number is text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.config.positions import KeyPath, SourceMap
    from missy.errors import ConfigError

MAX_VALUES = 10_000
MAX_DEPTH = 10
_NULL = {"", "~", "null", "Null", "NULL"}
_FLAGS = {
    spelling: word in ("true", "yes", "on")
    for word in ("true", "yes", "on", "false", "no", "off")
    for spelling in (word, word.capitalize(), word.upper())
}
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(
    r"[-+]?([0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18}|[0-9]{1,18}(?=[eE]))([eE][-+]?[0-9]{1,3})?"
)


def parse(text: str, source_map: SourceMap) -> Any:
    """Return the document in `text`, None if empty; the lines go to `source_map`. Raises ConfigError."""
    try:
        return _Reader(text, source_map).document()
    except yaml.YAMLError as error:
        raise _broken(error, text, source_map) from None


def plain(text: str) -> str | float | bool | None:
    """Return the value of an unquoted scalar."""
    if text in _NULL:
        return None
    if text in _FLAGS:
        return _FLAGS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


class _Reader:
    """Builds the data from the events of one text."""

    def __init__(self, text: str, source_map: SourceMap) -> None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # PyYAML may have been built without libyaml
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=loader))
        self._source_map = source_map
        self._anchors: dict[str, tuple[Any, int]] = {}  # name -> value, number of values in it
        self._values = 0

    def document(self) -> Any:
        root, documents = None, 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._refuse(event, (), "found a second document; allowed one", "remove the `---`")
            elif isinstance(event, yaml.NodeEvent):
                root = self._value(event, ())
        return root

    def _value(self, event: Any, key_path: KeyPath) -> Any:
        self._source_map.lines.setdefault(key_path, _line(event))
        before = self._values
        self._count(1, event, key_path)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, key_path)
        if event.tag is not None:
            raise self._refuse(
                event, key_path, f"found the tag {event.tag[:64]}; allowed plain values", "remove the tag"
            )
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = plain(event.value) if event.implicit[0] else event.value
        elif isinstance(event, yaml.SequenceStartEvent):
            value = [
                self._value(item, (*key_path, i)) for i, item in enumerate(self._until(yaml.SequenceEndEvent))
            ]
        else:
            value = self._mapping(key_path)
        if event.anchor:
            self._anchors[event.anchor] = (value, self._values - before)
        return value

    def _mapping(self, key_path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in self._until(yaml.MappingEndEvent):
            key = self._key(event, key_path)
            child = (*key_path, key)
            if key in found:
                first = self._source_map.line(child)
                raise self._refuse(
                    event, child, f"duplicate key; the first is in line {first}", "remove one of them"
                )
            self._source_map.lines[child] = _line(event)
            found[key] = self._value(next(self._events), child)
        return found

    def _key(self, event: Any, key_path: KeyPath) -> str:
        self._count(1, event, key_path)
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            raise self._refuse(
                event, key_path, "found a key that is not plain text; allowed text", "write the key out"
            )
        if event.value == "<<" and event.implicit[0]:
            raise self._refuse(
                event, key_path, "found a merge key (<<); allowed plain keys", "write the keys out"
            )
        return str(event.value)  # all our keys are text: an entry may be called on, off or 12

    def _alias(self, event: Any, key_path: KeyPath) -> Any:
        if event.anchor not in self._anchors:
            what = f"found the alias *{event.anchor[:64]} for an anchor that does not exist or contains the alias"
            raise self._refuse(event, key_path, what, "write the value out")
        value, size = self._anchors[event.anchor]
        self._count(size, event, key_path)
        return value

    def _count(self, values: int, event: Any, key_path: KeyPath) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise self._refuse(
                event, (), f"more than {MAX_VALUES} values, aliases counted", "make it smaller"
            )
        if len(key_path) > MAX_DEPTH:
            raise self._refuse(
                event,
                (),
                f"nested more than {MAX_DEPTH} levels deep",
                "check the brackets and the indentation",
            )

    def _until(self, end: type) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event

    def _refuse(self, event: Any, key_path: KeyPath, what: str, hint: str) -> ConfigError:
        return self._source_map.error(what, key_path, hint=hint, line=_line(event))


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _broken(error: yaml.YAMLError, text: str, source_map: SourceMap) -> ConfigError:
    """Return the parser's error in one line. It quotes nothing from the file, which may contain a key."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be parsed"
    line = mark.line + 1 if mark else 1
    rows = text.split("\n")
    row = rows[line - 1] if line <= len(rows) else ""
    if "\t" in row[: len(row) - len(row.lstrip())]:
        return source_map.error(
            "found a tab; allowed spaces", hint="YAML is indented with spaces, not tabs", line=line
        )
    what = f"not valid YAML: {problem}{_context(error)}"
    return source_map.error(
        " ".join(what.split()), hint="check indentation, quotes and brackets there", line=line
    )


def _context(error: yaml.YAMLError) -> str:
    """Return the parser's context: an unclosed bracket is detected long after its line."""
    context, mark = getattr(error, "context", None), getattr(error, "context_mark", None)
    return f" ({context} that begins in line {mark.line + 1})" if context and mark else ""
