"""Opening the sign-in page in the user's browser, if there is one.

The browser does not inherit Missy's input or output, and gets only the environment variables that a browser needs.
"""

from __future__ import annotations

import os
import shutil
import sys

_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY",
         "DBUS_SESSION_BUS_ADDRESS", "DESKTOP_SESSION", "BROWSER", "TMPDIR")  # fmt: skip
_KEPT_FAMILIES = ("XDG_", "LC_", "KDE_", "GNOME_", "WSL")
_WSL_OPENER = "wslview"
_OPENERS = ("xdg-open", "x-www-browser", "gnome-open")


def is_headless() -> bool:
    """Tell whether no user would see a browser that is opened here (SSH, or no display).

    $BROWSER overrides this: VS Code and wslu set it to a program that works over SSH and without a display.
    """
    return not _commands()


def open_page(url: str) -> bool:
    """Start a browser on `url` and return at once; tell whether one was found. $BROWSER comes first."""
    import shlex
    import subprocess

    for command in _commands():
        try:
            words = shlex.split(command)
            filled = [word.replace("%s", url) for word in words]
            subprocess.Popen(  # noqa: S603  (the user's own browser, no shell)
                filled if filled != words else [*words, url],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError, IndexError):
            continue
        return True
    return False


def _commands() -> list[str]:
    """Return the commands that may open a page, best first: $BROWSER always, the system's only with a display."""
    named = [part for part in os.environ.get("BROWSER", "").split(os.pathsep) if part.strip()]
    return [*named, *_system_openers()]


def _system_openers() -> tuple[str, ...]:
    if os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"):
        return ()
    if sys.platform == "darwin":
        return ("open",)
    if os.environ.get("WSL_DISTRO_NAME") and shutil.which(_WSL_OPENER):
        return (_WSL_OPENER, *_OPENERS)  # it opens the browser of Windows, which needs no display here
    return _OPENERS if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") else ()


def _environment() -> dict[str, str]:
    return {
        name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_FAMILIES)
    }
