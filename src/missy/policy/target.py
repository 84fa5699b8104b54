"""Where a request goes: one parse, one canonical form. Pure.

A URL that two parsers could read differently is refused, and the connection uses the parsed object, never the text.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

from missy.policy.addresses import Network, read_literal

_DEFAULT_PORTS = {"https": 443, "http": 80}
_LDH = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


class InvalidURL(ValueError):
    """The text is not a valid URL, host, domain or network; the message says why."""


class Target(NamedTuple):
    """Where a request goes, in canonical form; an IPv6 host is kept without brackets."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as a URL and a Host header have them: no default port, IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether the host is written as a loopback name or address: localhost, 127.0.0.0/8 or ::1."""
        return _is_loopback(self.host)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or (host.startswith("127.") and read_literal(host) is not None)


@lru_cache(maxsize=256)  # the same few URLs are parsed for every request
def parse(url: str) -> Target:
    """Return the canonical target of an http or https URL; path, query and fragment are ignored.

    Stricter than RFC 3986 and the WHATWG URL standard: what two parsers could read differently is refused.
    Raises InvalidURL.
    """
    _refuse_odd_characters(url)
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _DEFAULT_PORTS:
        raise InvalidURL("a URL begins with https:// or http://")
    for mark in "/?#":
        rest = rest.partition(mark)[0]
    host, port = _split(rest)
    return Target(scheme, _read_host(host), _DEFAULT_PORTS[scheme] if port is None else _read_port(port))


def check_host_entry(entry: str) -> tuple[str, int]:
    """Parse an entry of allowed_hosts: host, host:port or [v6]:port; the default port is 443. Raises InvalidURL."""
    _refuse_odd_characters(entry)
    if any(mark in entry for mark in "/?#*"):
        raise InvalidURL(
            f"{show(entry)} is not a host: write host, host:port or [v6]:port, without scheme, path or *"
        )
    host, port = _split(entry)
    return _read_host(host), 443 if port is None else _read_port(port)


def check_domain_entry(entry: str) -> tuple[str, bool]:
    """Parse an entry of allowed_domains, example.com or *.example.com, to (name, is wildcard). Raises InvalidURL."""
    _refuse_odd_characters(entry)
    name = _read_name(entry.removeprefix("*."))
    if read_literal(name):
        raise InvalidURL(f"{name} is an address, not a domain: it belongs in allowed_hosts")
    return name, entry.startswith("*.")


def check_cidr(cidr: str) -> Network:
    """Parse an entry of allowed_cidrs: 10.0.0.0/8, fd00::/8 or one address. Raises InvalidURL."""
    hint = "write an address and a prefix length, e.g. 10.0.0.0/8"
    _, slash, prefix = cidr.partition("/")
    try:
        network = ip_network(cidr, strict=False)
    except ValueError as error:
        raise InvalidURL(f"{show(cidr)} is not a network: {hint}") from error
    if "%" in cidr or (slash and not (prefix.isascii() and prefix.isdigit())):
        raise InvalidURL(f"{show(cidr)} is not a network: {hint}")
    if ip_address(cidr.partition("/")[0]) != network.network_address:
        raise InvalidURL(f"{show(cidr)} has host bits set: the network is {network}")
    return network


def show(text: str) -> str:
    """Quote the given text, shortened to fit an error message."""
    return repr(text if len(text) <= 80 else text[:80] + "...")


def _refuse_odd_characters(text: str) -> None:
    if not text:
        raise InvalidURL("it is empty")
    if " " in text or not text.isprintable():
        raise InvalidURL("it contains white space, a control character or an invisible character")
    if "\\" in text:
        raise InvalidURL("it contains a backslash")


def _split(authority: str) -> tuple[str, str | None]:
    """Split an authority into host and port (None without one). Raises InvalidURL.

    Text before an @ or after a colon is never repeated in a message: it may be a password.
    """
    if "@" in authority:
        raise InvalidURL("a user name or password before the host is not allowed")
    if "%" in authority:
        raise InvalidURL("percent escapes and zone ids are not allowed in a host")
    host, colon, port = authority.partition(":")
    if authority.startswith("["):
        host, bracket, rest = authority.partition("]")
        host, colon, port = host + bracket, rest[:1], rest[1:]
        if not bracket or colon not in ("", ":"):
            raise InvalidURL("only :port may follow the brackets of an IPv6 address")
    elif ":" in port:
        raise InvalidURL("it has more than one colon before the path: an IPv6 address needs brackets")
    if not host:
        raise InvalidURL("it has no host")
    return host, port if colon else None


def _read_port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or text[0] == "0" or len(text) > 5 or int(text) > 65535:
        raise InvalidURL("the port is not a number from 1 to 65535: write one, or leave the colon out")
    return int(text)


def _read_host(text: str) -> str:
    if not text.startswith("["):
        return _read_name(text)
    try:
        return str(IPv6Address(text[1:-1]))
    except ValueError as error:
        raise InvalidURL(f"{show(text)} is not an IPv6 address") from error


def _read_name(text: str) -> str:
    """Return a name as A-labels, or an IPv4 address in strict dotted decimal. Raises InvalidURL.

    Some resolvers read a name whose last label is a number as an address (127.1, 0x7f.1, 2130706433). Here it must be
    a dotted decimal address, or it is refused. Sources: WHATWG URL, "ends in a number"; RFC 1123, 2.1 (letters);
    RFC 1035 (lengths).
    """
    is_plain = text.isascii() and "xn--" not in text.lower()
    name = (text.lower() if is_plain else _encode_idn(text)).removesuffix(".")
    last = name.rpartition(".")[2]
    if last.isdigit() or last.startswith("0x"):
        try:
            return str(IPv4Address(text))
        except ValueError as error:
            raise InvalidURL(
                f"{show(text)} is neither an IPv4 address in dotted decimal nor a name"
            ) from error
    if len(name) > 253:
        raise InvalidURL("the host is longer than 253 characters")
    for label in name.split("."):
        _check_label(label, text)
    return name


def _check_label(label: str, host: str) -> None:
    if not label:
        raise InvalidURL(f"the host {show(host)} has an empty label")
    if len(label) > 63:
        raise InvalidURL(f"a label of the host {show(host)} is longer than 63 characters")
    if not _LDH.issuperset(label) or label[0] == "-" or label[-1] == "-":
        raise InvalidURL(f"the host {show(host)} may hold letters, digits, dots, and hyphens inside a label")


def _encode_idn(host: str) -> str:
    import idna

    # Check the length first: the library's run time grows faster than the text.
    if len(host) > 253:
        raise InvalidURL("the host is longer than 253 characters")
    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode("ascii").lower()
    except UnicodeError as error:
        raise InvalidURL(f"{show(host)} is not a valid international host name") from error
