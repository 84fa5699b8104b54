"""Tells whether a text holds the key of an entry, so that the user is asked before it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.errors import MissyError
from missy.masking import MIN_MASKED_CHARS, hold
from missy.secrets.references import read
from missy.secrets.resolve import choose

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from missy.secrets.keyed import Keyed


def find_key(text: str, entries: Iterable[Keyed], environ: Mapping[str, str]) -> str | None:
    """Return the name of the entry whose key is in `text`, else None. All keys that were read are masked from now on.

    Keys from the file, the environment and the vault are looked at; a keyring is not, since it may ask for a password.
    """
    found = None
    for entry in entries:
        for key in _keys(entry, environ):
            hold(key)
            if key in text:
                found = found or entry.entry
    return found


def _keys(entry: Keyed, environ: Mapping[str, str]) -> Iterable[str]:
    from missy.masking import names_secret

    named = [read(value) for name, value in (*entry.headers, *entry.query) if names_secret(name)]
    references = (*(choose(entry, environ).keys if entry.endpoint else ()), *named)
    for reference in references:
        if reference.kind == "keyring":
            continue
        try:
            key = reference.look_up(entry.entry, environ).strip()
        except MissyError:
            continue
        if len(key) >= MIN_MASKED_CHARS:
            yield key
