"""Handing an account over to another machine, for one without a browser (OpenAI's page "Self-hosted VMs").

A refresh token works once, so one machine alone may renew: the one that exports marks the account as handed over before
it writes a byte, and does not use it any more. The one that imports keeps its own host id.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from missy import files
from missy.auth.renewal import LOCK_WAIT
from missy.auth.siwc import store
from missy.auth.siwc.account import BadField, read_account
from missy.errors import CredentialError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from missy.auth.siwc.account import Account

_KIND = "siwc-account"
_LEFT_HERE = ("ext_agent_host_id", "handed_over_at", "label")


def export(
    path: Path, chosen: Callable[[store.Accounts], Account], write: Callable[[bytes], None]
) -> Account:
    """Mark an account as handed over, then write it. If writing fails, it stays with this machine."""
    with files.lock(path, timeout=LOCK_WAIT):
        accounts = store.load(path)
        account = chosen(accounts)
        if not account.access_token:
            raise CredentialError(
                f"{account.label} is signed out: there is nothing to export", hint="missy auth login chatgpt"
            )
        fields = {name: value for name, value in account.as_fields().items() if name not in _LEFT_HERE}
        data = json.dumps({"kind": _KIND, "client_id": account.client_id, **fields}).encode() + b"\n"
        store.save(path, accounts.with_account(replace(account, handed_over_at=time.time())))
        try:
            write(data)
        except BaseException:
            store.save(path, accounts)
            raise
    return account


def take(path: Path, data: bytes, host_id: str) -> Account:
    """Store an account that another machine exported. Raises UsageError for anything else."""
    fields = _read(data)
    client_id = fields.pop("client_id", None)
    if not isinstance(client_id, str) or not store.CLIENT_ID.fullmatch(client_id):
        raise UsageError("that is not an exported account", hint="on the other machine: missy auth export")
    with files.lock(path, timeout=LOCK_WAIT):
        accounts = store.load(path)
        try:
            email = fields.get("email")
            label = accounts.free_label(email if isinstance(email, str) else None, client_id)
            given = {**fields, "ext_agent_host_id": host_id, "label": label}
            account = read_account(client_id, given)
        except BadField as error:
            raise UsageError(
                f"that is not an exported account: {error}", hint="on the other machine: missy auth export"
            ) from None
        known = accounts.known.get(client_id)
        if known is not None and known.subject != account.subject:
            raise CredentialError(
                "the stored account of this registration is another person's; nothing was changed",
                hint="see whose it is: missy auth status",
            )
        store.save(path, accounts.with_account(account))
    return account


def _read(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or value.get("kind") != _KIND:
        raise UsageError("that is not an exported account", hint="on the other machine: missy auth export")
    return {name: found for name, found in value.items() if name != "kind"}
