"""The walk of `missy doctor`: the machine, the configuration, and each entry's true path, step by step."""

from __future__ import annotations


class Check:
    """One check: `status` is ok, warn, fail or skip; `exit_code` is that of the failure.

    `fix` can be pasted as it is: into a shell, or, where it is YAML, into config.yaml.
    """

    __slots__ = ("detail", "exit_code", "fix", "name", "status")

    def __init__(self, name: str, status: str, detail: str, fix: str = "", exit_code: int = 0) -> None:
        self.name = name
        self.status = status
        self.detail = detail
        self.fix = fix
        self.exit_code = exit_code
