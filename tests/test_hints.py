"""Hints that say how to install what is missing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from missy import hints
from tests.batch.conftest import crowd, prompts  # noqa: F401


def test_the_extras_of_hints_are_those_of_the_package():
    """A hint names the same packages and bounds as pyproject.toml."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert {name: list(packages) for name, packages in hints.EXTRAS.items()} == project[
        "optional-dependencies"
    ]


@pytest.mark.parametrize("given", [("in.parquet",), ("in.jsonl", "-o", "out.parquet")])
def test_parquet_without_its_package_is_refused_before_anything_is_sent(missy, crowd, prompts, given):  # noqa: F811
    """Exit 2 names the package to install, never this project's name, and no row was asked."""
    server = crowd()
    missy.entry(server.url)
    folder = prompts(3).parent
    (folder / "in.parquet").write_bytes(b"PAR1")
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['pyarrow'] = None\n")
    paths = [one if one == "-o" else str(folder / one) for one in given]
    ran = missy("batch", "run", *paths, env={"PYTHONPATH": str(folder)})
    assert ran.code == 2
    assert "pyarrow" in ran.err
    assert "missy[" not in ran.err
    assert server.requests == 0
