from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.command import Command


@pytest.fixture
def entry_at(missy: Command) -> Callable[[str], object]:
    """Write a configuration with one entry at a URL, without retries."""
    return missy.entry
