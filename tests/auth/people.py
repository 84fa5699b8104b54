"""Somebody with a stored login, of either kind, and the simulator that gave it: what the batteries of every login need."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from missy.audit import Audit
from missy.auth.login import Login, new_login
from missy.auth.oauth import Tokens
from missy.auth.renewal import Renewals
from missy.auth.siwc import store as siwc_store
from missy.auth.siwc.account import Account as Member
from missy.auth.siwc.renewal import PlanLogins
from missy.auth.siwc.token_reply import read_reply
from missy.auth.tokens import Logins
from missy.net.door import Door
from missy.policy import Endpoint, Policy, Rules
from missy.secrets.redact import Secret
from tests.auth.place import Where, read_at, write_at
from tests.simulator import Account, Faults, Simulator
from tests.simulator.siwc import HOSTS, SiwcSimulator
from tests.simulator.siwc_issuer import TOKEN


def logins_at(
    where: Where, notice: Callable[[str], None] = print, clock: Callable[[], float] = time.time
) -> tuple[Door, Renewals[Any, Any]]:
    """Return the logins of a place, as a fresh command would make them, and their door."""
    path = Path(where["path"])
    urls = where.get("urls") or [f"https://{host}" for host in HOSTS]
    rules = Rules(endpoints=tuple(Endpoint(url, "codex") for url in urls))
    audit = Audit(path.parent.parent / "audit.jsonl")
    door = Door(Policy(rules), audit, proxy=where.get("proxy"), ca_bundle=where.get("ca_bundle"))
    if where["kind"] == "siwc":
        return door, PlanLogins(path, door, "codex", notice=notice, clock=clock)
    return door, Logins(path, door, where["urls"][0], "codex", notice=notice, clock=clock)


class Person:
    """Somebody with a login file, and whatever their `missy` told them."""

    where: Where
    faults: Faults  # of the issuer
    token_path: str

    def __init__(self) -> None:
        self.told: list[str] = []
        self._doors: list[Door] = []

    def logins(self, clock: Callable[[], float] = time.time) -> Any:
        """Return the logins of a process of their own."""
        door, logins = logins_at(self.where, self.told.append, clock)
        self._doors.append(door)
        return logins

    @property
    def path(self) -> Path:
        return Path(self.where["path"])

    @property
    def stored(self) -> Any:
        """The login as it is on the disk."""
        return read_at(self.where)

    def store(self, login: Any) -> None:
        """Put a login on the disk."""
        write_at(self.where, login)

    def close(self) -> None:
        for door in self._doors:
            door.close()

    def owns(self, refresh: Secret) -> bool:
        """Tell whether a refresh token is the one that counts at the issuer."""
        raise NotImplementedError


class Subscriber(Person):
    """A login of the ChatGPT backend."""

    token_path = "/oauth/token"
    expired_words = frozenset({"TokenRefused: the login has expired"})

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.simulator = Simulator()
        self.faults = self.simulator.issuer_faults
        urls = [self.simulator.issuer_url, self.simulator.base_url]
        self.where = {"kind": "codex", "path": str(folder / "openai-oauth.json"), "urls": urls}

    def signs_in(self, lifetime: float = 3600.0, account: Account | None = None, **changes: Any) -> Login:
        """Store a login whose access token lives this long; the tokens after it live an hour."""
        self.simulator.issuer.lifetime = lifetime
        minted = self.simulator.issuer.sign_in(account)
        self.simulator.issuer.lifetime = 3600.0
        tokens = Tokens(*(Secret(minted[f"{name}_token"]) for name in ("access", "refresh", "id")))
        login = new_login(tokens, self.simulator.issuer_url, time.time())
        for name, value in changes.items():
            object.__setattr__(login, name, value)
        self.store(login)
        return login

    def other_tokens(self, login: Login) -> Login:
        """Return the login with other tokens, as after a renewal."""
        return replace(login, refresh_token=Secret("rt_" + "0" * 32), last_refresh=5.0)

    def renewed_elsewhere(self, login: Login) -> Login:
        """Renew behind everybody's back, as another client would."""
        family = self.simulator.issuer.refresh_tokens[login.refresh_token.reveal()]
        self.simulator.issuer.dead[login.refresh_token.reveal()] = "refresh_token_reused"
        minted = self.simulator.issuer._mint(family)
        tokens = Tokens(*(Secret(minted[f"{name}_token"]) for name in ("access", "refresh", "id")))
        return login.renewed(tokens, time.time())

    def expire(self, login: Login) -> None:
        self.simulator.issuer.expire(login.refresh_token.reveal())

    def owns(self, refresh: Secret) -> bool:
        return self.simulator.issuer.refresh_tokens[refresh.reveal()].refresh == refresh.reveal()

    def close(self) -> None:
        super().close()
        self.simulator.close()

    def shut_issuer(self) -> None:
        self.simulator.issuer_origin.close()


class SiwcPerson(Person):
    """An account that signed in with ChatGPT."""

    token_path = TOKEN
    expired_words = frozenset(
        {
            "TokenRefused: the sign-in has expired",
            "CredentialError: ada@example.com is signed out: the sign-in has expired",
        }
    )

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.simulator = SiwcSimulator(folder)
        self.faults = self.simulator.issuer.faults
        self.where = {"kind": "siwc", "path": str(folder / "chatgpt-accounts.json"), **self.simulator.network}

    def signs_in(self, lifetime: float = 3600.0, **changes: Any) -> Member:
        """Store the only account; its access token lives this long, the tokens after it live an hour."""
        self.simulator.issuer.lifetime = lifetime
        family, minted = self.simulator.issuer.sign_in()
        self.simulator.issuer.lifetime = 3600.0
        host = "urn:uuid:00000000-0000-4000-8000-000000000000"
        fresh = Member(
            family.client_id, family.person.email, family.person.subject, host, family.person.email
        )
        account = replace(fresh.with_reply(read_reply(minted, time.time()), None), **changes)
        if lifetime <= 0:
            account = replace(account, expires_at=time.time() + lifetime)
        siwc_store.save(self.path, siwc_store.Accounts().with_account(account))
        return account

    def other_tokens(self, login: Member) -> Member:
        """Return the account with other tokens, as after a renewal."""
        return replace(login, refresh_token=Secret("rt_" + "0" * 32), saved_at=5.0)

    def renewed_elsewhere(self, login: Member) -> Member:
        """Renew behind everybody's back, as another client would."""
        issuer = self.simulator.issuer
        issuer.spent.add(login.refresh_token.reveal())
        minted = issuer._mint(issuer.families[login.refresh_token.reveal()])
        return login.with_reply(read_reply(minted, time.time()), None)

    def expire(self, login: Member) -> None:
        self.simulator.issuer.end(login.refresh_token.reveal(), "refresh_token_expired")

    def owns(self, refresh: Secret) -> bool:
        return self.simulator.issuer.families[refresh.reveal()].refresh == refresh.reveal()

    def close(self) -> None:
        super().close()
        self.simulator.close()

    def shut_issuer(self) -> None:
        self.simulator.issuer_origin.close()


PEOPLE: dict[str, Callable[[Path], Any]] = {"codex": Subscriber, "siwc": SiwcPerson}
