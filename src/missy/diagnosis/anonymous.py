"""Makes a report anonymous: hosts and addresses that do not belong to a known service are replaced by numbers."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import TYPE_CHECKING

from missy.config.presets import PRESETS
from missy.kinds import KINDS
from missy.policy import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.config.schema import Config

_KNOWN_HOSTS = {"localhost", *(kind.name for kind in KINDS.values() if kind.always_there)}
_KNOWN_HOSTS |= {host.partition(":")[0] for preset in PRESETS.values() for host in preset.hosts}
_KNOWN_HOSTS |= {parse(url).host for kind in KINDS.values() for url in (kind.base_url, kind.issuer) if url}
_URL = re.compile(r"https?://([^/\s:'\"\[\]@?#]+)", re.IGNORECASE)
_ADDRESS = re.compile(r"[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]+")


def anonymise(text: str, config: Config | None) -> str:
    """Return the text with the home folder as ~, unknown hosts as host-1, host-2, and addresses as address-1."""
    home = os.environ.get("HOME", "").rstrip("/")
    text = text.replace(home, "~") if len(home) > 1 else text
    named = [*(_hosts(config) if config else ()), *(match[1].lower() for match in _URL.finditer(text))]
    hosts = dict.fromkeys(host for host in named if not _is_known(host))
    numbers = {host: f"host-{number}" for number, host in enumerate(hosts, 1)}
    for host in sorted(numbers, key=len, reverse=True):  # the longest first: one may be a part of another
        text = re.sub(
            rf"(?<![\w-])(?<!\w\.){re.escape(host)}(?![\w-]|\.\w)", numbers[host], text, flags=re.IGNORECASE
        )
    addresses: dict[str, str] = {}
    return _ADDRESS.sub(lambda match: _replace_address(match[0], addresses), text)


def _hosts(config: Config) -> Iterator[str]:
    """Yield every host name in a configuration."""
    network = config.network
    urls = [url for entry in config.providers.values() for url in entry.endpoints]
    for url in [*urls, *([network.proxy] if network.proxy else [])]:
        yield parse(url).host
    for line in network.provider_allowed_hosts + network.tool_allowed_hosts + network.allowed_hosts:
        yield line if line.startswith("[") else line.partition(":")[0]
    yield from (domain.removeprefix("*.") for domain in network.allowed_domains)


def _is_known(host: str) -> bool:
    return host in _KNOWN_HOSTS or _as_address(host) is not None or host.startswith("[")


def _as_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _replace_address(word: str, numbers: dict[str, str]) -> str:
    """Return the replacement of an address; any other word unchanged."""
    for end in (len(word), word.rfind(":")):  # perhaps followed by a port
        core = word[:end].rstrip(".:") if end > 0 else ""
        address = _as_address(core)
        if address is not None and not address.is_loopback and not address.is_unspecified:
            return numbers.setdefault(core, f"address-{len(numbers) + 1}") + word[len(core) :]
        if address is not None:
            return word
    return word
