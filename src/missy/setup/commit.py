"""Writes a plan: all of it, or nothing. It must never leave a stored key for an entry that was not written."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from missy import folders, paths
from missy.config import edit
from missy.errors import CredentialError, MissyError
from missy.kinds import KINDS
from missy.secrets import keystore
from missy.secrets.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from missy.config.schema import Config
    from missy.secrets.redact import Secret
    from missy.setup.plan import Draft, Plan

    Undo = Callable[[], None]


def outcome(path: Path, plan: Plan, *, literal: bool = False) -> Config:
    """Return the configuration that a plan would make, without writing it; with `literal`, keys in place of references.

    Raises ConfigError or UsageError if `write` would.
    """
    return edit.outcome(path, _change(path, plan, literal=literal), KINDS)


def write(path: Path, plan: Plan) -> bool:
    """Store the keys and write the file; returns whether the file has changed. Raises MissyError.

    If anything fails, Ctrl-C included, the file and the stores are as they were before.
    """
    outcome(path, plan)  # raises, before a key is stored, if the plan cannot be written
    if not path.parent.exists():
        folders.ensure_dir(path.parent)
    undo: list[Undo] = []
    before = _read_if_exists(path)
    try:
        for draft in plan.secrets:
            undo.append(_store_key(draft))  # noqa: PERF401 if one fails, those before it must be in the list
        return edit.edit(path, _change(path, plan), KINDS)
    except BaseException:
        for take_back in reversed(undo) if _read_if_exists(path) == before else ():
            with suppress(MissyError):
                take_back()
        raise


def _read_if_exists(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _change(path: Path, plan: Plan, *, literal: bool = False) -> edit.Change:
    # the lock is held when `change` runs, so that no other process can make the file in between
    def change(data: dict[str, Any]) -> None:
        plan.apply(data, fresh=not path.exists(), literal=literal)

    return change


def _store_key(draft: Draft) -> Undo:
    """Store one key. Returns the function that restores the earlier value, or removes the key if there was none."""
    assert draft.secret is not None
    if draft.store == "keyring":
        reference = f"{keystore.SCHEME}{draft.name}"
        old = _stored_key(lambda: keystore.get(reference))
        keystore.put(reference, draft.secret)
        return lambda: keystore.put(reference, old) if old else keystore.delete(reference)
    vault = Vault(paths.home())
    kept = vault.get(draft.name) if draft.name in vault.names() else None
    vault.set(draft.name, draft.secret)
    return lambda: vault.set(draft.name, kept) if kept else vault.delete(draft.name)


def _stored_key(get: Callable[[], Secret]) -> Secret | None:
    try:
        return get()
    except CredentialError:
        return None


def is_stored(draft: Draft) -> bool:
    """Whether the store already holds a key with the name of the entry, which writing would replace."""
    if draft.store == "vault":
        return draft.name in Vault(paths.home()).names()
    if draft.store == "keyring":
        return _stored_key(lambda: keystore.get(f"{keystore.SCHEME}{draft.name}")) is not None
    return False
