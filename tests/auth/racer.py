"""Processes that want the same login at the same moment: started once, then let go round by round.

Run as `python -m tests.auth.racer COUNT WHERE`, WHERE as JSON. Each line on stdin is a round; each line on stdout its
results: for every process the last letters of the token it got, or the error that it got instead.
"""

from __future__ import annotations

import json
import os
import sys

from missy.errors import MissyError
from tests.auth.people import logins_at
from tests.auth.place import Where, place


def attempt(where: Where) -> str:
    """Ask for a token as a fresh command would."""
    door, logins = logins_at(where, notice=lambda _: None)
    try:
        token: str = logins.access().token.reveal()
        return token[-24:]
    except MissyError as error:
        return f"{type(error).__name__}: {error.message}"
    finally:
        door.close()


def race(where: Where, gates: list[int], results: int) -> None:
    """Wait at the gate, try, report; the two gates take turns, so that nobody starts twice in a round."""
    turn = 0
    while os.read(gates[turn % 2], 1):
        line = json.dumps(attempt(where)).encode() + b"\n"
        os.write(results, line)  # shorter than PIPE_BUF: lines of several processes do not mix
        turn += 1


def main(count: int, where: Where) -> None:
    """Fork the racers, then open the gate once for each line of stdin."""
    gates = [os.pipe(), os.pipe()]
    results, report = os.pipe()
    for _ in range(count):
        if os.fork() == 0:
            for _, writer in gates:
                os.close(writer)
            race(where, [reader for reader, _ in gates], report)
            os._exit(0)
    lines = os.fdopen(results)
    for turn, _ in enumerate(sys.stdin):
        os.write(gates[turn % 2][1], b"x" * count)
        print(json.dumps([json.loads(lines.readline()) for _ in range(count)]), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), place(sys.argv[2]))
