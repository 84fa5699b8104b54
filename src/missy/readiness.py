"""Whether an entry could be used, and if not, why: from the configuration, the policy and the environment. No network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.errors import MissyError
from missy.kinds import kind_of
from missy.policy import Policy, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from missy.config.schema import Config, Entry
    from missy.policy import Target


class Readiness:
    """One entry's state: `reason` is "" if it is ready; `credential` is the source of the key, never the key."""

    __slots__ = ("allowed_hosts", "credential", "reason")

    def __init__(self, reason: str, credential: str, allowed_hosts: list[str]) -> None:
        self.reason: str = reason
        self.credential: str = credential
        self.allowed_hosts: list[str] = allowed_hosts

    @property
    def ready(self) -> bool:
        """Whether the entry could be used now."""
        return not self.reason


def readiness(config: Config, entry: Entry, environ: Mapping[str, str]) -> Readiness:
    """Check one entry. Raises nothing: `reason` says what is wrong."""
    try:
        source, reason = kind_of(entry).readiness(entry, environ)
    except MissyError as error:
        source, reason = "none", error.message
    if not entry.enabled:
        return Readiness("disabled", source, [])
    policy = Policy(config.rules())
    targets = [parse(url) for url in entry.endpoints]
    refused = next((decision for target in targets if not (decision := policy.decide(target)).allowed), None)
    if refused is not None:
        return Readiness(refused.reason, source, [])
    return Readiness(reason, source, list(dict.fromkeys(map(_host_and_port, targets))))


def _host_and_port(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{host}:{target.port}"
