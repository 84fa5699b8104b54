"""Whether an entry could be used, and if not, why: from the configuration, the policy and the environment. No network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.errors import MissyError
from missy.policy import Policy, parse
from missy.secrets.resolve import source_of, what_is_missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from missy.config.schema import Config, Entry
    from missy.policy import Target


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
    look = {"local": _local, "openai-codex": _login}.get(entry.kind, _keyed)
    try:
        source, reason = look(entry, environ)
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


def _keyed(entry: Entry, environ: Mapping[str, str]) -> tuple[str, str]:
    return source_of(entry, environ), what_is_missing(entry, environ)


def _login(entry: Entry, environ: Mapping[str, str]) -> tuple[str, str]:  # noqa: ARG001
    import time

    from missy import paths
    from missy.auth.login import LOGIN_FILE, describe_state

    state, _, why = describe_state(paths.home() / LOGIN_FILE, entry.issuer_url or "", time.time())
    if state == "none":
        return "none", why or f"not logged in: missy auth login {entry.entry}"
    return "oauth", why if state == "broken" else ""


def _local(entry: Entry, environ: Mapping[str, str]) -> tuple[str, str]:  # noqa: ARG001
    from missy.local.model import require

    if not entry.model_path:
        require()
    return "none", ""
