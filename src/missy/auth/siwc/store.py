"""The files of Sign in with ChatGPT: the accounts, the id of this machine, a registration under way.

Each is written as a whole, 0600. The accounts are changed only under their lock, which the caller holds.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

from missy import files, os_errors, paths
from missy.auth.siwc.account import Account, BadField, read_account
from missy.errors import CredentialError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNTS_FILE = "secrets/chatgpt-accounts.json"  # under MISSY_HOME
HOST_FILE = "secrets/chatgpt-host.json"
PENDING_FILE = "secrets/chatgpt-pending.json"
FILE_KIND = "siwc-accounts"
CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
_HOST_ID = re.compile(r"urn:[!-~]{1,300}|did:key:[!-~]{1,300}")
_VERSION = 1


class BrokenAccounts(CredentialError):
    """The file of accounts is invalid. It stays unchanged: only a new sign-in or a logout replaces it."""


class Accounts(NamedTuple):
    """All stored accounts by client id, and the id of the one in use. `extra` are fields of a newer Missy."""

    active: str | None = None
    known: dict[str, Account] = {}  # noqa: RUF012 never changed
    extra: dict[str, Any] = {}  # noqa: RUF012

    def with_account(self, account: Account) -> Accounts:
        """Return a copy with an account added or replaced. The first one is used; no other is unless it is chosen."""
        return self._replace(
            known={**self.known, account.client_id: account},
            active=self.active if self.known else account.client_id,
        )

    def current(self) -> Account | None:
        """Return the account in use."""
        return self.known.get(self.active or "")

    def find(self, name: str) -> Account:
        """Return an account by its label, e-mail or client id. Raises UsageError."""
        for matches in (
            [one for one in self.known.values() if one.label == name],
            [one for one in self.known.values() if one.email == name],
            [one for one in self.known.values() if one.client_id == name],
        ):
            if len(matches) == 1:
                return matches[0]
        labels = ", ".join(one.label for one in self.known.values())
        raise UsageError(
            f"no account '{name}' is signed in",
            hint=f"the accounts are: {labels}" if labels else "there is none",
        )

    def free_label(self, email: str | None, client_id: str) -> str:
        """Return a label that no other account has: the e-mail, and a number where accounts have the same."""
        own = self.known.get(client_id)
        taken = {one.label for one in self.known.values() if one is not own}
        wanted = email or client_id[:16]
        if own is not None and own.label not in taken and own.email == email:
            return own.label
        return next(
            name for name in (wanted, *(f"{wanted}-{n}" for n in range(2, 1000))) if name not in taken
        )


def accounts_file() -> Path:
    """Return where the accounts are kept."""
    return paths.home() / ACCOUNTS_FILE


def load(path: Path) -> Accounts:
    """Read the accounts; none without a file. Raises BrokenAccounts, or MissyError if it cannot be read."""
    try:
        raw = files.read_private(path)
    except os_errors.MissingFile:
        return Accounts()
    try:
        return _parse(json.loads(raw))
    except BadField as error:
        why = str(error)
    except (ValueError, RecursionError):
        why = "it is not JSON"
    raise BrokenAccounts(
        f"the file of accounts {path} is broken: {why}",
        hint="sign in again: missy auth login chatgpt (that replaces the file)",
    )


def save(path: Path, accounts: Accounts) -> None:
    """Write all accounts. The caller holds the lock."""
    fields = {
        "kind": FILE_KIND,
        "version": _VERSION,
        **accounts.extra,
        "active": accounts.active,
        "accounts": {client_id: account.as_fields() for client_id, account in accounts.known.items()},
    }
    files.write_private(path, json.dumps(fields, indent=1).encode() + b"\n")


def host_id() -> str:
    """Return the id of this machine for the issuer, making and saving it first if there is none.

    It is random, tells nothing about the machine or the person, and stays the same for all sign-ins.
    """
    path = paths.home() / HOST_FILE
    with files.lock(path):
        found = files.read_note(path).get("ext_agent_host_id")
        if isinstance(found, str) and _HOST_ID.fullmatch(found):
            return found
        made = f"urn:uuid:{uuid.uuid4()}"
        files.write_private(path, json.dumps({"ext_agent_host_id": made}).encode() + b"\n")
        return made


def pending_client() -> str | None:
    """Return the client id that was issued to a sign-in that has not ended, None without one."""
    found = files.read_note(paths.home() / PENDING_FILE).get("client_id")
    return found if isinstance(found, str) and CLIENT_ID.fullmatch(found) else None


def save_pending(client_id: str) -> None:
    """Save an issued client id, so that a sign-in that fails from here on does not register Missy a second time."""
    files.write_private(paths.home() / PENDING_FILE, json.dumps({"client_id": client_id}).encode() + b"\n")


def clear_pending(client_id: str) -> None:
    """Forget an issued client id: it is stored with its account now."""
    path = paths.home() / PENDING_FILE
    if pending_client() == client_id:
        with os_errors.faults("delete", path):
            os.unlink(path)


def _parse(value: object) -> Accounts:
    if not isinstance(value, dict) or value.get("kind", FILE_KIND) != FILE_KIND:
        raise BadField("it is not a file of accounts")
    known = value.get("accounts")
    if not isinstance(known, dict) or not all(CLIENT_ID.fullmatch(name) for name in known):
        raise BadField("its 'accounts' are missing or wrong")
    active = value.get("active")
    return Accounts(
        active if isinstance(active, str) and active in known else None,
        {client_id: read_account(client_id, fields) for client_id, fields in known.items()},
        {name: found for name, found in value.items() if name not in ("kind", "active", "accounts")},
    )
