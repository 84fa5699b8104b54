"""Who a server is: for a program its words and the hash of its file, for an endpoint its URL. Part of the pin."""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import TYPE_CHECKING, Any

from missy.errors import UsageError
from missy.sandbox.plan import SYSTEM, within

if TYPE_CHECKING:
    from missy.config.section_schema import McpServer

MAX_PROGRAM_BYTES = 512 << 20
# They run the file that their first argument names, which is then the server.
_INTERPRETERS = ("python", "node", "deno", "bun", "ruby", "perl", "java", "bash", "sh")


def find_program(server: McpServer) -> str:
    """Return the absolute path of a server's program, links not followed. Raises UsageError."""
    word = os.path.expanduser(server.command[0])
    found = word if os.path.isabs(word) else shutil.which(word) if "/" not in word else None
    if found is None or not os.path.isfile(found) or not os.access(found, os.X_OK):
        raise UsageError(
            f"server {server.name}: there is no program {server.command[0]}",
            hint="install it, or write its absolute path in mcp." + server.name + ".command",
        )
    return os.path.abspath(found)


def identify(server: McpServer) -> dict[str, Any]:
    """Return what identifies a server, as plain data. Raises UsageError if its program is not there."""
    if server.url is not None:
        return {"url": server.url}
    program = find_program(server)
    files = [program, *_scripts(server, program)]
    return {
        "argv": list(server.command),
        "files": [{"path": os.path.realpath(path), "sha256": _digest(server, path)} for path in files],
    }


def _scripts(server: McpServer, program: str) -> list[str]:
    """Return the file that an interpreter is told to run."""
    if not os.path.basename(program).startswith(_INTERPRETERS):
        return []
    words = (os.path.expanduser(word) for word in server.command[1:])
    return [word for word in words if os.path.isabs(word) and os.path.isfile(word)][:1]


def _digest(server: McpServer, path: str) -> str:
    found = hashlib.sha256()
    size = 0
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                size += len(block)
                if size > MAX_PROGRAM_BYTES:
                    raise UsageError(f"server {server.name}: {path} is too large to be a program")
                found.update(block)
    except OSError as error:
        raise UsageError(f"server {server.name}: {path} cannot be read: {error.strerror}") from None
    return found.hexdigest()


def program_folders(program: str, command: tuple[str, ...]) -> list[str]:
    """Return what a program consists of besides the system: its file, its virtual environment, its node_modules."""
    found: list[str] = []
    words = [program, *(os.path.expanduser(word) for word in command[1:])]
    for path in (word for word in words if os.path.isabs(word) and os.path.isfile(word)):
        for place in {path, os.path.realpath(path)}:
            found += _installed_with(place)
    return [path for path in dict.fromkeys(found) if not within(path, SYSTEM)]


def _installed_with(path: str) -> list[str]:
    parts = path.split("/")
    if "node_modules" in parts:
        return ["/".join(parts[: parts.index("node_modules") + 1])]
    prefix = os.path.dirname(os.path.dirname(path))
    if os.path.isfile(f"{prefix}/pyvenv.cfg"):
        return [prefix, *_base_of(prefix)]
    return [path]


def _base_of(prefix: str) -> list[str]:
    """Return the installation of Python that a virtual environment stands on."""
    python = os.path.realpath(f"{prefix}/bin/python")
    base = os.path.dirname(os.path.dirname(python))
    home = os.path.realpath(os.path.expanduser("~"))
    return [] if within(home, (base,)) or not os.path.isdir(f"{base}/lib") else [base]
