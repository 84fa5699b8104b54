"""One write of a login, for strace to break: `python -m tests.auth.writer WHERE NEW_WHERE`, both as JSON.

The system call before the write is `mkdir("/no-such-place/marker")`, so that the calls after it can be counted.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from missy import files
from missy.errors import MissyError
from tests.auth.place import place, read_at, write_at

where, new = place(sys.argv[1]), read_at(place(sys.argv[2]))
assert new is not None
with suppress(OSError):
    os.mkdir("/no-such-place/marker")
try:
    with files.lock(where["path"]):
        write_at(where, new)
except MissyError as error:
    print(error.message)
    os._exit(7)
os._exit(0)
