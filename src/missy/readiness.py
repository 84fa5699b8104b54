"""Whether an entry could be used, and if not, why: from the configuration, the policy and the environment. No network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.errors import MissyError
from missy.policy import Policy, parse
from missy.secrets.resolve import credentials, source_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from missy.config.schema import Config, Entry


class Readiness:
    """One entry's state: `reason` is "" when it is ready; `credential` says where the key comes from, never what it is."""

    __slots__ = ("allowed_hosts", "credential", "reason")

    def __init__(self, reason: str, credential: str, allowed_hosts: list[str]) -> None:
        self.reason = reason
        self.credential = credential
        self.allowed_hosts = allowed_hosts

    @property
    def ready(self) -> bool:
        """Whether the entry could be used now."""
        return not self.reason


def readiness(config: Config, entry: Entry, environ: Mapping[str, str]) -> Readiness:
    """Look at one entry. Raises nothing: what is wrong is in `reason`."""
    if entry.kind == "local":
        return (
            Readiness("" if entry.enabled else "disabled", "none", []) if entry.model_path else _local(entry)
        )
    policy = Policy(config.rules())
    targets = [parse(url) for url in entry.endpoints]
    hosts = [
        f"{target.host}:{target.port}" if ":" not in target.host else f"[{target.host}]:{target.port}"
        for target in targets
    ]
    key: dict[str, Any] = {
        "api_key": entry.api_key,
        "api_keys": entry.api_keys,
        "host": targets[0].host,
        "environ": environ,
    }
    source = source_of(entry.entry, **key)
    if not entry.enabled:
        return Readiness("disabled", source, [])
    refused = next((decision for target in targets if not (decision := policy.decide(target)).allowed), None)
    if refused is not None:
        return Readiness(refused.reason, source, [])
    try:
        credentials(entry.entry, loopback=targets[0].is_loopback, **key)
    except MissyError as error:
        return Readiness(error.message, source, hosts)
    return Readiness("", source, hosts)


def _local(entry: Entry) -> Readiness:
    from missy.local.model import require

    if not entry.enabled:
        return Readiness("disabled", "none", [])
    try:
        require()
    except MissyError as error:
        return Readiness(f"{error.message}: {error.hint}", "none", [])
    return Readiness("", "none", [])
