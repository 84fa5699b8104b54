"""The writing: all of a plan, or nothing. It must never leave a key stored for an entry that was not written."""

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
    """Return the configuration as it would be, written nowhere; with `literal`, the keys in it themselves.

    Raises ConfigError or UsageError where `write` would.
    """
    return edit.outcome(path, _change(path, plan, literal=literal), KINDS)


def write(path: Path, plan: Plan) -> bool:
    """Store the keys and write the file; returns whether the file has changed. Raises MissyError.

    When anything fails, Ctrl-C included, the file is as it was and the stores hold what they held.
    """
    outcome(path, plan)  # what cannot be written must show itself before a key is stored
    if not path.parent.exists():
        folders.ensure_dir(path.parent)
    undo: list[Undo] = []
    before = _bytes(path)
    try:
        for draft in plan.secrets:
            undo.append(_keep(draft))  # noqa: PERF401 one that fails must leave those before it in the list
        return edit.edit(path, _change(path, plan), KINDS)
    except BaseException:
        for take_back in reversed(undo) if _bytes(path) == before else ():
            with suppress(MissyError):
                take_back()
        raise


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _change(path: Path, plan: Plan, *, literal: bool = False) -> edit.Change:
    # whether the data is the template's is asked under the file's lock, when another missy may have written it
    def change(data: dict[str, Any]) -> None:
        plan.apply(data, fresh=not path.exists(), literal=literal)

    return change


def _keep(draft: Draft) -> Undo:
    """Store one key; returns what puts back the value that was there before, or none."""
    assert draft.secret is not None
    if draft.store == "keyring":
        reference = f"{keystore.SCHEME}{draft.name}"
        old = _held(lambda: keystore.get(reference))
        keystore.put(reference, draft.secret)
        return lambda: keystore.put(reference, old) if old else keystore.delete(reference)
    vault = Vault(paths.home())
    kept = vault.get(draft.name) if draft.name in vault.names() else None
    vault.set(draft.name, draft.secret)
    return lambda: vault.set(draft.name, kept) if kept else vault.delete(draft.name)


def _held(get: Callable[[], Secret]) -> Secret | None:
    try:
        return get()
    except CredentialError:
        return None


def is_stored(draft: Draft) -> bool:
    """Whether the store holds a key under the entry's name already, which writing would replace."""
    if draft.store == "vault":
        return draft.name in Vault(paths.home()).names()
    if draft.store == "keyring":
        return _held(lambda: keystore.get(f"{keystore.SCHEME}{draft.name}")) is not None
    return False
