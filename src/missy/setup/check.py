"""The live check of what is not written yet: the true path, over the one door, with the key that was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from missy.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.config.schema import Config
    from missy.diagnosis.base_url import Better

TIMEOUT = 15.0  # seconds of silence


class Found(NamedTuple):
    """What an endpoint answered: its models, none where it has no list; and the base URL that has one instead."""

    models: list[str]
    better: Better | None = None


def list_models(config: Config, name: str, notice: Callable[[str], None]) -> Found:
    """Ask an entry's endpoint for its models. Raises MissyError where it does not answer."""
    from missy.assistant import Missy
    from missy.diagnosis.base_url import find_v1

    with Missy(config, notice=notice) as missy:
        try:
            return Found(missy.models(name, timeout=TIMEOUT))
        except ProviderError as error:
            if error.status not in (404, 405):
                raise
    return Found([], find_v1(config, name, TIMEOUT))
