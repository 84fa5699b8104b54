"""The additional `headers` and `query` of an entry, and the header that carries the key itself.

Their values are treated as secrets: they are sent only to the entry's endpoint, and masked wherever they are shown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from missy.charset import is_field_value
from missy.errors import CredentialError
from missy.masking import names_secret
from missy.secrets.redact import Secret
from missy.secrets.references import Reference, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from missy.secrets.keyed import Keyed

Pairs = tuple[tuple[str, Secret], ...]

# Public values that occur in ordinary messages: masking each occurrence would make those unreadable.
_NO_SECRET = re.compile(r"https?://[^\s@]*|[A-Za-z]{1,15}|[0-9.-]{1,12}")


class Extras(NamedTuple):
    """The headers and the query of an entry, resolved; `key_header` carries the bare key instead of Authorization."""

    headers: Pairs = ()
    query: Pairs = ()
    key_header: str | None = None

    @property
    def names(self) -> dict[str, str]:
        """The names of the headers and parameters, for the audit; values are never recorded."""
        found = {
            "headers": ", ".join(name for name, _ in self.headers),
            "query": ", ".join(name for name, _ in self.query),
        }
        return {key: names for key, names in found.items() if names}

    def plain_headers(self) -> dict[str, str]:
        """Return the headers to send."""
        return {name: value.reveal() for name, value in self.headers}

    def url_query(self) -> str:
        """Return the query string, "" for none."""
        return "&".join(
            f"{quote(name, safe='')}={quote(value.reveal(), safe='*')}" for name, value in self.query
        )

    def masked(self) -> Extras:
        """Return the same names without their values."""
        hidden = Secret.mask()
        return Extras(
            tuple((name, hidden) for name, _ in self.headers),
            tuple((name, hidden) for name, _ in self.query),
            self.key_header,
        )


def resolve_extras(entry: Keyed, environ: Mapping[str, str]) -> Extras:
    """Resolve an entry's `headers` and `query`. Raises CredentialError for a reference without a value."""
    return Extras(
        tuple(_resolved(entry.entry, "headers", entry.headers, environ)),
        tuple(_resolved(entry.entry, "query", entry.query, environ)),
        entry.api_key_header,
    )


def _resolved(
    entry: str, section: str, pairs: Iterable[tuple[str, str]], environ: Mapping[str, str]
) -> Iterable[tuple[str, Secret]]:
    for name, text in pairs:
        one = read(text, f"{section}.{name}")
        value = one.look_up(entry, environ)
        if not is_field_value(value):
            raise CredentialError(
                f"{one.place} of entry {entry!r} contains characters that are not allowed in a {section.rstrip('s')}",
                hint="visible ASCII characters on one line are allowed",
            )
        known = not _is_secret(name, one) and _NO_SECRET.fullmatch(value)
        whole = one.prefix + value
        word, blank, rest = whole.partition(" ")
        if blank and word.isalpha() and not known:
            Secret(rest)  # masked also without its scheme ("Bearer ")
        yield name, Secret(whole, hold=not known)


def _is_secret(name: str, one: Reference) -> bool:
    return one.kind != "config" or names_secret(name)


def secret_place(headers: Iterable[tuple[str, str]], query: Iterable[tuple[str, str]]) -> Reference | None:
    """Return the first header or query value that is a credential by itself: with one, no API key is needed."""
    for section, pairs in (("headers", headers), ("query", query)):
        for name, text in pairs:
            one = read(text, f"{section}.{name}")
            if _is_secret(name, one):
                return one
    return None
