"""The limits of a schema, checked before the validator: size, depth, and no external references. No I/O."""

from __future__ import annotations

import json
from typing import Any

from missy.errors import UsageError

MAX_BYTES = 256_000  # of the schema as JSON
MAX_DEPTH = 32  # objects and lists inside each other
DIALECTS = frozenset(
    {
        "json-schema.org/draft-04/schema",
        "json-schema.org/draft-06/schema",
        "json-schema.org/draft-07/schema",
        "json-schema.org/draft/2019-09/schema",
        "json-schema.org/draft/2020-12/schema",
    }
)
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def parse_schema(text: str | bytes) -> dict[str, Any]:
    """Read a schema from JSON text and check its bounds. Raises UsageError."""
    check_size(len(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")))
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise UsageError(
            f"the schema is not JSON{where}", hint="a schema is a JSON object, as json-schema.org has it"
        ) from None
    return check_schema(value)


def check_schema(value: Any) -> dict[str, Any]:
    """Return a schema whose depth, references and dialect are allowed. Raises UsageError."""
    if not isinstance(value, dict):
        raise UsageError("the schema is no JSON object", hint='e.g. {"type": "object", "properties": {...}}')
    _check_depth(value)
    _check_texts(value)
    try:
        dump_schema(value).encode()
    except UnicodeEncodeError:
        raise UsageError("the schema contains lone surrogates", hint="write it as valid UTF-8") from None
    return value


def check_size(size: int) -> None:
    """Refuse a schema that is too large; `size` is in bytes. Raises UsageError."""
    if size > MAX_BYTES:
        raise UsageError(
            f"the schema is larger than {MAX_BYTES // 1000} kB", hint="leave out what is not needed"
        )


def dump_schema(value: Any) -> str:
    """Return a Python value as JSON text. Raises UsageError for what cannot be JSON."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except RecursionError:
        raise _too_deep() from None
    except (ValueError, TypeError) as error:  # a value that contains itself, too
        raise UsageError(
            f"the schema cannot be written as JSON: {error}", hint="give a dict of JSON values"
        ) from None


def address_key(schema: dict[str, Any]) -> str:
    """Return the keyword that gives a schema of this dialect its address."""
    return "id" if "draft-04" in str(schema.get("$schema")) else "$id"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _check_depth(value: Any) -> None:
    """Go down level by level: no recursion that a deep schema could exhaust."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inner(outer)]
        if not level:
            return
    raise _too_deep()


def _inner(value: Any) -> list[Any]:
    values = value.values() if isinstance(value, dict) else value
    return [one for one in values if isinstance(one, dict | list)]


def _check_texts(value: Any) -> None:
    base = address_key(value)
    if any(
        key == base and isinstance(found, str) for inner in _inner(value) for key, found in _members(inner)
    ):
        raise UsageError(
            f"a part of the schema has an address of its own ({base})",
            hint=f"leave out its {base}: references begin at the root (#/...)",
        )
    for key, found in _members(value):
        if key in REFERENCES and isinstance(found, str) and not found.startswith("#"):
            raise UsageError(
                f"the schema refers to {found[:100]!r}: only references inside it are followed (#...)",
                hint="copy what it refers to into $defs, and refer to #/$defs/NAME",
            )
        if key == "$schema" and isinstance(found, str) and not _is_known(found):
            raise UsageError(
                f"the schema is of a dialect that is not known: {found[:100]!r}",
                hint="draft 4, 6, 7, 2019-09 or 2020-12; without $schema it is 2020-12",
            )


def _members(value: Any) -> list[tuple[str, Any]]:
    """Return the members of every object in it; its depth has been checked."""
    found = list(value.items()) if isinstance(value, dict) else []
    for inner in _inner(value):
        found += _members(inner)
    return found


def _is_known(dialect: str) -> bool:
    scheme, _, name = dialect.removesuffix("#").partition("://")
    return scheme in ("http", "https") and name in DIALECTS


def _too_deep() -> UsageError:
    return UsageError(
        f"the schema is nested more than {MAX_DEPTH} levels deep", hint="use $defs and $ref for what repeats"
    )
