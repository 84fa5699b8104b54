"""The check of the sandbox: which level this machine gives to commands, and what the better one lacks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from missy.checks import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

# A switch of the system that forbids user namespaces -> its value that does
_SWITCHES = {
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
    "/proc/sys/kernel/unprivileged_userns_clone": "0",
    "/proc/sys/user/max_user_namespaces": "0",
}


def examine_sandbox() -> Iterator[Check]:
    """Yield the level of the sandbox. Without one it is a warning: everything but commands works."""
    from missy.sandbox.probe import walls

    found = walls()
    if found.level == "full":
        yield Check("sandbox", "ok", "full: namespaces, Landlock and a system call filter")
    elif found.level == "floor":
        yield Check("sandbox", "ok", f"floor: Landlock and a system call filter; {found.reason}{_switch()}")
    else:
        detail = f"none, so that no commands are run, and the local model's server runs without one: {found.reason}"
        yield Check("sandbox", "warn", detail, "missy ask --tools read,list,search  # these need none")


def _switch() -> str:
    """Return which switch of the system forbids namespaces, as far as that can be told."""
    for path, value in _SWITCHES.items():
        try:
            with open(path, encoding="ascii") as file:
                if file.read().strip() == value:
                    name = path.removeprefix("/proc/sys/").replace("/", ".")
                    return f"; the system forbids user namespaces: {name} = {value}"
        except OSError:
            continue
    return "" if os.path.exists("/proc/self/ns/user") else "; this kernel has no user namespaces"
