"""The live check of an entry that is not written yet: a real request through the door, with the given key."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from missy.errors import CredentialError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.config.schema import Config
    from missy.diagnosis.base_url import Better

TIMEOUT_SECONDS = 15.0  # idle timeout


class CheckResult(NamedTuple):
    """The models of an endpoint, empty if it has no list; and a better base URL that does have one."""

    models: list[str]
    better: Better | None = None


def list_models(config: Config, name: str, notice: Callable[[str], None]) -> CheckResult:
    """Ask an entry's endpoint for its models. Raises MissyError if it does not answer."""
    from missy.assistant import Missy
    from missy.diagnosis.base_url import find_v1

    with Missy(config, notice=notice) as missy:
        try:
            return CheckResult(missy.models(name, timeout=TIMEOUT_SECONDS))
        except CredentialError as error:
            if error.status is not None:  # its own hint is for an entry that is written
                keyed = config.providers[name].secrets
                error.hint = (
                    "the endpoint refused the key: check it" if keyed else "this endpoint requires a key"
                )
            raise
        except ProviderError as error:
            if error.status not in (404, 405):
                raise
    return CheckResult([], find_v1(config, name, TIMEOUT_SECONDS))
