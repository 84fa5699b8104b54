"""What to do where that depends on this machine: whether the local model is here, and which Python we run in.

It must never name this project's own name to a package index: there it may be anybody's.
"""

from __future__ import annotations

import os
import sys

# The packages that the extras stand for, as pyproject.toml has them
EXTRAS = {"local": "xllamacpp>=2026.10,<2027", "keyring": "keyring>=25.7,<26"}
_ASK = "missy ask --provider local"


def without_a_key() -> str:
    """Return the way to an answer from the model on this machine."""
    from missy import paths
    from missy.errors import MissyError

    try:
        models = paths.home() / "models"
        there = any(name.endswith(".gguf") for name in os.listdir(models))
    except (MissyError, OSError):
        there = False
    return _ASK if there else f"missy local install (93 MB), then {_ASK}"


def to_install(extra: str) -> str:
    """Return the command that adds an extra's package to the Python that runs us."""
    import shlex
    from importlib.util import find_spec

    python, package = shlex.quote(sys.executable), shlex.quote(EXTRAS[extra])
    if find_spec("pip") is None:  # as in an environment that uv made
        return f"uv pip install --python {python} {package}"
    return f"{python} -m pip install {package}"
