"""A simulator, and somebody who is logged in to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command import Command
from tests.providers.chatgpt import Subscriber
from tests.providers.member import Member
from tests.simulator import Simulator
from tests.simulator.siwc import SiwcSimulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as one:
        yield one


@pytest.fixture
def person(missy: Command, simulator: Simulator) -> Subscriber:
    """Logged in for an hour."""
    one = Subscriber(missy, simulator)
    one.signs_in()
    return one


@pytest.fixture
def siwc(tmp_path: Path) -> Iterator[SiwcSimulator]:
    with SiwcSimulator(tmp_path) as one:
        yield one


@pytest.fixture
def member(missy: Command, siwc: SiwcSimulator) -> Member:
    """Signed in with ChatGPT, for an hour."""
    one = Member(missy, siwc)
    one.signs_in()
    return one


@pytest.fixture(params=["person", "member"])
def holder(request: pytest.FixtureRequest) -> Any:
    """Somebody with a plan of either kind, in turn."""
    return request.getfixturevalue(request.param)
