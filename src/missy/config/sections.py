"""Reading one section of the configuration by the table of its keys. Every error names file, line and key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.config import fields
from missy.config.schema import nearest
from missy.config.values import Wrong, shown
from missy.masking import may_be_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from missy.config.fields import Field
    from missy.config.positions import KeyPath, SourceMap


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


def mapping(data: Any, key_path: KeyPath, source_map: SourceMap) -> dict[str, Any]:
    """Return a section. null counts as empty: it is what remains when all keys are commented out."""
    if data is None:
        return {}
    if not isinstance(data, dict):
        hint = "" if key_path else f"the file begins with one of: {', '.join(fields.SECTIONS)}"
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
