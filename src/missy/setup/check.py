"""The live check of what is not written yet: the true path, over the one door, with the key that was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.config.schema import Config

TIMEOUT = 15.0  # seconds of silence


def list_models(config: Config, name: str, notice: Callable[[str], None]) -> list[str]:
    """Ask an entry's endpoint for its models; [] where it answers, but has no list. Raises MissyError."""
    from missy.assistant import Missy

    with Missy(config, notice=notice) as missy:
        try:
            return missy.models(name, timeout=TIMEOUT)
        except ProviderError as error:
            if error.status in (404, 405):
                return []
            raise
