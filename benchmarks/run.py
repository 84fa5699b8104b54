"""How fast Missy is, beside others, in one run: `python benchmarks/run.py` (or `make bench`).

Prints the table, and writes benchmarks/results.json and docs/performance.svg. All cases run in turn, round after round,
so that what else the machine does meets all of them alike; read the ratios. It needs no network and no key.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from pathlib import Path

import chart
import report
from process import HERE, Failed, Mock
from scenarios import World, cases, soaks


def main() -> int:
    """Run the rounds, print the table, write the results. Returns 1 when a target is missed and --check is given."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="missy-bench-") as folder, Mock() as mock:
        world = World(Path(folder), mock)
        results = measure(world, options)
    records = report.tabulate(results)
    print(report.show(records))
    if not options.only and not options.quick:
        machine = {
            "python": platform.python_version(),
            "system": platform.platform(),
            "rounds": options.rounds,
        }
        value = {"machine": machine, "table": records, "results": results}
        (HERE / "results.json").write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
        (HERE.parent / "docs" / "performance.svg").write_text(chart.draw(results), encoding="utf-8")
    return int(options.check and any(record.get("met") is False for record in records))


def measure(world: World, options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Run every case once in each round, after one that only fills the caches. Return case -> figure -> values."""
    results: dict[str, dict[str, list[float]]] = {}
    chosen = {
        name: case for name, case in cases(world, 10 if options.quick else 1).items() if options.only in name
    }
    for number in range(options.rounds + 1):
        _say(f"round {number} of {options.rounds}" if number else "warming up")
        for name, case in chosen.items():
            if number or " ask" in name or "-" in name:
                _note(results, name, case, keep=number > 0)
    if not options.quick:
        _say("a million chunks")
        for name, case in soaks(world).items():
            if options.only in name:
                _note(results, name, case, keep=True)
    return results


def _note(results: dict[str, dict[str, list[float]]], name: str, case, *, keep: bool) -> None:
    """Run one case and keep its figures. One that fails is said and left out."""
    try:
        figures = case()
    except Failed as error:
        _say(f"{name} failed: {error}")
        return
    for figure, value in figures.items() if keep else ():
        results.setdefault(name, {}).setdefault(figure, []).append(round(value, 3))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each case is run (7; quick: 2)")
    parser.add_argument(
        "--quick", action="store_true", help="a short run, to see that all works; writes nothing"
    )
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="only the cases with this in their name; writes nothing"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 7)
    return options


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
