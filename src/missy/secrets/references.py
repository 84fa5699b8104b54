"""A value of the file that is a secret or names one: `$ENV_VAR`, `vault://NAME`, `keyring://NAME`, or itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from missy.errors import CredentialError
from missy.secrets.redact import Secret
from missy.secrets.shape import refuse_slips

if TYPE_CHECKING:
    from collections.abc import Mapping


class Reference(NamedTuple):
    """Where one secret is kept: `kind` is config, env, vault or keyring; `name` is its name there.

    `place` is the key of the entry that says so, "" where nothing does. `text` is the literal of kind config;
    `prefix` is a word that is sent before the secret, "Bearer " say.
    """

    kind: str
    name: str = ""
    place: str = ""
    text: str = ""
    prefix: str = ""

    @property
    def source(self) -> str:
        """Where it comes from, as users are told."""
        return self.kind if self.kind == "config" else f"{self.kind}:{self.name}"

    def audit_id(self, entry: str) -> str:
        """Return the name that stands for it in the record."""
        return f"config:{entry}.{self.place}" if self.kind == "config" else self.source

    def look_up(self, entry: str, environ: Mapping[str, str]) -> str:
        """Return the secret's text as it is kept. Raises CredentialError."""
        if self.kind == "config":
            return self.text
        if self.kind == "env":
            value = environ.get(self.name, "").strip()
            if not value:
                raise CredentialError(
                    f"{self.place} of entry {entry!r} is ${self.name}, and that variable is not set",
                    hint=f"export {self.name}=...",
                )
            return value
        return _stored(self.kind, self.name).reveal()

    def resolve(self, entry: str, environ: Mapping[str, str]) -> Secret:
        """Return the key. Raises CredentialError where there is none, or it cannot be one."""
        value = self.look_up(entry, environ)
        place = f"{self.place} of entry {entry!r}" if self.kind == "config" else _shown(self)
        refuse_slips(value, place)
        # A key goes into a header: anything but visible ASCII would break it, or split it in two.
        if not value.isascii() or not value.isprintable() or " " in value:
            raise CredentialError(
                f"the key from {place} holds characters that no key has", hint="copy it again, on one line"
            )
        return Secret(value)


def read(text: str, place: str = "") -> Reference:
    """Read a value of the file. One word and a blank may stand before a reference: `Bearer $TOKEN`."""
    word, blank, rest = text.partition(" ")
    if blank and word.isalpha() and _kind(rest) != "config":
        return read(rest, place)._replace(prefix=f"{word} ")
    kind = _kind(text)
    if kind == "env":
        return Reference("env", text[1:].strip("{}"), place)
    if kind == "config":
        return Reference("config", "", place, text)
    return Reference(kind, text.partition("://")[2], place)


def _kind(text: str) -> str:
    if text.startswith("$"):
        return "env"
    scheme, found, _ = text.partition("://")
    return scheme if found and scheme in ("vault", "keyring") else "config"


def what_is_missing_of(one: Reference, environ: Mapping[str, str]) -> str:
    """Say why a reference would resolve to nothing, as far as can be told without opening a store; or ""."""
    if one.kind == "env" and not environ.get(one.name, "").strip():
        return f"the variable {one.name} is not set"
    if one.kind == "vault" and not _in_vault(one.name):
        return f"the vault has no {one.name}: missy vault set {one.name}"
    return ""


def _shown(one: Reference) -> str:
    return (
        f"${one.name}" if one.kind == "env" and one.place else one.name if one.kind == "env" else one.source
    )


def _in_vault(name: str) -> bool:
    from missy import paths
    from missy.secrets.vault import Vault

    return name in Vault(paths.home()).names()


def _stored(kind: str, name: str) -> Secret:
    if kind == "vault":
        from missy import paths
        from missy.secrets.vault import Vault

        return Vault(paths.home()).get(name)
    from missy.secrets.keystore import get

    return get(f"keyring://{name}")
