"""Somebody who signed in with ChatGPT, and the simulator of it to use the plan with."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from missy.auth.siwc import store
from missy.auth.siwc.account import Account
from missy.auth.siwc.token_reply import read_reply
from tests.command import Command
from tests.providers.chatgpt import Planholder
from tests.simulator.siwc import SiwcSimulator
from tests.simulator.siwc_backend import MODELS, RESPONSES, SIWC_ROWS
from tests.simulator.siwc_issuer import SIWC_ISSUER_ROWS, TOKEN, Person

MODEL = "gpt-6-sol"  # the first of the simulator's list
HOST = "urn:uuid:00000000-0000-4000-8000-000000000000"


class Member(Planholder):
    """A home with an entry of kind chatgpt, and accounts in it."""

    responses, models, token = RESPONSES, MODELS, TOKEN
    model = MODEL
    rows, issuer_rows = SIWC_ROWS, SIWC_ISSUER_ROWS

    def __init__(self, command: Command, simulator: SiwcSimulator) -> None:
        self.command = command
        self.simulator = simulator
        self.path = command.home / "secrets" / "chatgpt-accounts.json"
        self.set()

    def set(self, network: dict[str, Any] | None = None, **fields: Any) -> None:
        """Write the config; `fields` are the entry's."""
        entry = {"name": "chatgpt", "timeout": 20, "max_retries": 0, **fields}
        self.command.config(
            {"providers": {"chatgpt": entry}, "network": {**self.simulator.network, **(network or {})}}
        )

    def signs_in(
        self, lifetime: float = 3600.0, person: Person | None = None, *, add: bool = False, **changes: Any
    ) -> Account:
        """Store an account whose access token lives this long, as the only one or (`add`) beside the one in use.

        The tokens after it live an hour.
        """
        issuer = self.simulator.issuer
        issuer.lifetime = lifetime
        family, minted = issuer.sign_in(person)
        issuer.lifetime = 3600.0
        accounts = store.load(self.path) if add else store.Accounts()
        who = family.person
        label = accounts.free_label(who.email, family.client_id)
        fresh = Account(family.client_id, label, who.subject, HOST, who.email, welcomed=True)
        account = replace(fresh.with_reply(read_reply(minted, time.time()), None), **changes)
        if lifetime <= 0:
            account = replace(account, expires_at=time.time() + lifetime)
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        store.save(self.path, accounts.with_account(account))
        return account

    @property
    def stored(self) -> Account:
        account = store.load(self.path).current()
        assert account is not None
        return account

    def lose_the_way(self) -> None:
        """Lead the entry to where nobody listens."""
        self.set(network={"proxy": "http://127.0.0.1:9"})

    def forget_token(self) -> None:
        """Make the backend refuse the access token that was given out, as one that has expired."""
        for family in self.simulator.issuer.access_tokens.values():
            family.earliest = 0.0

    @property
    def canaries(self) -> list[str]:
        """Every token that the issuer ever gave out, and every code."""
        issuer = self.simulator.issuer
        return [*issuer.families, *issuer.access_tokens, *issuer.codes]
