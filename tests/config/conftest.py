"""A config file that is written and loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from missy.config.schema import Config
from tests.configuration import load


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., Config]:
    """Write text or bytes to a file of the given mode and load it."""

    def write(text: str | bytes, mode: int = 0o600) -> Config:
        file = tmp_path / "config.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        file.chmod(mode)
        return load(file)

    return write
