"""A simulator, a door that leads to it, and logins in a folder of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from missy.audit import Audit
from missy.auth.login import Login, load, new_login, store
from missy.auth.oauth import Tokens
from missy.auth.tokens import Logins
from missy.net.door import Door
from missy.policy import Endpoint, Policy, Rules
from missy.secrets.redact import Secret
from tests.simulator import Account, Simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as one:
        yield one


@pytest.fixture
def door(simulator: Simulator, tmp_path: Path) -> Iterator[Door]:
    endpoints = tuple(Endpoint(url, "codex") for url in (simulator.issuer_url, simulator.base_url))
    one = Door(Policy(Rules(endpoints=endpoints)), Audit(tmp_path / "audit.jsonl"))
    yield one
    one.close()


class Person:
    """Somebody with a login file, and whatever their `missy` told them."""

    def __init__(self, simulator: Simulator, door: Door, path: Path) -> None:
        self.simulator = simulator
        self.door = door
        self.path = path
        self.told: list[str] = []

    def signs_in(self, lifetime: float = 3600.0, account: Account | None = None, **changes: Any) -> Login:
        """Store a login whose access token lives this long; the tokens after it live an hour."""
        self.simulator.issuer.lifetime = lifetime
        minted = self.simulator.issuer.sign_in(account)
        self.simulator.issuer.lifetime = 3600.0
        tokens = Tokens(*(Secret(minted[f"{name}_token"]) for name in ("access", "refresh", "id")))
        login = new_login(tokens, self.simulator.issuer_url, time.time())
        for name, value in changes.items():
            object.__setattr__(login, name, value)
        store(self.path, login)
        return login

    def logins(self, clock: Callable[[], float] = time.time) -> Logins:
        return Logins(
            self.path, self.door, self.simulator.issuer_url, "codex", notice=self.told.append, clock=clock
        )

    @property
    def stored(self) -> Login | None:
        return load(self.path)


@pytest.fixture
def person(simulator: Simulator, door: Door, tmp_path: Path) -> Person:
    (tmp_path / "secrets").mkdir(mode=0o700)
    return Person(simulator, door, tmp_path / "secrets" / "openai-oauth.json")
