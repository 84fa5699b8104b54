"""The vault: secrets in one file, each encrypted with ChaCha20-Poly1305 (RFC 8439).

vault.json contains in plain text its id, a generation that grows with every write, and for each name a version (the
generation that wrote it). Each value is authenticated together with the vault's id, its name and its version, so it
cannot be renamed or exchanged for another. A seal over the id, the names and the versions detects an older value that
was put back. It does not detect that the whole file was replaced by an older copy of itself.

The key is in the system keyring, or else in vault.key next to it. A new key is never made for existing data, and a
file that cannot be verified is never overwritten.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

from missy import files, os_errors
from missy.errors import CredentialError, UsageError
from missy.secrets import keystore
from missy.secrets.redact import Secret

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_FORMAT = 1
MAX_SECRET_BYTES = 65536  # bytes of one value
_LIMIT = 1 << 24  # bytes of the whole file
_RESTORE = "restore it from a backup; to start again and lose its secrets, move the vault's files away"


class Vault:
    """The vault of one MISSY_HOME. A lost key or a damaged file raises a CredentialError that names it."""

    def __init__(self, home: Path) -> None:
        self.file: Path = home / "secrets" / "vault.json"
        self.key_file: Path = home / "secrets" / "vault.key"

    def names(self) -> dict[str, int]:
        """Return the names with their versions, sorted; needs no key, so it cannot detect a forged name."""
        body = self._read()
        return {name: entry["version"] for name, entry in sorted(body["secrets"].items())} if body else {}

    def key_place(self) -> str | None:
        """Return where the key is stored, "keyring" or "file"; None if there is no vault yet."""
        body = self._read()
        return body["key"] if body else None

    def get(self, name: str) -> Secret:
        """Return one secret. Raises CredentialError if it does not exist or cannot be verified."""
        check_name(name)
        body = self._read()
        if body is None or name not in body["secrets"]:
            raise self._unknown(name)
        cipher = self._cipher(body)
        self._verify(body, cipher)
        entry = body["secrets"][name]
        value = self._open(cipher, entry, _about(body, name, entry["version"]), f"the value of {name}")
        return Secret(value.decode())

    def set(self, name: str, value: Secret) -> None:
        """Store one secret under a name, replacing an older one. The first secret creates the vault and its key.

        Raises UsageError for a bad name and for a value that is empty or longer than 64 KiB.
        """
        check_name(name)
        data = _encode(value)
        with files.lock(self.file):
            body = self._read()
            if body is None:
                body = self._create()
                cipher = self._cipher(body)
            else:
                cipher = self._cipher(body)
                self._verify(body, cipher)
            version = body["generation"] + 1
            body["secrets"][name] = {"version": version, **_seal(cipher, data, _about(body, name, version))}
            self._write(body, cipher)

    def delete(self, name: str) -> None:
        """Remove one secret. Raises CredentialError if it does not exist."""
        check_name(name)
        with files.lock(self.file):
            body = self._read()
            if body is None or name not in body["secrets"]:
                raise self._unknown(name)
            cipher = self._cipher(body)
            self._verify(body, cipher)
            del body["secrets"][name]
            self._write(body, cipher)

    def _create(self) -> dict[str, Any]:
        """Return an empty vault whose key is already stored: there is never data without its key."""
        body = {
            "format": _FORMAT,
            "id": os.urandom(16).hex(),
            "generation": 0,
            "key": "file",
            "secrets": {},
            "seal": None,
        }
        key = Secret(os.urandom(32).hex())
        if keystore.available():
            try:
                keystore.put(_reference(body), key)
                return {**body, "key": "keyring"}
            except CredentialError:
                pass  # a locked or broken keyring counts as none; key_place() reports it
        try:
            self._read_key_file()  # the key of a vault that was moved away: its backup may be restored
        except os_errors.MissingFile:
            files.write_private(self.key_file, key.reveal().encode() + b"\n")
        return body

    def _cipher(self, body: dict[str, Any]) -> Any:
        if body["key"] == "keyring":
            try:
                key = keystore.get(_reference(body)).reveal()
            except CredentialError as error:
                message = f"the key of {self.file} cannot be read from the system keyring: {error.message}"
                raise CredentialError(message, hint=error.hint) from None
        else:
            try:
                key = self._read_key_file()
            except os_errors.MissingFile:
                raise CredentialError(
                    f"the key of {self.file} is lost: {self.key_file} is missing", hint=_RESTORE
                ) from None
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        return ChaCha20Poly1305(_bytes(key, "the key in the system keyring", 32))

    def _read_key_file(self) -> str:
        text = files.read_private(self.key_file).decode(errors="replace").strip()
        _bytes(text, str(self.key_file), 32)
        return text

    def _verify(self, body: dict[str, Any], cipher: Any) -> None:
        """Verify the seal: refuse a file with a value put back, removed or added, and the key of another vault."""
        self._open(cipher, body["seal"], _about(body), "its seal")

    def _open(self, cipher: Any, sealed: Any, about: bytes, what: str) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            nonce, data = bytes.fromhex(sealed["nonce"]), bytes.fromhex(sealed["sealed"])
            opened: bytes = cipher.decrypt(nonce, data, about)
        except (InvalidTag, ValueError, TypeError, KeyError):
            raise CredentialError(
                f"{self.file} was changed by another program, or its key is the wrong one: {what} does not verify",
                hint=_RESTORE,
            ) from None
        return opened

    def _read(self) -> dict[str, Any] | None:
        try:
            data = files.read_private(self.file, _LIMIT)
        except os_errors.MissingFile:
            return None
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            raise self._damaged("it is not JSON") from None
        if not isinstance(body, dict) or body.get("format") != _FORMAT:
            raise self._damaged(f"it is not in format {_FORMAT}")
        if not _well_formed(body):
            raise self._damaged("a part of it is missing or has the wrong type")
        return body

    def _write(self, body: dict[str, Any], cipher: Any) -> None:
        body["generation"] += 1
        body["seal"] = _seal(cipher, b"", _about(body))
        files.write_private(self.file, json.dumps(body, indent=1).encode() + b"\n")

    def _damaged(self, why: str) -> CredentialError:
        return CredentialError(f"{self.file} is damaged: {why}", hint=_RESTORE)

    def _unknown(self, name: str) -> CredentialError:
        return CredentialError(
            f"the vault has no secret {name}", hint=f"store it with: missy vault set {name}"
        )


def check_name(name: str) -> None:
    """Refuse a name that is not 1 to 128 of A-Z a-z 0-9 _ . - with a UsageError."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:140]!r} cannot name a secret",
            hint="use 1 to 128 letters, digits, dots, dashes, underscores",
        )


def _encode(value: Secret) -> bytes:
    try:
        data = value.reveal().encode()
    except UnicodeEncodeError:
        raise UsageError(
            "the secret is not valid UTF-8", hint="encode it as text first, with base64 say"
        ) from None
    if not data or len(data) > MAX_SECRET_BYTES:
        raise UsageError(
            f"a secret has 1 to {MAX_SECRET_BYTES} bytes; this one has {len(data)}",
            hint="check what was given",
        )
    return data


def _about(body: dict[str, Any], name: str | None = None, version: int | None = None) -> bytes:
    """Return the associated data (RFC 8439) of a value (its name, its version), or of the seal (all of them)."""
    if name is not None:
        return json.dumps(["value", _FORMAT, body["id"], name, version]).encode()
    versions = {name: entry["version"] for name, entry in sorted(body["secrets"].items())}
    return json.dumps(["seal", _FORMAT, body["id"], body["key"], body["generation"], versions]).encode()


def _seal(cipher: Any, data: bytes, about: bytes) -> dict[str, str]:
    nonce = os.urandom(12)
    return {"nonce": nonce.hex(), "sealed": cipher.encrypt(nonce, data, about).hex()}


def _reference(body: dict[str, Any]) -> str:
    return f"{keystore.SCHEME}missy/vault-{body['id']}"


def _bytes(text: str, what: str, length: int) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != length:
        raise CredentialError(
            f"{what} is damaged: it does not contain a key of {length} bytes", hint=_RESTORE
        )
    return data


def _well_formed(body: dict[str, Any]) -> bool:
    secrets = body.get("secrets")
    return (
        type(body["format"]) is int
        and isinstance(body.get("id"), str)
        and re.fullmatch("[0-9a-f]{32}", body["id"]) is not None
        and type(body.get("generation")) is int
        and body.get("key") in ("keyring", "file")
        and "seal" in body
        and isinstance(secrets, dict)
        and all(
            _NAME.fullmatch(name) and isinstance(entry, dict) and type(entry.get("version")) is int
            for name, entry in secrets.items()
        )
    )
