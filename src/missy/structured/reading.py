"""Read a schema in any of its forms: a file, JSON, the short form, a dict, or a type."""

from __future__ import annotations

import os
import stat
from typing import Any

from missy.errors import UsageError
from missy.structured.limits import (
    MAX_BYTES,
    REFERENCES,
    address_key,
    check_schema,
    check_size,
    dump_schema,
    parse_schema,
)
from missy.structured.schema import Schema
from missy.structured.short_form import read_short_form

_ITEMS = "#/properties/items/items"
_DATA = ("const", "enum", "default", "examples")  # their values are no schemas, whatever they look like
_TABLES = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies")


def read_schema(given: Any, *, multi: bool = False) -> Schema:
    """Return the schema; with `multi`, the schema of a list of such items. Raises UsageError."""
    if isinstance(given, Schema):
        return given
    if isinstance(given, type):
        return _of_type(given)
    if isinstance(given, str):
        body = _of_text(given)
    else:
        written = dump_schema(given)
        check_size(len(written.encode("utf-8", "surrogatepass")))
        body = parse_schema(written)
    return Schema(_several(body) if multi else body)


def _of_text(text: str) -> dict[str, Any]:
    bare = text.strip()
    try:
        bare.encode()
    except UnicodeEncodeError:
        raise UsageError("the schema is not valid UTF-8", hint="check the terminal's encoding") from None
    if bare[:1] in ("{", "["):
        return parse_schema(bare)
    if _is_path(bare):
        return _of_file(os.path.expanduser(bare))
    return read_short_form(text)


def _is_path(text: str) -> bool:
    if "\n" in text or "\0" in text or not text:
        return False
    path = os.path.expanduser(text)
    looks_so = " " not in text and (os.sep in text or text.endswith((".json", ".schema")))
    return looks_so or (len(path) < 4096 and os.path.lexists(path))


def _of_file(path: str) -> dict[str, Any]:
    try:
        # Not blocking: a pipe that nobody writes to would hold us for ever.
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"the schema {path} is no plain file", hint="--schema takes a file of JSON")
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"the schema {path} cannot be read: {error.strerror}",
            hint="--schema takes a file, JSON, or fields: 'name str, age int'",
        ) from None
    try:
        return parse_schema(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError(f"the schema {path} is not UTF-8", hint="save it as UTF-8") from None


def _of_type(given: type) -> Schema:
    """Return the schema of a pydantic model, dataclass, TypedDict, Enum or the like, whose values it makes."""
    from pydantic import PydanticUserError, TypeAdapter

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(given)
        body = adapter.json_schema()
    except PydanticUserError as error:
        raise UsageError(
            f"no schema can be made of {given.__name__}: {str(error).splitlines()[0][:200]}",
            hint="give a dict, or a class of fields with types: a dataclass, TypedDict or pydantic model",
        ) from None
    _close(body)
    return Schema(check_schema(body), convert=adapter.validate_python)


def _close(value: Any) -> None:
    """Say that objects have the fields of their class and no others: that is what the class says."""
    if isinstance(value, dict):
        if value.get("type") == "object" and isinstance(value.get("properties"), dict):
            value.setdefault("additionalProperties", False)
        for inner in value.values():
            _close(inner)
    elif isinstance(value, list):
        for inner in value:
            _close(inner)


def _several(body: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object whose `items` are such things. What is shared stays at the root.

    An address of the whole is dropped: its part would be a resource of its own, and `#` would lead to that. One that
    begins with `#` is only an anchor (up to draft 7).
    """
    one = dict(body)
    shared = {key: one.pop(key) for key in ("$schema", "$defs", "definitions") if key in one}
    address = one.get(address_key(body))
    if isinstance(address, str) and not address.startswith("#"):
        del one[address_key(body)]
    recursive = "2019-09" in str(body.get("$schema"))
    return {
        **{key: _moved_part(key, value, recursive) for key, value in shared.items()},
        "type": "object",
        "properties": {"items": {"type": "array", "items": _moved(one, recursive)}},
        "required": ["items"],
        "additionalProperties": False,
    }


def _moved(value: Any, recursive: bool) -> Any:
    """Return a part of the schema with its references to the former root adjusted to where that is now."""
    if isinstance(value, list):
        return [_moved(one, recursive) for one in value]
    if not isinstance(value, dict):
        return value
    moved = {key: _moved_part(key, found, recursive) for key, found in value.items()}
    if recursive and value.get("$recursiveRef") == "#":
        # It leads to the root of its resource, whatever is written there: a plain reference does the same.
        del moved["$recursiveRef"]
        parts = moved.get("allOf", [])
        moved["allOf"] = [*parts, {"$ref": _ITEMS}] if isinstance(parts, list) else parts
    return moved


def _moved_part(key: str, found: Any, recursive: bool) -> Any:
    """Return the value of one keyword, moved."""
    if key in _DATA:
        return found
    if key in _TABLES and isinstance(found, dict):  # its own keys are names, not keywords
        return {name: _moved(one, recursive) for name, one in found.items()}
    if key in REFERENCES and isinstance(found, str):
        return _lead(found)
    return _moved(found, recursive)


def _lead(reference: str) -> str:
    if reference == "#":
        return _ITEMS
    if reference.startswith("#/") and not reference.startswith(("#/$defs/", "#/definitions/")):
        return _ITEMS + reference[1:]
    return reference
