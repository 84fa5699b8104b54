"""The order of the house that no linter contract says: no circle between files, and no large one without a reason."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import missy

grimp = pytest.importorskip("grimp")  # of the import linter, which the oldest dependencies come without

SOURCES = Path(missy.__file__).parent
LONGEST = 300  # lines of a file


def circles(graph: Any) -> Iterator[list[str]]:
    """Yield each set of modules that all reach each other: Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> Iterator[list[str]]:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(graph.find_modules_directly_imported_by(module)):
            if other not in index:
                yield from visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            at = stack.index(module)
            found, stack[at:] = stack[at:], []
            if len(found) > 1:
                yield sorted(found)

    # A chain of imports may be as long as there are modules.
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 10 * len(graph.modules)))
    for module in sorted(graph.modules):
        if module not in index:
            yield from visit(module)


def test_no_file_imports_itself_by_way_of_others():
    """Imports form no circle between files: those in functions and those for types alone count as well."""
    graph = grimp.build_graph("missy", exclude_type_checking_imports=False, cache_dir=None)
    assert len(graph.modules) > 150
    assert list(circles(graph)) == []


def test_a_circle_would_be_found():
    """The search finds a circle of three among modules that are in none."""
    graph = grimp.ImportGraph()
    for pair in (("a", "b"), ("b", "c"), ("c", "d"), ("d", "b"), ("d", "e")):
        graph.add_import(importer=pair[0], imported=pair[1])
    assert list(circles(graph)) == [["b", "c", "d"]]


def test_a_long_file_says_why():
    """No file has more than 300 lines, unless its docstring gives the reason."""
    for path in SOURCES.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > LONGEST:
            assert "One file, since" in (ast.get_docstring(ast.parse(text)) or ""), path


def test_the_table_of_rooms_is_complete():
    """docs/design.md has a row for each package and module of src/missy, and for nothing else."""
    rows = re.findall(
        r"^\| (`.*?) \|",
        (Path(__file__).parents[1] / "docs" / "design.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    told = [name for row in rows for name in re.findall(r"`(\w+)/?`", row)]
    there = {path.stem for path in SOURCES.iterdir() if path.suffix in ("", ".py")}
    assert sorted(told) == sorted(there - {"__init__", "__main__", "__pycache__"})
