"""References to secrets in the configuration: `$ENV_VAR`, `vault://NAME`, `keyring://NAME`, or a literal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from missy.charset import is_visible_ascii
from missy.errors import CredentialError
from missy.secrets.redact import Secret
from missy.secrets.shape import refuse_slips

if TYPE_CHECKING:
    from collections.abc import Mapping


class Reference(NamedTuple):
    """Where a secret is stored: `kind` is config, env, vault or keyring; `name` is its name there.

    `place` is the configuration key with the reference, "" without one. `text` is the literal for kind config;
    `prefix` is sent before the secret, for example "Bearer ".
    """

    kind: str
    name: str = ""
    place: str = ""
    text: str = ""
    prefix: str = ""

    @property
    def source(self) -> str:
        """The source of the secret, for messages."""
        return self.kind if self.kind == "config" else f"{self.kind}:{self.name}"

    def audit_id(self, entry: str) -> str:
        """Return the name that identifies it in the audit."""
        return f"config:{entry}.{self.place}" if self.kind == "config" else self.source

    def look_up(self, entry: str, environ: Mapping[str, str]) -> str:
        """Return the stored text of the secret. Raises CredentialError."""
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
        """Return the key. Raises CredentialError if it is missing or malformed."""
        value = self.look_up(entry, environ)
        place = f"{self.place} of entry {entry!r}" if self.kind == "config" else _shown(self)
        refuse_slips(value, place)
        # A key is sent in a header: other characters than visible ASCII would break the header or inject another.
        if not is_visible_ascii(value):
            raise CredentialError(
                f"the key from {place} contains characters that no key has", hint="copy it again, on one line"
            )
        return Secret(value)


def read(text: str, place: str = "") -> Reference:
    """Parse a value of the file. One word and a space may precede a reference: `Bearer $TOKEN`."""
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
    """Return why a reference cannot be resolved, as far as can be told without opening a store; or ""."""
    if one.kind == "env" and not environ.get(one.name, "").strip():
        return f"the variable {one.name} is not set"
    if one.kind == "vault" and not _in_vault(one.name):
        return f"the vault has no {one.name}: missy vault set {one.name}"
    return ""


def _shown(one: Reference) -> str:
    """Return where a secret is stored as the user wrote it: `$NAME` only if the configuration refers to it."""
    if one.kind != "env":
        return one.source
    return f"${one.name}" if one.place else one.name


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
