"""Where the record of a test is."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def path(home: Path) -> Path:
    """Where the audit will be."""
    return home / "audit.jsonl"
