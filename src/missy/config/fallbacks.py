"""Which entries may be asked in place of another one. Pure: nothing is looked up.

A question to an entry on this machine or on one's own network must not leave for a public host by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from missy import services
from missy.policy import check_cidr, parse
from missy.policy.addresses import lies_in, ranges, read_literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.config.schema import Config, Entry


class Leak(NamedTuple):
    """A fallback from a private entry to a public one: its place in the list, and both names."""

    entry: str
    place: int
    other: str


def is_private(config: Config, entry: Entry) -> bool | None:
    """Tell whether an entry is on this machine or in `allowed_cidrs`; None if only its name's addresses can tell."""
    if entry.endpoint is None:
        return True  # a server of Missy's own, on this machine
    target = parse(entry.endpoint)
    if target.is_loopback:
        return True
    is_service = entry.base_url is None or services.of_host(target.host) is not None
    if is_service or not config.network.allowed_cidrs:
        return False  # without allowed_cidrs the policy refuses every address that is not public
    address = read_literal(target.host)
    return None if address is None else in_cidrs(config, (target.host,))


def in_cidrs(config: Config, addresses: tuple[str, ...]) -> bool:
    """Tell whether all of these addresses lie in `allowed_cidrs`."""
    allowed = ranges(map(check_cidr, config.network.allowed_cidrs))
    found = [read_literal(text) for text in addresses]
    return bool(found) and all(one is not None and lies_in(one, allowed) for one in found)


def leaks(config: Config) -> Iterator[Leak]:
    """Yield the fallbacks that would take a question from a private entry to a public host."""
    for entry in config.providers.values():
        if not entry.fallback or not is_private(config, entry):
            continue
        for place, name in enumerate(entry.fallback):
            other = config.providers.get(name) or config.always_there.get(name)
            if other is not None and is_private(config, other) is False:
                yield Leak(entry.entry, place, name)


def circles(config: Config) -> Iterator[str]:
    """Yield a line for each entry whose fallbacks lead back to it."""
    for entry in config.providers.values():
        seen, ahead = set[str](), list(entry.fallback)
        while ahead:
            name = ahead.pop()
            if name in seen:
                continue
            seen.add(name)
            ahead += config.providers[name].fallback if name in config.providers else ()
        if entry.entry in seen:
            yield (
                f"{config.path}:{entry.line}: providers.{entry.entry}.fallback leads back to {entry.entry}: "
                f"only {', '.join(entry.fallback)} will be asked in its place, once each"
            )
