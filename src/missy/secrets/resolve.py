"""Choosing the credential for an endpoint. This module only reads: it never prints, stores or sends.

A credential belongs to a host. In order: the entry's own `api_key` or `api_keys`, for any endpoint; then the
environment variable `<ENTRY>_API_KEY`, if the entry sets its `base_url`; then the variables of known services, such
as OPENAI_API_KEY, each only for that service's hosts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from missy import services
from missy.errors import CredentialError
from missy.policy import parse
from missy.secrets.extras import Extras, resolve_extras, secret_place
from missy.secrets.redact import Secret
from missy.secrets.references import Reference, read, what_is_missing_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from missy.policy import Target
    from missy.secrets.keyed import Keyed


class Credential:
    """One key and where it came from. `id` names it in the audit; it is never derived from the key itself.

    `extras` are the entry's additional headers and query for the same endpoint.
    """

    __slots__ = ("extras", "id", "secret", "source")

    def __init__(self, secret: Secret | None, source: str, id: str, extras: Extras | None = None) -> None:  # noqa: A002
        self.secret: Secret | None = secret
        self.source: str = source
        self.id: str = id
        self.extras: Extras = extras or Extras()

    def masked(self) -> Credential:
        """Return a copy without a secret, for a request preview."""
        secret = self.secret and Secret.mask()
        return Credential(secret, self.source, self.id, self.extras.masked())


class Choice(NamedTuple):
    """The keys to try for one entry, in order; or `missing`: why there is none."""

    keys: tuple[Reference, ...]
    missing: str = ""


def choose(entry: Keyed, environ: Mapping[str, str]) -> Choice:
    """Decide which keys an entry's endpoint gets. Pure. No keys and nothing missing: the endpoint needs none."""
    written = [("api_key", entry.api_key)] if entry.api_key else []
    written += [(f"api_keys[{number}]", key) for number, key in enumerate(entry.api_keys)]
    if written:
        return Choice(tuple(read(text, place) for place, text in written))
    for name in environment_names(entry):
        if environ.get(name, "").strip():
            return Choice((Reference("env", name),))
    if _target(entry).is_loopback or secret_place(entry.headers, entry.query):
        return Choice(())
    return Choice((), f"no API key for {_target(entry).host}")


def credentials(entry: Keyed, environ: Mapping[str, str]) -> list[Credential]:
    """Return the credentials to try for an entry's endpoint, in order.

    Raises CredentialError for a reference without a value, or if there is no key at all.
    """
    choice = choose(entry, environ)
    if choice.missing:
        raise CredentialError(f"entry {entry.entry!r} has {choice.missing}", hint=_where_to_put(entry))
    extras = resolve_extras(entry, environ)
    if not choice.keys:
        source = _source(entry, choice)
        return [Credential(None, source, _audit_id(entry, source), extras)]
    return [
        Credential(key.resolve(entry.entry, environ), key.source, key.audit_id(entry.entry), extras)
        for key in choice.keys
    ]


def source_of(entry: Keyed, environ: Mapping[str, str]) -> str:
    """Return the source of the first credential (`config`, `env:NAME`, `vault:NAME`, `keyring:NAME`, `none`)."""
    return _source(entry, choose(entry, environ))


def _source(entry: Keyed, choice: Choice) -> str:
    if choice.keys:
        return choice.keys[0].source
    place = secret_place(entry.headers, entry.query)
    return place.source if place else "none"


def what_is_missing(entry: Keyed, environ: Mapping[str, str]) -> str:
    """Return why an entry has no credential, or "". Vault and keyring are not opened, only checked for existence."""
    choice = choose(entry, environ)
    if choice.missing:
        return f"{choice.missing}: {_where_to_put(entry)}"
    texts = [text for _, text in (*entry.headers, *entry.query)]
    return next(
        filter(None, (what_is_missing_of(one, environ) for one in (*choice.keys, *map(read, texts)))), ""
    )


def environment_names(entry: Keyed) -> list[str]:
    """Return the environment variables that may contain this entry's key, in order."""
    own = own_variable(entry.entry)
    service = services.of_host(_target(entry).host)
    bound = list(service.variables) if service and service.bearer else []
    bound.sort(key=lambda name: name != own)
    return [own, *bound] if entry.base_url and own not in services.BOUND else bound


@lru_cache(maxsize=64)
def own_variable(entry: str) -> str:
    """Return the variable that is named after an entry."""
    return "".join(c if c.isalnum() else "_" for c in entry.upper()) + "_API_KEY"


def bound_elsewhere(entry: Keyed, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Return a variable that is set but not used here, contrary to what the user may expect, and its only host."""
    for name in dict.fromkeys((own_variable(entry.entry), "OPENAI_API_KEY")):
        owner = next(
            (one for one in (services.OPENAI, *services.SERVICES.values()) if name in one.variables), None
        )
        if owner and environ.get(name, "").strip() and name not in environment_names(entry):
            return name, owner.own_hosts[0]
    return None


def is_openai_host(host: str) -> bool:
    """Tell whether a host is OpenAI's own API."""
    return services.of_host(host) is services.OPENAI


def _target(entry: Keyed) -> Target:
    return parse(entry.endpoint or "")


def _audit_id(entry: Keyed, source: str) -> str:
    return f"config:{entry.entry}.headers" if source == "config" else source


def name_to_export(entry: Keyed) -> str:
    """Return the environment variable to set where an entry has no key; "" if there is none that a shell could set."""
    names = environment_names(entry)
    name = names[0] if names else ""
    service = services.of_host(_target(entry).host)
    if service and name in service.variables:
        name = service.variables[0]  # the one that the service's own pages name
    return "" if name[:1].isdigit() else name


def _where_to_put(entry: Keyed) -> str:
    names = environment_names(entry)
    name = name_to_export(entry)
    first = f"export {name}=... or " if name else ""
    own = own_variable(entry.entry)
    named = (
        f" ({own} goes there only if it says api_key: ${own})" if not names and own in services.BOUND else ""
    )
    from missy.hints import without_a_key

    return f"{first}set api_key in entry {entry.entry!r}{named}; on this machine without a key: {without_a_key()}"
