"""Somebody with a ChatGPT login and a simulator to use it with."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import missy as library
from missy.auth.login import Login, load, new_login, store
from missy.auth.oauth import Tokens
from missy.secrets.redact import Secret
from tests.command import Command
from tests.simulator import BACKEND_ROWS, ISSUER_ROWS, Account, Fault, Faults, Simulator

RESPONSES, MODELS = "/backend-api/codex/responses", "/backend-api/codex/models"
MODEL = "gpt-6.1-sol"  # the default of the simulator's list
CAPTURES = Path(__file__).parents[1] / "captures" / "codex-responses"


def raw(data: bytes, **fault: Any) -> Fault:
    """These very bytes as the answer's stream."""
    return Fault(200, data, {"content-type": "text/event-stream", "x-request-id": "req_raw"}, **fault)


@dataclass
class Outcome:
    """One answer of the library, whole or not: its events up to `error`."""

    events: list[library.Event] = field(default_factory=list)
    error: library.MissyError | None = None

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, library.Text))

    @property
    def code(self) -> int:
        return self.error.exit_code if self.error else 0

    def all(self, kind: type) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


def drain(answer: library.Answer) -> Outcome:
    """Take an answer to its end, whatever that is."""
    outcome = Outcome()
    try:
        outcome.events.extend(answer)
    except library.MissyError as error:
        outcome.error = error
    return outcome


class Planholder:
    """A home with an entry that leads to a simulator, and logins in it: what both kinds of plans have in common."""

    responses: str
    models: str
    token: str
    simulator: Any
    command: Command
    path: Path

    @property
    def backend_faults(self) -> Faults:
        faults: Faults = self.simulator.backend.faults
        return faults

    @property
    def issuer_faults(self) -> Faults:
        faults: Faults = self.simulator.issuer.faults
        return faults

    def ask(self, prompt: Any = "hi", **wishes: Any) -> Outcome:
        """One answer through the library, from an assistant of its own."""
        with library.Missy.open() as missy:
            return drain(missy.ask(prompt, **{"model": self.model, **wishes}))

    @property
    def model(self) -> str:
        raise NotImplementedError

    @property
    def posts(self) -> int:
        """How many answers were asked for."""
        count: int = self.simulator.count(self.responses)
        return count

    @property
    def lists(self) -> int:
        """How often the list of models was asked for."""
        count: int = self.simulator.count(self.models)
        return count

    @property
    def body(self) -> dict[str, Any]:
        """What the last answer was asked for with."""
        posts = [r for r in self.simulator.journal if r.path == self.responses]
        body: dict[str, Any] = posts[-1].json()
        return body


class Subscriber(Planholder):
    """Somebody with a login of the ChatGPT backend."""

    responses, models, token = RESPONSES, MODELS, "/oauth/token"
    model = MODEL
    issuer_rows = ISSUER_ROWS
    rows: ClassVar = {**BACKEND_ROWS, "deactivated-workspace": (BACKEND_ROWS["deactivated-workspace"][0], 4)}

    def __init__(self, command: Command, simulator: Simulator) -> None:
        self.command = command
        self.simulator = simulator
        self.path = command.home / "secrets" / "openai-oauth.json"
        self.set()

    def set(self, network: dict[str, Any] | None = None, **fields: Any) -> None:
        """Write the config; `fields` are the entry's."""
        entry = {"name": "openai-codex", "timeout": 20, "max_retries": 0}
        if self.simulator.proxy is None:
            entry |= {"base_url": self.simulator.base_url, "issuer": self.simulator.issuer_url}
        else:
            network = {"proxy": self.simulator.proxy_url, "ca_bundle": str(self.simulator.ca_bundle)} | (
                network or {}
            )
        self.command.config({"providers": {"openai-codex": {**entry, **fields}}, "network": network or {}})

    def signs_in(self, lifetime: float = 3600.0, account: Account | None = None) -> Login:
        """Store a login whose access token lives this long; the tokens after it live an hour."""
        issuer = self.simulator.issuer
        issuer.lifetime = lifetime
        minted = issuer.sign_in(account)
        issuer.lifetime = 3600.0
        tokens = Tokens(*(Secret(minted[f"{name}_token"]) for name in ("access", "refresh", "id")))
        login = new_login(tokens, self.simulator.issuer_url, time.time())
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        store(self.path, login)
        return login

    @property
    def stored(self) -> Login:
        login = load(self.path)
        assert login is not None
        return login

    def lose_the_way(self) -> None:
        """Lead the entry to where nothing may be sent."""
        self.set(base_url="http://192.0.2.1/x")

    def forget_token(self) -> None:
        """Make the backend refuse the access token that was given out, until there is a new one."""
        for family in self.simulator.issuer.access_tokens.values():
            family.access = ""

    @property
    def canaries(self) -> list[str]:
        """Every token that the issuer ever gave out."""
        return [*self.simulator.issuer.refresh_tokens, *self.simulator.issuer.access_tokens]


def ask_async(holder: Planholder, *prompts: Any, **wishes: Any) -> list[Outcome]:
    """Answers through AsyncMissy, all at once."""

    async def one(missy: library.AsyncMissy, prompt: Any) -> Outcome:
        outcome = Outcome()
        try:
            async for event in missy.ask(prompt, **{"model": holder.model, **wishes}):
                outcome.events.append(event)
        except library.MissyError as failure:
            outcome.error = failure
        return outcome

    async def run() -> list[Outcome]:
        async with library.AsyncMissy.open() as missy:
            return list(await asyncio.gather(*[one(missy, prompt) for prompt in prompts]))

    return asyncio.run(run())
