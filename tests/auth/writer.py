"""One write of the login file, for strace to break: `python writer.py OLD_PATH NEW_JSON_PATH`.

The system call before the write is `mkdir("/no-such-place/marker")`, so that the calls after it can be counted.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from missy import files
from missy.auth.login import load, store
from missy.errors import MissyError

path, new = Path(sys.argv[1]), load(Path(sys.argv[2]))
assert new is not None
with suppress(OSError):
    os.mkdir("/no-such-place/marker")
try:
    with files.lock(path):
        store(path, new)
except MissyError as error:
    print(error.message)
    os._exit(7)
os._exit(0)
