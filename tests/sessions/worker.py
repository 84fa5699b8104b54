"""A process that asks in a session, again and again: `worker.py SESSION FIRST COUNT`. It prints `ok N` for each whole answer.

The prompt of number N is `q N`; a server that is `answer_of` gives the answer that belongs to it.
"""

from __future__ import annotations

import sys

LENGTH = 40  # pieces of one answer


def answer_of(prompt: str) -> str:
    """The one whole answer to a prompt."""
    return "".join(f"{prompt}:{piece} " for piece in range(LENGTH))


def main(session: str, first: int, count: int) -> None:
    import missy

    with missy.Missy.open() as m:
        talk = m.session(session)
        for n in range(first, first + count):
            assert talk.ask(f"q {n}").text() == answer_of(f"q {n}")
            sys.stdout.write(f"ok {n}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
