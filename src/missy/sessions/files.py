"""The files of the database: mode 0600, owned by this user, no symlinks, and the journal mode that their disk allows.

Never open and close a descriptor of a database in use here: POSIX would release SQLite's locks with it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from missy.errors import MissyError
from missy.folders import ensure_dir
from missy.os_errors import fault, faults

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "sessions.db"  # under MISSY_HOME
_BESIDE = ("-wal", "-shm", "-journal")
# Network file systems: WAL needs shared memory, which other machines do not have.
_SHARED = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "ncpfs",
    "beegfs",
}


def parts(path: Path) -> list[Path]:
    """Return the database and the files that SQLite keeps beside it."""
    return [path, *(path.with_name(path.name + end) for end in _BESIDE)]


def copies(path: Path) -> list[Path]:
    """Return the backup copies that interrupted upgrades left."""
    return list(path.parent.glob(path.name + ".bak-*"))


def make_ready(path: Path) -> None:
    """Create the file if it is missing; check an existing one and narrow its mode. Raises MissyError."""
    ensure_dir(path.parent)
    with faults("create", path), suppress(FileExistsError):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(path, flags, 0o600)
        os.fchmod(file, 0o600)  # whatever the umask took
        os.close(file)
    for part, why in faults_of(path):
        if why.startswith("mode"):
            with faults("narrow", part):
                part.chmod(0o600)
        else:
            raise MissyError(f"refused to use {part}: it {why}", hint="move it away and try again")


def faults_of(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file that is not a private file of this user, and why."""
    for part in parts(path):
        try:
            info = part.lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise fault("open", part, error) from error
        if not stat.S_ISREG(info.st_mode):
            yield part, "is a symbolic link" if stat.S_ISLNK(info.st_mode) else "is no plain file"
        elif info.st_uid != os.geteuid():
            yield part, f"belongs to another user (id {info.st_uid})"
        elif info.st_mode & 0o077:
            yield part, f"mode {stat.S_IMODE(info.st_mode):04o}: others may use it"


def journal(folder: Path) -> str:
    """Return the journal mode that is safe in this folder: WAL, except on a network file system."""
    try:
        device = os.stat(folder).st_dev
        text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "WAL"
    return "DELETE" if is_shared(text, f"{os.major(device)}:{os.minor(device)}") else "WAL"


def is_shared(mountinfo: str, device: str) -> bool:
    """Tell whether a device is mounted from another machine, by the lines of /proc/self/mountinfo."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split(" ", 1)[0]
        if len(fields) > 2 and fields[2] == device:
            return kind in _SHARED or kind.startswith("fuse.sshfs")
    return False
