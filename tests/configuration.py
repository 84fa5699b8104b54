"""The configuration's own functions, given the table of kinds, as every caller of them gives it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from missy.config import backups as _backups
from missy.config import edit as _edit
from missy.config import fields as _fields
from missy.config import json_schema as _json_schema
from missy.config import load as _load
from missy.config import schema as _schema
from missy.config import template as _template
from missy.config import validate as _validate
from missy.kinds import KINDS

load = partial(_load.load, kinds=KINDS)
build = partial(_validate.build, kinds=KINDS)
template = partial(_template.template, kinds=KINDS)
json_schema = partial(_json_schema.json_schema, kinds=KINDS)
ENTRY = _fields.entry_fields(KINDS)
Config = partial(_schema.Config, kinds=KINDS)

_GIVEN = ("edit", "outcome", "add_entry", "set_default", "apply")


def _set_value(path: Path, keys: str | list[str], value: Any) -> bool:
    """Set one value; `keys` is the path to it ("network.proxy", or a list); missing sections are created."""
    steps = keys.split(".") if isinstance(keys, str) else keys

    def change(data: dict[str, Any]) -> None:
        for step in steps[:-1]:
            data = _edit.section(data, step)
        data[steps[-1]] = value

    return _edit.edit(path, change, KINDS)


edit = SimpleNamespace(**vars(_edit) | {name: partial(getattr(_edit, name), kinds=KINDS) for name in _GIVEN})
edit.set_value = _set_value
backups = SimpleNamespace(
    **vars(_backups) | {name: partial(getattr(_backups, name), kinds=KINDS) for name in ("rollback", "check")}
)


def entry(name: str, kind: str = "openai", **says: Any) -> _schema.Entry:
    """Return an entry as if the file had it."""
    return _schema.Entry(name, KINDS[kind], **says)
