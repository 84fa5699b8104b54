"""IP addresses: which are public, which are private, and how they are parsed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Range = tuple[int, int, int]  # IP version, first address, last address


def ranges(networks: Iterable[Network]) -> tuple[Range, ...]:
    """Return networks as tuples of integers, for `lies_in`."""
    return tuple((network.version, int(network[0]), int(network[-1])) for network in networks)


def lies_in(address: Address, ranges: Sequence[Range]) -> bool:
    """Whether an address lies in one of the ranges."""
    # Integers in a plain loop: ten times faster. The version counts: ::ffff:10.0.0.1 is not 10.0.0.1.
    version, number = address.version, int(address)
    for of, first, last in ranges:  # noqa: SIM110
        if of == version and first <= number <= last:
            return True
    return False


# The IANA special-purpose registries (RFC 6890) and whatever else is not one server on the public Internet:
# multicast, 6to4 and its relays, AS112, the former 6bone, and 168.63.129.16, the host's own service on Azure.
# Python's `is_global` calls half of these public. IPv6 is public only within 2000::/3.
_SPECIAL = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12"
    " 192.0.0.0/24 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16"
    " 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4"
    " ::/3 2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3ffe::/16 3fff::/20 4000::/2 8000::/1"
)
_NOT_PUBLIC = ranges(map(ip_network, _SPECIAL.split()))
LOOPBACK = ranges(map(ip_network, ("127.0.0.0/8", "::1/128")))
# What a refusal may offer to allow: this machine and private networks, never link-local (cloud metadata).
_PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
OWN = LOOPBACK + ranges(map(ip_network, _PRIVATE))


def is_public(address: Address) -> bool:
    """Whether an address is one server on the public Internet."""
    # ISATAP (RFC 5214, 6.1) embeds an IPv4 address under any prefix: its marker is in the interface id.
    is_isatap = address.version == 6 and int(address) >> 32 & 0xFDFFFFFF == 0x5EFE
    return not is_isatap and not lies_in(address, _NOT_PUBLIC)


def read_address(text: str) -> Address | None:
    """Parse an IP address. Returns None for invalid text, and for a zone id (`%eth0`): it depends on the machine."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def read_literal(host: str) -> Address | None:
    """Return the address if the host is an IP literal, or None if it is a name."""
    return read_address(host) if ":" in host or host.rpartition(".")[2].isdigit() else None
