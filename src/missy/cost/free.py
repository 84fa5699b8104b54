"""Which endpoints cost nothing: servers on this machine, and in the networks that the configuration names as its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.config.fallbacks import in_cidrs, is_private
from missy.errors import MissyError

if TYPE_CHECKING:
    from missy.config.schema import Config, Entry

_LOOKUP_SECONDS = 5.0


def is_free(config: Config, entry: Entry) -> bool:
    """Whether an entry is on this machine, or all its addresses lie in `allowed_cidrs`.

    A name is looked up only if there are such networks, and never where a proxy does that.
    """
    found = is_private(config, entry)
    if found is not None or config.network.proxy is not None:
        return bool(found)
    from missy.net.limits import Clock
    from missy.net.names import resolve
    from missy.policy import parse

    target = parse(entry.endpoint or "")
    try:
        return in_cidrs(config, resolve(target.host, target.port, Clock(_LOOKUP_SECONDS)))
    except MissyError:
        return False
