"""One key of the configuration, with all that is known of it, and reading a section by a table of keys.

Validation and the JSON Schema (`json_schema`) are both read off the tables. Every error names file, line and key. The
defaults stand in `schema` and `section_schema`, once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from missy.config.schema import nearest
from missy.config.values import Wrong, shown
from missy.masking import may_be_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from missy.config.positions import KeyPath, SourceMap
    from missy.config.values import Check

Schema = dict[str, Any]
TEXT: Schema = {"type": "string", "minLength": 1}
TEXTS: Schema = {"type": ["array", "null"], "items": TEXT}
TEXT_OR_NULL: Schema = {"type": ["string", "null"], "minLength": 1}
URL_OR_NULL: Schema = {"type": ["string", "null"], "format": "uri", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"}
FLAG: Schema = {"type": "boolean"}


def list_of(items: Schema) -> Schema:
    """Return the JSON Schema of a list, or null."""
    return {"type": ["array", "null"], "items": items}


def above_zero(most: float, *types: str) -> Schema:
    """Return the JSON Schema of a number above 0 and at most `most`, or of one of the other `types`."""
    return {"type": ["number", *types], "exclusiveMinimum": 0, "maximum": most}


def whole(most: int, *types: str, least: int = 1) -> Schema:
    """Return the JSON Schema of a whole number from `least` to `most`, or of one of the other `types`."""
    return {"type": ["integer", *types] if types else "integer", "minimum": least, "maximum": most}


class Field(NamedTuple):
    """One key: its `check`, the `allowed` values in words, its JSON Schema, and what it is for."""

    name: str
    check: Check
    allowed: str
    schema: Schema
    about: str


def read_section(
    table: Sequence[Field], data: dict[str, Any], key_path: KeyPath, source_map: SourceMap
) -> dict[str, Any]:
    """Return the checked values that are present; missy.config.schema supplies the other defaults."""
    known = {field.name: field for field in table}
    refuse_unknown(data, known, key_path, source_map)
    return {key: check(known[key], value, key_path, source_map) for key, value in data.items()}


def check(field: Field, value: Any, key_path: KeyPath, source_map: SourceMap) -> Any:
    """Check one value. Raises ConfigError."""
    try:
        return field.check(value)
    except Wrong as wrong:
        within = wrong.key if wrong.index is None else wrong.index
        at: KeyPath = (*key_path, field.name) if within is None else (*key_path, field.name, within)
        raise source_map.error(f"found {wrong.found}; allowed {field.allowed}", at, hint=wrong.hint) from None


def mapping(data: Any, key_path: KeyPath, source_map: SourceMap, hint: str = "") -> dict[str, Any]:
    """Return a section. null counts as empty: it is what remains when all keys are commented out."""
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise source_map.error(f"found {shown(data)}; allowed a mapping of keys", key_path, hint=hint)
    return data


def refuse_unknown(
    data: dict[str, Any], known: Iterable[str], key_path: KeyPath, source_map: SourceMap
) -> None:
    """Raise ConfigError for a key that is not in the table."""
    for key in data:
        if key not in known:
            what = f"unknown key; allowed {', '.join(known)}"
            raise source_map.error(
                what,
                (*key_path, key),
                hint=("" if may_be_secret(key) else nearest(key, known))
                or "remove it, or see `missy config schema`",
            )
