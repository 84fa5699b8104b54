"""Six processes that open a database which is not there yet, all at one moment; again and again: `opener.py FOLDER ROUNDS`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

PROCESSES = 6


def open_it(path: Path) -> int:
    """Open it and write a row; returns an exit code."""
    from missy.sessions.store import Store

    try:
        with Store(path) as store, store.write() as db:
            db.execute("INSERT INTO spend (at_ms) VALUES (1)")
        return 0
    except BaseException as error:
        sys.stderr.write(f"{error}\n")
        return 1


def main(folder: Path, rounds: int) -> int:
    """Run all rounds; returns how many processes failed."""
    import missy.sessions.store  # noqa: F401  loaded before the moment comes

    failed = 0
    for number in range(rounds):
        moment, children = time.monotonic() + 0.03, []
        for _ in range(PROCESSES):
            child = os.fork()
            if not child:
                while time.monotonic() < moment:
                    pass
                os._exit(open_it(folder / f"{number}.db"))
            children.append(child)
        failed += sum(os.waitpid(child, 0)[1] != 0 for child in children)
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
