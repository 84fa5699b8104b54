"""Reading the configuration file: its owner and mode are checked, and that it is UTF-8 text.

Reading never blocks (as it would on a FIFO), and a file that another user can change is refused.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from missy.errors import ConfigError
from missy.folders import other_owner_hint

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 1 << 20
# Characters that YAML treats differently from how they look: controls, and line ends that editors do not show
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


def read(path: Path) -> tuple[str, int] | None:
    """Return the text of the file and its mode, or None if there is none. Raises ConfigError."""
    try:
        # O_NONBLOCK: opening a FIFO must not wait for its writer. A symlink is followed: its target is checked
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        if path.is_symlink():
            raise _refusal(path, "is a broken symbolic link", "correct or remove the link") from None
        return None
    except OSError as error:
        raise _refusal(
            path, f"cannot be opened: {error.strerror}", "check the path and its permissions"
        ) from None
    try:
        mode = _check_owner(os.fstat(file), path)
        return _decode(_read(file, path), path), mode
    except OSError as error:
        raise _refusal(path, f"cannot be read: {error.strerror}", "check the disk and the path") from None
    finally:
        os.close(file)


def _check_owner(info: os.stat_result, path: Path) -> int:
    if not stat.S_ISREG(info.st_mode):
        kind = "a folder" if stat.S_ISDIR(info.st_mode) else "not a regular file"
        raise _refusal(path, f"is {kind}", "name a YAML file with --config or MISSY_CONFIG")
    if info.st_uid not in (
        os.geteuid(),
        0,
    ):  # root can change any file anyway, and mounted files often belong to root
        raise _refusal(path, f"belongs to another user (id {info.st_uid})", other_owner_hint(info.st_uid))
    mode = stat.S_IMODE(info.st_mode)
    if mode & 0o022:
        raise _refusal(path, f"can be changed by other users (mode {mode:04o})", f"run: chmod 600 {path}")
    return mode


def _read(file: int, path: Path) -> bytes:
    data = bytearray()
    while chunk := os.read(file, LIMIT + 1 - len(data)):
        data += chunk
        if len(data) > LIMIT:
            raise _refusal(path, f"is larger than {LIMIT} bytes", "is it a configuration file?")
    return bytes(data)


def _decode(data: bytes, path: Path) -> str:
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}"
        raise _at_line(path, line, what, "save the file as UTF-8") from None
    if found := _CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        what = f"found the control character U+{ord(found[0]):04X}; allowed visible text"
        raise _at_line(path, line, what, "remove it")
    return text


def _refusal(path: Path, what: str, hint: str) -> ConfigError:
    return ConfigError(f"{path}: {what}", hint=hint, file=str(path))


def _at_line(path: Path, line: int, what: str, hint: str) -> ConfigError:
    return ConfigError(f"{path}:{line}: {what}", hint=hint, file=str(path), line=line)
