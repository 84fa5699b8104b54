"""Where a request goes: one parse, one canonical form. Pure.

What two parsers could read in two ways is refused, and the object that was parsed is the one that is connected to.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

from missy.policy.addresses import Network, read_literal

_DEFAULT_PORTS = {"https": 443, "http": 80}
_LDH = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


class InvalidURL(ValueError):
    """What was given is no URL, host, domain or network; the message says what is wrong with it."""


class Target(NamedTuple):
    """Where a request goes, in its one canonical form: an IPv6 host stands without brackets."""

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
        """Whether the host, as it is written, is this machine: localhost, 127.0.0.0/8 or ::1."""
        host = self.host
        return host in {"localhost", "::1"} or (host.startswith("127.") and read_literal(host) is not None)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse(url: str) -> Target:
    """The canonical target of an http or https URL; path, query and fragment have no say.

    Stricter than RFC 3986 and the WHATWG standard: what two parsers could read in two ways is refused.
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
    """Host and port of an entry: host, host:port or [v6]:port; 443 if it names none. Raises InvalidURL."""
    _refuse_odd_characters(entry)
    if any(mark in entry for mark in "/?#*"):
        raise InvalidURL(
            f"{show(entry)} is no host: write host, host:port or [v6]:port, no scheme, path or *"
        )
    host, port = _split(entry)
    return _read_host(host), 443 if port is None else _read_port(port)


def check_domain_entry(entry: str) -> tuple[str, bool]:
    """Name, and whether it is a wildcard, of an entry: example.com or *.example.com. Raises InvalidURL."""
    _refuse_odd_characters(entry)
    name = _read_name(entry.removeprefix("*."))
    if read_literal(name):
        raise InvalidURL(f"{name} is an address, not a domain: it belongs in allowed_hosts")
    return name, entry.startswith("*.")


def check_cidr(cidr: str) -> Network:
    """The network of an entry: 10.0.0.0/8, fd00::/8 or one address. Raises InvalidURL."""
    hint = "write an address and a prefix length, e.g. 10.0.0.0/8"
    _, slash, prefix = cidr.partition("/")
    try:
        network = ip_network(cidr, strict=False)
    except ValueError as error:
        raise InvalidURL(f"{show(cidr)} is no network: {hint}") from error
    if "%" in cidr or (slash and not (prefix.isascii() and prefix.isdigit())):
        raise InvalidURL(f"{show(cidr)} is no network: {hint}")
    if ip_address(cidr.partition("/")[0]) != network.network_address:
        raise InvalidURL(f"{show(cidr)} has host bits set: the network is {network}")
    return network


def show(text: str) -> str:
    """Quote what was given, cut to a length that fits an error."""
    return repr(text if len(text) <= 80 else text[:80] + "...")


def _refuse_odd_characters(text: str) -> None:
    if not text:
        raise InvalidURL("it is empty")
    if " " in text or not text.isprintable():
        raise InvalidURL("it holds white space, a control character or an invisible one")
    if "\\" in text:
        raise InvalidURL("it holds a backslash")


def _split(authority: str) -> tuple[str, str | None]:
    """Host and port (None if there is none) of an authority.

    What stands before an @ or after a colon is never repeated in a message: it may be a password.
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
            raise InvalidURL("after the brackets of an IPv6 address comes :port or nothing")
    elif ":" in port:
        raise InvalidURL("it has more than one colon before the path: an IPv6 address needs brackets")
    if not host:
        raise InvalidURL("it has no host")
    return host, port if colon else None


def _read_port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or text[0] == "0" or len(text) > 5 or int(text) > 65535:
        raise InvalidURL("the port is no number from 1 to 65535: write one, or leave the colon out")
    return int(text)


def _read_host(text: str) -> str:
    if not text.startswith("["):
        return _read_name(text)
    try:
        return str(IPv6Address(text[1:-1]))
    except ValueError as error:
        raise InvalidURL(f"{show(text)} is no IPv6 address") from error


def _read_name(text: str) -> str:
    """A name as A-labels, or an IPv4 address as strict dotted decimal.

    A name whose last label is a number is an address to some resolvers (127.1, 0x7f.1, 2130706433): so it is
    one here, or nothing. Source: WHATWG URL, "ends in a number"; RFC 1123 2.1 (letters), RFC 1035 (lengths).
    """
    is_plain = text.isascii() and "xn--" not in text.lower()
    name = (text.lower() if is_plain else _encode_idn(text)).removesuffix(".")
    last = name.rpartition(".")[2]
    if last.isdigit() or last.startswith("0x"):
        try:
            return str(IPv4Address(text))
        except ValueError as error:
            raise InvalidURL(f"{show(text)} is no IPv4 address in dotted decimal, and no name") from error
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

    # The bound comes first: the library's time grows faster than the text.
    if len(host) > 253:
        raise InvalidURL("the host is longer than 253 characters")
    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode("ascii").lower()
    except UnicodeError as error:
        raise InvalidURL(f"{show(host)} is no international host name") from error
