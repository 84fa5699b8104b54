"""Signing texts with an Ed25519 key of this MISSY_HOME, in the signed-note format (C2SP signed-note).

The private key is used only in `secrets/` and created on first use. The public key is one word, to be kept together
with the signed texts.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, NamedTuple

from missy import files
from missy.errors import MissyError, UsageError
from missy.os_errors import MissingFile

if TYPE_CHECKING:
    from pathlib import Path

_ED25519 = b"\x01"  # the algorithm's identifier in signed notes
_KEY_ID_BYTES = 4
_NAME = re.compile(r"[!-*,-~]{1,128}")  # visible ASCII except the plus sign
_SIGNATURE = re.compile("\u2014 ([!-~]+) ([!-~]+)")  # begins with an em dash
_PRIVATE = "PRIVATE+KEY+"


class Note(NamedTuple):
    """A text and its signatures: name and bytes of each, not verified."""

    text: str
    signatures: tuple[tuple[str, bytes], ...]


class PublicKey(NamedTuple):
    """A public key, which verifies signatures."""

    name: str
    raw: bytes

    @property
    def id(self) -> bytes:
        """The key id: the first bytes of each signature by this key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.raw).digest()[:_KEY_ID_BYTES]

    def encode(self) -> str:
        """Return the key as one word."""
        return f"{self.name}+{self.id.hex()}+{b64encode(_ED25519 + self.raw).decode()}"

    def has_signed(self, note: Note) -> bool:
        """Tell whether one of the signatures is a valid one by this key."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        for name, signature in note.signatures:
            if name == self.name and signature.startswith(self.id):
                try:
                    Ed25519PublicKey.from_public_bytes(self.raw).verify(
                        signature[_KEY_ID_BYTES:], note.text.encode()
                    )
                except InvalidSignature:
                    continue
                return True
        return False


class SigningKey:
    """The private key. Its `repr` never shows it."""

    def __init__(self, name: str, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public: PublicKey = PublicKey(name, self._key.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """Return the text, which must end with a newline, as a signed note."""
        signature = b64encode(self.public.id + self._key.sign(text.encode())).decode()
        return f"{text}\n\u2014 {self.public.name} {signature}\n"


def load_key(path: Path) -> SigningKey | None:
    """Read the key from a file, None without one. Raises MissyError for an invalid key."""
    try:
        word = files.read_private(path, 4096).decode("ascii", "replace").strip()
    except MissingFile:
        return None
    found = _decode(word.removeprefix(_PRIVATE)) if word.startswith(_PRIVATE) else None
    if found is None:
        raise MissyError(
            f"{path} is not a signing key",
            hint="restore it from a backup, or move it away: a new key is created then, with another identity",
        )
    return SigningKey(*found)


def make_key(path: Path, name: str) -> SigningKey:
    """Read the key from a file; without one, create it, named `name` and some random letters."""
    with files.lock(path):
        if (key := load_key(path)) is not None:
            return key
        seed = os.urandom(32)
        key = SigningKey(f"{name}-{os.urandom(6).hex()}", seed)
        word = f"{_PRIVATE}{key.public.name}+{key.public.id.hex()}+{b64encode(_ED25519 + seed).decode()}\n"
        files.write_private(path, word.encode())
    return key


def parse_public_key(word: str) -> PublicKey:
    """Parse a public key. Raises UsageError."""
    found = _decode(word.strip())
    key = PublicKey(*found) if found else None
    if key is None or key.encode() != word.strip():
        raise UsageError("this is not a public key", hint="it is what `missy audit seal --public-key` prints")
    return key


def parse_note(data: bytes) -> Note | None:
    """Parse a signed note, or return None. A malformed signature is kept as an empty one."""
    try:
        whole = data.decode("utf-8-sig").replace("\r\n", "\n").rstrip("\n") + "\n"
    except UnicodeDecodeError:
        return None
    text, gap, last = whole.rpartition("\n\n")
    found = [_SIGNATURE.fullmatch(line) for line in last.splitlines()]
    if not gap or not found or not all(found):
        return None
    return Note(text + "\n", tuple((match[1], _base64(match[2])) for match in found if match))


def _decode(word: str) -> tuple[str, bytes] | None:
    """Return name and 32 bytes of an encoded key."""
    name, _, rest = word.partition("+")
    data = _base64(rest.partition("+")[2])
    if not _NAME.fullmatch(name) or len(data) != 33 or not data.startswith(_ED25519):
        return None
    return name, data[1:]


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
