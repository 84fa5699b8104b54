"""People with logins of their own, each with the simulator that they came from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from missy.audit import Audit
from missy.net.door import Door
from missy.policy import Endpoint, Policy, Rules
from tests.auth.people import PEOPLE, SiwcPerson, Subscriber
from tests.simulator import Simulator
from tests.simulator.siwc import SiwcSimulator


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def person(secrets: Path) -> Iterator[Subscriber]:
    """Somebody with a login of the ChatGPT backend."""
    one = Subscriber(secrets)
    yield one
    one.close()


@pytest.fixture
def member(secrets: Path) -> Iterator[SiwcPerson]:
    """Somebody who signed in with ChatGPT."""
    one = SiwcPerson(secrets)
    yield one
    one.close()


@pytest.fixture(params=PEOPLE)
def anyone(request: pytest.FixtureRequest, secrets: Path) -> Iterator[Any]:
    """Somebody with a login of either kind, in turn."""
    one = PEOPLE[request.param](secrets)
    yield one
    one.close()


@pytest.fixture
def simulator(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """The simulator of the person in the test, if there is one."""
    if "person" in request.fixturenames:
        yield request.getfixturevalue("person").simulator
        return
    with Simulator() as one:
        yield one


@pytest.fixture
def siwc(member: SiwcPerson) -> SiwcSimulator:
    """The member's simulator."""
    return member.simulator


@pytest.fixture
def door(simulator: Simulator, tmp_path: Path) -> Iterator[Door]:
    endpoints = tuple(Endpoint(url, "codex") for url in (simulator.issuer_url, simulator.base_url))
    one = Door(Policy(Rules(endpoints=endpoints)), Audit(tmp_path / "audit.jsonl"))
    yield one
    one.close()
