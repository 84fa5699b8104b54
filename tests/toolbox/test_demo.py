"""The demonstration of the tools runs to its end."""

from __future__ import annotations

import sys

import pytest

from tests.command import SAFETY


@pytest.mark.slow
def test_the_demonstration_works(home):
    """`make demo-tools` asks, gets its answers, changes a file and takes it back: exit 0."""
    import subprocess

    done = subprocess.run(
        [sys.executable, "-m", "tests.toolbox.demo"],
        capture_output=True,
        text=True,
        timeout=SAFETY,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "-France: Pariss" in done.stdout
    assert "allow it?" in done.stdout
    assert "no line was changed" in done.stdout
