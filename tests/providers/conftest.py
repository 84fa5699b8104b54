"""A simulator, and somebody who is logged in to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.command import Command
from tests.providers.chatgpt import Subscriber
from tests.simulator import Simulator


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
