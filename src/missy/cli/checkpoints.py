"""Checkpoints of the record: made and signed for `audit seal`, read and checked for `audit verify`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from missy import paths
from missy.cli.piped_stdin import read_bytes
from missy.errors import UsageError

if TYPE_CHECKING:
    from missy.audit.checkpoint import Checkpoint
    from missy.audit.verifier import Report
    from missy.secrets.signing import Note, SigningKey

KEY_FILE = "secrets/audit-key"  # under MISSY_HOME
_KEY_NAME = "missy-audit"
_MAX_CHECKPOINT_BYTES = 1 << 16


def signing_key() -> SigningKey:
    """Return the key that signs checkpoints. It is made on first use."""
    from missy.secrets.signing import make_key

    return make_key(paths.home() / KEY_FILE, _KEY_NAME)


def make_checkpoint(report: Report) -> dict[str, Any]:
    """Return the fields of `seal --json` for a record without problems: the signed checkpoint and its contents."""
    from missy.audit.chain import GENESIS, Link
    from missy.audit.checkpoint import Checkpoint

    key = signing_key()
    link = Link(report.seq, report.head or GENESIS)
    text = key.sign(Checkpoint(key.public.name, link).text())
    return {
        "origin": key.public.name,
        "lines": link.seq,
        "hash": link.hash,
        "public_key": key.public.encode(),
        "checkpoint": text,
    }


def read_checkpoint(source: str, public_key: str | None) -> tuple[Checkpoint, str]:
    """Return the checkpoint in a file, or on stdin for `-`, and what is wrong with its signature ('' for nothing).

    Raises UsageError if it is not a checkpoint.
    """
    from missy.audit.checkpoint import parse_checkpoint
    from missy.secrets.signing import parse_note

    note = parse_note(_unwrap(_read(source)))
    checkpoint = parse_checkpoint(note.text) if note else None
    if note is None or checkpoint is None:
        where = "stdin" if source == "-" else source
        raise UsageError(f"{where} is no checkpoint", hint="it is what `missy audit seal` prints")
    return checkpoint, _check_signer(note, checkpoint, public_key)


def _check_signer(note: Note, checkpoint: Checkpoint, public_key_text: str | None) -> str:
    from missy.secrets.signing import load_key, parse_public_key

    key = load_key(paths.home() / KEY_FILE) if public_key_text is None else None
    public = parse_public_key(public_key_text) if public_key_text is not None else key.public if key else None
    if public is None:
        return f"there is no key in {KEY_FILE} to check the checkpoint with: name the one noted with --public-key"
    if checkpoint.origin != public.name:
        return f"the checkpoint is of another record: it says {checkpoint.origin}, the key {public.name}"
    if not public.has_signed(note):
        return "the signature of the checkpoint does not fit: it was changed, or another key signed it"
    return ""


def _read(source: str) -> bytes:
    if source == "-":
        data = read_bytes(_MAX_CHECKPOINT_BYTES + 1)
    else:
        try:
            with open(paths.expand(source), "rb") as file:
                data = file.read(_MAX_CHECKPOINT_BYTES + 1)
        except OSError as error:
            raise UsageError(
                f"{source} cannot be read: {error.strerror}", hint="--checkpoint takes a file, or - for stdin"
            ) from None
    return data if len(data) <= _MAX_CHECKPOINT_BYTES else b""


def _unwrap(data: bytes) -> bytes:
    """Return the text of a checkpoint; accepts the output of `seal --json` too."""
    if not data.lstrip().startswith(b"{"):
        return data
    try:
        return str(json.loads(data)["checkpoint"]).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        return b""
