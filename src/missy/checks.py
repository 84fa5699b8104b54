"""What one look finds, and what can be pasted against it. The doctor walks; a kind of provider adds its own looks."""

from __future__ import annotations

import shlex

from missy.errors import ConfigError, MissyError, PolicyError


class Check:
    """One check: `status` is ok, warn, fail or skip; `exit_code` is that of the failure.

    `fix` can be pasted as it is: into a shell, or, where it is YAML, into config.yaml.
    """

    __slots__ = ("detail", "exit_code", "fix", "name", "status")

    def __init__(self, name: str, status: str, detail: str, fix: str = "", exit_code: int = 0) -> None:
        self.name: str = name
        self.status: str = status
        self.detail: str = detail
        self.fix: str = fix
        self.exit_code: int = exit_code


def failed(name: str, error: MissyError, fix: str = "") -> Check:
    """Return the check that an error ended. What its hint says and the fix does not stays in the detail."""
    fix = fix or paste(error)
    detail = error.message if fix == error.hint or not error.hint else f"{error.message}; {error.hint}"
    return Check(
        name, "fail", error.message if isinstance(error, PolicyError) else detail, fix, error.exit_code
    )


def paste(error: MissyError) -> str:
    """Return what can be pasted against an error that belongs to no entry."""
    if isinstance(error, PolicyError):
        _, found, line = error.hint.partition("config.yaml: ")
        return line if found else "missy net list"
    if isinstance(error, ConfigError) and error.file:
        place = f"+{error.line} " if error.line else ""
        return f"${{EDITOR:-vi}} {place}{shlex.quote(error.file)}"
    return "missy setup" if "no provider is configured" in error.message else "missy providers"
