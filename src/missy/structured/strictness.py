"""Whether a schema can be sent with `strict`. No I/O.

The rules are OpenAI's ("Structured Outputs: Supported schemas"): an object at the root, every property required, no
further ones, and only the keywords that they support. A schema with more is sent without `strict`, and checked here.
"""

from __future__ import annotations

from typing import Any

MAX_PROPERTIES, MAX_ENUM_VALUES, MAX_LEVELS = 5000, 1000, 10
_PLAIN = {"type", "title", "description", "enum", "const", "$ref"}
_NUMBERS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
_KEYWORDS = _PLAIN | _NUMBERS | {"pattern", "format", "minItems", "maxItems"}
_SUBSCHEMAS = {"properties", "required", "additionalProperties", "items", "anyOf"}
_ROOT_ONLY = {"$schema", "$defs", "definitions"}
_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")


class _Unsuitable(Exception):
    pass


class _Counts:
    def __init__(self) -> None:
        self.properties = 0
        self.enum_values = 0


def is_strict(schema: dict[str, Any]) -> bool:
    """Tell whether the schema qualifies.

    Its parts are not known to be valid: no metaschema covers what its dialect does not know, such as `$defs` in draft 7.
    """
    counts = _Counts()
    try:
        _require(schema.get("type") == "object" and "anyOf" not in schema)
        _walk({key: value for key, value in schema.items() if key not in _ROOT_ONLY}, 0, counts)
        for table in ("$defs", "definitions"):
            for definition in _table(schema.get(table, {})).values():
                _walk(definition, 0, counts)
    except _Unsuitable:
        return False
    return counts.properties <= MAX_PROPERTIES and counts.enum_values <= MAX_ENUM_VALUES


def _require(suits: bool) -> None:
    if not suits:
        raise _Unsuitable


def _table(value: Any) -> dict[str, Any]:
    _require(isinstance(value, dict))
    return dict(value)


def _list(value: Any) -> list[Any]:
    _require(isinstance(value, list))
    return list(value)


def _walk(value: Any, level: int, counts: _Counts) -> None:
    schema = _table(value)
    _require(set(schema) <= _KEYWORDS | _SUBSCHEMAS)
    _require(bool(set(schema) & {"type", "anyOf", "$ref", "enum", "const"}))
    _require(schema.get("format", "date") in _FORMATS)
    counts.enum_values += len(_list(schema.get("enum", [])))
    kinds = schema.get("type")
    is_object = "object" in kinds if isinstance(kinds, list) else kinds == "object"
    _require(is_object or not set(schema) & {"properties", "required", "additionalProperties"})
    if is_object:
        level += 1
        _require(level <= MAX_LEVELS)
        properties = _table(schema.get("properties", {}))
        _require(schema.get("additionalProperties") is False)
        required = _list(schema.get("required", []))
        _require(all(isinstance(name, str) for name in required) and set(required) == set(properties))
        counts.properties += len(properties)
        for inner in properties.values():
            _walk(inner, level, counts)
    is_list = "array" in kinds if isinstance(kinds, list) else kinds == "array"
    _require(is_list == ("items" in schema))
    if is_list:
        _walk(schema["items"], level, counts)
    for inner in _list(schema.get("anyOf", [])):
        _walk(inner, level, counts)
