"""Hints that depend on this machine: whether the local model is installed, and which Python is running.

A hint never installs this project's own name from a package index: another package may have that name there.
"""

from __future__ import annotations

import os
import sys

# The packages of the extras, as in pyproject.toml
EXTRAS = {
    "local": ("xllamacpp>=2026.10,<2027",),
    "keyring": ("keyring>=25,<26",),
    "serve": ("uvicorn>=0.40,<0.60",),
    "serve-team": ("asyncpg>=0.30,<0.40",),
    "mcp": ("mcp>=2.3,<3",),
    "parquet": ("pyarrow>=21,<27",),
    "ray": ("ray>=2.55,<3",),
}
_ASK = "missy ask --provider local"


def without_a_key() -> str:
    """Return the command for an answer from the local model."""
    from missy import paths
    from missy.errors import MissyError

    try:
        models = paths.home() / "models"
        there = any(name.endswith(".gguf") for name in os.listdir(models))
    except (MissyError, OSError):
        there = False
    return _ASK if there else f"missy local install (93 MB), then {_ASK}"


def to_install(extra: str) -> str:
    """Return the command that installs an extra's packages into the running Python."""
    import shlex
    from importlib.util import find_spec

    python, package = shlex.quote(sys.executable), shlex.join(EXTRAS[extra])
    if find_spec("pip") is None:  # for example in an environment created by uv
        return f"uv pip install --python {python} {package}"
    return f"{python} -m pip install {package}"
