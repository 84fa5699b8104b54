"""Editing a message in the user's own editor: a file of mode 0600 in a folder of MISSY_HOME, removed afterwards."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
from typing import TYPE_CHECKING

from missy import files, paths
from missy.errors import MissyError, UsageError
from missy.folders import ensure_dir
from missy.masking import names_secret

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_BYTES = 16 << 20
_DEFAULT = "vi"


def edit(text: str, lend_terminal: Callable[[Callable[[], int]], int]) -> str:
    """Open `text` in $VISUAL, $EDITOR or vi, and return what was saved, without a final newline.

    The editor gets no variables that are named like keys. Raises MissyError if it cannot be run or fails.
    """
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or _DEFAULT
    folder = ensure_dir(
        paths.home() / f"edit-{secrets.token_hex(6)}"
    )  # an editor may write more files beside it
    try:
        file = folder / "message.md"
        files.write_private(file, text.encode(errors="replace"))
        code = lend_terminal(lambda: _run(command, os.fspath(file)))
        if code:
            raise MissyError(f"the editor ended with exit code {code}", hint="the message is as it was")
        return files.read_private(file, _MAX_BYTES).decode(errors="replace").removesuffix("\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: str, file: str) -> int:
    import subprocess

    try:
        words = [*shlex.split(command), file]
        env = {name: value for name, value in os.environ.items() if not names_secret(name)}
        return subprocess.call(words, env=env, umask=0o077)  # noqa: S603  (the user's own editor, no shell)
    except (OSError, ValueError) as error:
        raise UsageError(f"{command} cannot be run: {error}", hint="set EDITOR to your editor") from None
