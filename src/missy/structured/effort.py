"""Bounds the work of a check: a small schema with references can need exponentially many steps. No I/O.

The validator cannot be interrupted, so the work is bounded before it begins: how often each part of the schema would be
applied to one place of the value, summed over the value's places.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from missy.errors import UsageError
from missy.structured.limits import REFERENCES

MAX_STEPS = 20_000_000  # a second or two
_HERE_ONE = ("not", "if", "then", "else")
_HERE_LIST = ("allOf", "anyOf", "oneOf")
_HERE_TABLE = ("dependentSchemas", "dependencies")
_BELOW_ONE = (
    "additionalProperties", "unevaluatedProperties", "propertyNames", "items", "additionalItems", "unevaluatedItems",
    "contains",
)  # fmt: skip
_MAX_INDEX_DIGITS = (
    6  # of an item in a list: a schema has at most 256 kB, and int() refuses thousands of digits
)


class Effort:
    """The schema as a graph: which parts apply to the same place of a value, and which to the places inside it."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._root = schema
        self._anchors: dict[str, Any] = {}
        self._here: dict[int, list[int]] = {}
        self._below: dict[int, list[int]] = {}
        self._find_anchors(schema)
        self._add(schema)
        self._order = self._sorted()

    def is_bearable(self, places: list[int]) -> bool:
        """Tell whether a value can be checked; `places` has the number of its parts, level by level."""
        counts = {id(self._root): 1}
        steps = 0
        for number in places:
            for node in self._order:  # outer parts come before what they refer to
                if times := counts.get(node):
                    for inner in self._here[node]:
                        counts[inner] = counts.get(inner, 0) + times
            steps += sum(counts.values()) * number
            if steps > MAX_STEPS:
                return False
            counts = self._go_down(counts)
        return True

    def _go_down(self, counts: dict[int, int]) -> dict[int, int]:
        below: dict[int, int] = {}
        for node, times in counts.items():
            for inner in self._below[node]:
                below[inner] = below.get(inner, 0) + times
        return below

    def _find_anchors(self, value: Any) -> None:
        if isinstance(value, dict):
            for key in ("$anchor", "$dynamicAnchor"):
                if isinstance(name := value.get(key), str):
                    self._anchors.setdefault(name, value)
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            self._find_anchors(inner)

    def _add(self, start: dict[str, Any]) -> None:
        waiting = [start]
        while waiting:
            schema = waiting.pop()
            if id(schema) in self._here:
                continue
            here, below = self._parts(schema)
            self._here[id(schema)] = [id(one) for one in here]
            # One place is reached once by `properties`, however many of them share a definition.
            self._below[id(schema)] = list(dict.fromkeys(id(one) for one in below))
            waiting += here + below

    def _parts(self, schema: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        here = [schema.get(key) for key in _HERE_ONE]
        here += [self._resolve(schema[key]) for key in REFERENCES if isinstance(schema.get(key), str)]
        for key in _HERE_LIST:
            here += _items(schema.get(key))
        for key in _HERE_TABLE:
            here += _values(schema.get(key))
        below = [schema.get(key) for key in _BELOW_ONE]
        below += [*_values(schema.get("properties")), *_values(schema.get("patternProperties"))]
        below += [*_items(schema.get("prefixItems")), *_items(schema.get("items"))]
        return [one for one in here if isinstance(one, dict)], [one for one in below if isinstance(one, dict)]

    def _resolve(self, reference: str) -> Any:
        name = unquote(reference[1:])
        if name and not name.startswith("/"):
            return self._anchors.get(name)
        found: Any = self._root
        for escaped in name.split("/")[1:]:
            part = escaped.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict):
                found = found.get(part)
            elif isinstance(found, list):
                found = _item(found, part)
            else:
                return None
        return found

    def _sorted(self) -> list[int]:
        """Return the parts, each before those that it applies to the same place. Raises UsageError for a cycle.

        A cycle constrains no value, and several of them lead to exponentially many paths.
        """
        order: list[int] = []
        done: set[int] = set()
        for start in self._here:
            stack = [(start, iter(self._here[start]))] if start not in done else []
            done.add(start)
            while stack:
                node, inner = stack[-1]
                following = next((one for one in inner if one not in done), None)
                if following is None:
                    order.append(node)
                    stack.pop()
                else:
                    done.add(following)
                    stack.append((following, iter(self._here[following])))
        order.reverse()
        rank = {node: number for number, node in enumerate(order)}
        if any(rank[inner] <= rank[node] for node in order for inner in self._here[node]):
            raise UsageError(
                "the schema refers to itself without going into the value",
                hint="put the reference under properties or items",
            )
        return order


def _item(values: list[Any], index: str) -> Any:
    is_index = index.isdecimal() and len(index) <= _MAX_INDEX_DIGITS and int(index) < len(values)
    return values[int(index)] if is_index else None


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _values(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else []


def count_places(value: Any, most: int) -> list[int] | None:
    """Return how many parts a value has at each level, or None if it is nested deeper than `most`."""
    counts: list[int] = []
    level = [value]
    while level:
        if len(counts) > most:
            return None
        counts.append(len(level))
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return counts
