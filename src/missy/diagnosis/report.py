"""The report for a bug: versions, checks, and the configuration with all keys masked. It contains no secret."""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING

from missy._version import __version__
from missy.diagnosis.anonymous import anonymise
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from missy.checks import Check
    from missy.config.schema import Config

_PARTS = (
    "openai",
    "httpx2",
    "httptools",
    "click",
    "rich",
    "pyyaml",
    "cryptography",
    "prompt-toolkit",
    "xllamacpp",
    "keyring",
)


def write_report(checks: Iterable[Check], config: Config | None) -> str:
    """Return the report as Markdown, without names of persons or their machines."""
    lines = ["# missy doctor --report", "", f"- missy {__version__}", f"- Python {platform.python_version()}"]
    lines += [f"- {platform.system()} {platform.release()} {platform.machine()}"]
    lines += [f"- {name} {version}" for name, version in _versions()]
    lines += [f"- terminal: {os.environ.get('TERM', 'none')}", "", "## Checks", ""]
    lines += [f"- {check.status} · {check.name}: {check.detail}" for check in checks]
    if config is not None:
        from missy.config.show import effective, to_yaml

        lines += ["", "## Configuration, keys masked", "", "```yaml", to_yaml(effective(config)), "```"]
    return anonymise(redact("\n".join(lines)), config)


def _versions() -> list[tuple[str, str]]:
    from importlib.metadata import PackageNotFoundError, version

    found = []
    for name in _PARTS:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            found.append((name, "not installed"))
    return [*found, ("executable", sys.executable)]
