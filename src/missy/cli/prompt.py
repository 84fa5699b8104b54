"""The prompt of a question: from the argument, from stdin, or from both."""

from __future__ import annotations

import os
import sys

from missy.cli.app import notice
from missy.cli.piped_stdin import is_piped, read_piped
from missy.errors import UsageError


def read_prompt(prompt: str | None, *, attached: bool) -> str:
    """Return the prompt from the argument and stdin. Raises UsageError."""
    if prompt is not None:
        try:
            prompt.encode()
        except UnicodeEncodeError:
            raise UsageError("the prompt is not valid UTF-8", hint="check the terminal's encoding") from None
    if prompt is None or prompt == "-":
        if sys.stdin.isatty():
            if attached and prompt is None:
                return ""
            if prompt is None:
                raise UsageError("there is no prompt", hint='try: missy ask "What is the capital of France?"')
            notice("type the prompt, then Ctrl-D on an empty line")
        return read_piped(optional=False)
    if prompt.startswith("@") and os.path.isfile(os.path.expanduser(prompt[1:])):
        notice(f"the prompt is the text {prompt} itself; to send the file: missy ask ... < {prompt[1:]}")
    piped = read_piped(optional=True) if is_piped() else ""
    return f"{prompt}\n\n{piped}" if piped.strip() else prompt
