"""What a kind is given to build a provider with, so that it need not know the runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from missy.net.door import Door
    from missy.policy import Policy
    from missy.providers.heads import HeadStore
    from missy.providers.quirks import LearnedQuirks


class Context(NamedTuple):
    """What a provider is built with.

    `door` is the way out for the configured entries, `new_door` makes another one for a policy of its own. `heads` and
    `quirks` are shared by all providers. `on_release` is told what to call when the entry is not used any more.
    """

    door: Callable[[], Door]
    new_door: Callable[[Policy], Door]
    home: Path
    notice: Callable[[str], None]
    heads: Callable[[], HeadStore]
    quirks: Callable[[], LearnedQuirks]
    on_release: Callable[[Callable[[], None]], None]
