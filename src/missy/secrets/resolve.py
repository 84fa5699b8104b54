"""Which credential an endpoint gets, and from where. It reads; it never prints, stores or sends.

A credential belongs to a host: OPENAI_API_KEY is for OpenAI's own hosts and goes nowhere else unless the user's entry
says so in words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.errors import CredentialError
from missy.secrets.redact import Secret
from missy.secrets.shape import refuse_slips

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OPENAI_HOST = "api.openai.com"


class Credential:
    """One key and where it came from. `id` names it in the audit; it is never derived from the key itself."""

    __slots__ = ("id", "secret", "source")

    def __init__(self, secret: Secret | None, source: str, id: str) -> None:  # noqa: A002
        self.secret = secret
        self.source = source
        self.id = id


def is_openai_host(host: str) -> bool:
    """Tell whether a host is OpenAI's own API."""
    return host == OPENAI_HOST or host.endswith("." + OPENAI_HOST)


def credentials(
    entry: str,
    *,
    api_key: str | None,
    api_keys: Sequence[str],
    host: str,
    loopback: bool,
    environ: Mapping[str, str],
) -> list[Credential]:
    """Return the credentials to try for an entry's endpoint, in order.

    `host` is the endpoint's canonical host; `loopback` says that it is this machine, which may need no key.
    Raises CredentialError where a reference resolves to nothing, or there is no key at all.
    """
    references = ([("api_key", api_key)] if api_key else []) + [
        (f"api_keys[{number}]", key) for number, key in enumerate(api_keys)
    ]
    if references:
        return [_resolve(entry, place, text, environ) for place, text in references]
    for name in environment_names(entry, host):
        value = environ.get(name, "").strip()
        if value:
            return [Credential(_checked(value, name), f"env:{name}", f"env:{name}")]
    if loopback:
        return [Credential(None, "none", "none")]
    raise CredentialError(f"entry {entry!r} has no API key for {host}", hint=_where_to_put(entry, host))


def source_of(
    entry: str, *, api_key: str | None, api_keys: Sequence[str], host: str, environ: Mapping[str, str]
) -> str:
    """Say where the first credential comes from (`config`, `env:NAME`, `vault:NAME`, `keyring:NAME`, `none`)."""
    for text in ([api_key] if api_key else []) + list(api_keys):
        return _source(text)
    for name in environment_names(entry, host):
        if environ.get(name, "").strip():
            return f"env:{name}"
    return "none"


def what_is_missing(
    entry: str,
    *,
    api_key: str | None,
    api_keys: Sequence[str],
    host: str,
    loopback: bool,
    environ: Mapping[str, str],
) -> str:
    """Say why an entry has no credential, or "". Opens no vault and asks no keyring: it looks whether they are there."""
    for text in ([api_key] if api_key else []) + list(api_keys):
        kind, _, name = _source(text).partition(":")
        if kind == "env" and not environ.get(name, "").strip():
            return f"the variable {name} is not set"
        if kind == "vault" and not _in_vault(name):
            return f"the vault has no {name}: missy vault set {name}"
    if (
        api_key
        or api_keys
        or loopback
        or source_of(entry, api_key=None, api_keys=(), host=host, environ=environ) != "none"
    ):
        return ""
    return f"no API key for {host}: {_where_to_put(entry, host)}"


def _in_vault(name: str) -> bool:
    from missy import paths
    from missy.secrets.vault import Vault

    return name in Vault(paths.home()).names()


def environment_names(entry: str, host: str) -> list[str]:
    """Return the environment variables that may hold this entry's key, in order."""
    own = "".join(c if c.isalnum() else "_" for c in entry.upper()) + "_API_KEY"
    names = [own] if own != "OPENAI_API_KEY" else []
    return [*names, "OPENAI_API_KEY"] if is_openai_host(host) else names


def _source(text: str) -> str:
    if text.startswith("$"):
        return f"env:{text[1:].strip('{}')}"
    scheme, found, name = text.partition("://")
    return f"{scheme}:{name}" if found and scheme in {"vault", "keyring"} else "config"


def _resolve(entry: str, place: str, text: str, environ: Mapping[str, str]) -> Credential:
    source = _source(text)
    kind, _, name = source.partition(":")
    if kind == "config":
        return Credential(_checked(text, f"{place} of entry {entry!r}"), "config", f"config:{entry}.{place}")
    if kind == "env":
        value = environ.get(name, "").strip()
        if not value:
            raise CredentialError(
                f"{place} of entry {entry!r} is ${name}, and that variable is not set",
                hint=f"export {name}=...",
            )
        return Credential(_checked(value, f"${name}"), source, source)
    return Credential(_checked(_stored(kind, name).reveal(), source), source, source)


def _stored(kind: str, name: str) -> Secret:
    if kind == "vault":
        from missy import paths
        from missy.secrets.vault import Vault

        return Vault(paths.home()).get(name)
    from missy.secrets.keystore import get

    return get(f"keyring://{name}")


def _checked(value: str, place: str) -> Secret:
    """A key goes into a header: anything but visible ASCII would break it, or split it in two."""
    refuse_slips(value, place)
    if not value.isascii() or not value.isprintable() or " " in value:
        raise CredentialError(
            f"the key from {place} holds characters that no key has", hint="copy it again, on one line"
        )
    return Secret(value)


def _where_to_put(entry: str, host: str) -> str:
    names = environment_names(entry, host)
    can_export = names and not names[0][0].isdigit()  # no shell takes a name that begins with a digit
    first = f"export {names[0]}=... or " if can_export else ""
    from missy.hints import without_a_key

    return f"{first}set api_key in entry {entry!r}; on this machine without a key: {without_a_key()}"
