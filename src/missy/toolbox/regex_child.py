"""Finds lines by a regular expression: `python -I -S regex_child.py`, a process that can be ended at any time.

stdin has blocks, each after its length in four bytes: the pattern, the number of lines to find, and the files. stdout gets a
line for each line found: the number of the file and that of the line. An expression that is none is named on stderr, exit 2.
"""

import re
import resource
import struct
import sys
from collections.abc import Iterator

CPU_SECONDS = 20  # also when whoever started this is gone


def _blocks(data: bytes) -> Iterator[str]:
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 4 + size].decode("utf-8", "replace")
        at += 4 + size


def main() -> int:
    """Read all, and print what was found."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    pattern, most, *files = _blocks(sys.stdin.buffer.read())
    try:
        found = re.compile(pattern).search
    except (re.error, OverflowError, RecursionError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    left = int(most)
    for number, text in enumerate(files):
        for at, line in enumerate(text.split("\n")):
            if found(line.removesuffix("\r")):
                sys.stdout.write(f"{number} {at}\n")
                left -= 1
                if not left:
                    return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
