"""What may be reached: pure decisions on scheme, host, port and address.

This room never reads a file, the environment or a clock, opens no socket and looks up no name, so that the
same question always has the same answer, and `net explain`, the door and the audit cannot disagree. It
decides on what it parsed: only a `Target` made by `parse` may be connected to, in the form that it has here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal, NamedTuple

Category = Literal["provider", "tool"]
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Range = tuple[int, int, int]  # IP version, first address, last address

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
        return _names_loopback(self)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


class Endpoint(NamedTuple):
    """A URL that an enabled entry of the configuration may reach by itself."""

    url: str
    entry: str


class Rules(NamedTuple):
    """The network part of the configuration, as plain text; `preset_hosts` pairs preset and host[:port]."""

    default_deny: bool = True
    endpoints: tuple[Endpoint, ...] = ()
    provider_allowed_hosts: tuple[str, ...] = ()
    tool_allowed_hosts: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    allowed_domains: tuple[str, ...] = ()
    allowed_cidrs: tuple[str, ...] = ()
    preset_hosts: tuple[tuple[str, str], ...] = ()


class Decision(NamedTuple):
    """The answer, which rule gave it, and why, in one sentence.

    `fix` is the YAML to add that would allow it, "" if there is none or nobody should.
    """

    allowed: bool
    rule: str
    reason: str
    target: Target
    category: Category
    fix: str = ""

    def __bool__(self) -> bool:
        # A plain tuple is always true: `if policy.decide(...)` must not let everything through.
        return self.allowed


class Reach(NamedTuple):
    """What may be reached; `*.example.com` is it and every name under it, `*` with port 0 anything."""

    host: str
    port: int
    scheme: str
    category: Category
    rule: str


# --- one parse ------------------------------------------------------------------------------------


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
            f"{_show(entry)} is no host: write host, host:port or [v6]:port, no scheme, path or *"
        )
    host, port = _split(entry)
    return _read_host(host), 443 if port is None else _read_port(port)


def check_domain_entry(entry: str) -> tuple[str, bool]:
    """Name, and whether it is a wildcard, of an entry: example.com or *.example.com. Raises InvalidURL."""
    _refuse_odd_characters(entry)
    name = _read_name(entry.removeprefix("*."))
    if _read_literal(name):
        raise InvalidURL(f"{name} is an address, not a domain: it belongs in allowed_hosts")
    return name, entry.startswith("*.")


def check_cidr(cidr: str) -> Network:
    """The network of an entry: 10.0.0.0/8, fd00::/8 or one address. Raises InvalidURL."""
    hint = "write an address and a prefix length, e.g. 10.0.0.0/8"
    _, slash, prefix = cidr.partition("/")
    try:
        network = ip_network(cidr, strict=False)
    except ValueError as error:
        raise InvalidURL(f"{_show(cidr)} is no network: {hint}") from error
    if "%" in cidr or (slash and not (prefix.isascii() and prefix.isdigit())):
        raise InvalidURL(f"{_show(cidr)} is no network: {hint}")
    if ip_address(cidr.partition("/")[0]) != network.network_address:
        raise InvalidURL(f"{_show(cidr)} has host bits set: the network is {network}")
    return network


def _show(text: str) -> str:
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
        raise InvalidURL(f"{_show(text)} is no IPv6 address") from error


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
            raise InvalidURL(f"{_show(text)} is no IPv4 address in dotted decimal, and no name") from error
    if len(name) > 253:
        raise InvalidURL("the host is longer than 253 characters")
    for label in name.split("."):
        _check_label(label, text)
    return name


def _check_label(label: str, host: str) -> None:
    if not label:
        raise InvalidURL(f"the host {_show(host)} has an empty label")
    if len(label) > 63:
        raise InvalidURL(f"a label of the host {_show(host)} is longer than 63 characters")
    if not _LDH.issuperset(label) or label[0] == "-" or label[-1] == "-":
        raise InvalidURL(f"the host {_show(host)} may hold letters, digits, dots, and hyphens inside a label")


def _encode_idn(host: str) -> str:
    import idna

    # The bound comes first: the library's time grows faster than the text.
    if len(host) > 253:
        raise InvalidURL("the host is longer than 253 characters")
    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode("ascii").lower()
    except UnicodeError as error:
        raise InvalidURL(f"{_show(host)} is no international host name") from error


# --- addresses ------------------------------------------------------------------------------------


def _ranges(networks: Iterable[Network]) -> tuple[Range, ...]:
    return tuple((network.version, int(network[0]), int(network[-1])) for network in networks)


def _lies_in(address: Address, ranges: Sequence[Range]) -> bool:
    # By numbers and in a loop: ten times faster. By version: ::ffff:10.0.0.1 is not 10.0.0.1.
    version, number = address.version, int(address)
    for of, first, last in ranges:  # noqa: SIM110
        if of == version and first <= number <= last:
            return True
    return False


# The IANA special-purpose registries (RFC 6890) and what else is not one server on the public Internet:
# multicast, 6to4 and its relays, AS112, the former 6bone, and 168.63.129.16, the host's own service on Azure.
# Python's `is_global` lets half of it through. IPv6 is public only within 2000::/3.
_SPECIAL = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12"
    " 192.0.0.0/24 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16"
    " 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4"
    " ::/3 2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3ffe::/16 3fff::/20 4000::/2 8000::/1"
)
_NOT_PUBLIC = _ranges(map(ip_network, _SPECIAL.split()))
_LOOPBACK = _ranges(map(ip_network, ("127.0.0.0/8", "::1/128")))
# What a refusal may offer to allow: one's own machine and network, never link-local (cloud metadata).
_PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
_OWN = _LOOPBACK + _ranges(map(ip_network, _PRIVATE))


def _is_public(address: Address) -> bool:
    # ISATAP (RFC 5214 6.1) puts an IPv4 address into any prefix: its mark is in the interface id.
    is_isatap = address.version == 6 and int(address) >> 32 & 0xFDFFFFFF == 0x5EFE
    return not is_isatap and not _lies_in(address, _NOT_PUBLIC)


def _read_address(text: str) -> Address | None:
    """None for what is no address, or has a zone: connecting would then depend on more than the address."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def _read_literal(host: str) -> Address | None:
    return _read_address(host) if ":" in host or host.rpartition(".")[2].isdigit() else None


def _names_loopback(target: Target) -> bool:
    host = target.host
    return host in {"localhost", "::1"} or (host.startswith("127.") and _read_literal(host) is not None)


# --- the decision ---------------------------------------------------------------------------------


class Policy:
    """The rules, indexed once, so that a decision costs microseconds however long the lists are.

    Raises InvalidURL when a rule cannot be read: there is no policy with a hole in it.
    """

    __slots__ = ("_cidrs", "_default_deny", "_depth", "_exact", "_loopback", "_names", "_ports", "_suffixes")

    def __init__(self, rules: Rules) -> None:
        self._default_deny = rules.default_deny
        self._cidrs = _ranges(map(check_cidr, rules.allowed_cidrs))
        self._exact: dict[Category, dict[Target, str]] = {"provider": {}, "tool": {}}
        for url, entry in rules.endpoints:
            self._exact["provider"].setdefault(parse(url), f"entry:{entry}")
        self._loopback = frozenset(filter(_names_loopback, self._exact["provider"]))
        self._add_hosts("provider_allowed_hosts", rules.provider_allowed_hosts, "provider")
        self._add_hosts("tool_allowed_hosts", rules.tool_allowed_hosts, "tool")
        self._add_hosts("allowed_hosts", rules.allowed_hosts, "provider", "tool")
        for preset, host in rules.preset_hosts:
            self._add_hosts(f"preset:{preset}", (host,), "provider", "tool")
        self._ports: dict[Category, dict[str, set[int]]] = {"provider": {}, "tool": {}}
        for category, exact in self._exact.items():
            for _, host, port in exact:
                self._ports[category].setdefault(host, set()).add(port)
        domains = dict.fromkeys(map(check_domain_entry, rules.allowed_domains))
        self._names = {name: None for name, _ in domains}
        self._suffixes = frozenset(name for name, is_wildcard in domains if is_wildcard)
        self._depth = max((name.count(".") + 1 for name in self._suffixes), default=0)

    def _add_hosts(self, rule: str, entries: Sequence[str], *categories: Category) -> None:
        for host, port in map(check_host_entry, entries):
            # http is for a server on one's own network (`decide` asks for allowed_cidrs), never on 443.
            for scheme in ("https",) if port == 443 else ("https", "http"):
                for category in categories:
                    self._exact[category].setdefault(Target(scheme, host, port), rule)

    def decide(self, target: Target, category: Category = "provider") -> Decision:
        """Whether a request may go to this target. For a name, `check_addresses` has the second word."""
        rule = self._find_rule(target, category) or ("" if self._default_deny else "default_allow")
        is_endpoint = category == "provider" and target in self._loopback
        is_secure = target.scheme == "https" or is_endpoint or (target.scheme == "http" and bool(self._cidrs))
        # An http loopback target that nothing names lacks a rule; any other http target lacks https.
        if not is_secure and (rule or not _names_loopback(target)):
            return self._refuse_http(target, category, listed=bool(rule))
        if not rule:
            return self._refuse_unlisted(target, category)
        reason = f"{target.host} port {target.port} is allowed by {rule}"
        if target.scheme == "http" and not is_endpoint:
            reason += ", if its every address lies in allowed_cidrs"
        decision = Decision(True, rule, reason, target, category)
        if _read_literal(target.host) is None:
            return decision
        return self.check_addresses(target, decision, (target.host,))

    def check_addresses(self, target: Target, decision: Decision, addresses: Sequence[str]) -> Decision:
        """The decision once the name's addresses are known: one bad address refuses them all.

        An allowed decision is returned as it is; a refused one stays refused, whatever the addresses.
        """
        if not decision.allowed:
            return decision
        category = decision.category
        at = f"{target.host} port {target.port} is refused"
        if decision.target != target or not addresses:
            why = "it has no address" if decision.target == target else "the decision is about another target"
            return Decision(False, "invalid", f"{at}: {why}", target, category)
        is_endpoint = category == "provider" and target in self._loopback
        judge = self._judge_loopback if is_endpoint else self._judge
        verdicts = [(text, *judge(target, _read_address(text))) for text in addresses]
        bad = [(text, rule, why) for text, rule, why in verdicts if rule]
        if not bad:
            return decision
        text, rule, why = bad[0]
        fix = "" if is_endpoint else _write_lines(category, (), [text for text, _, _ in bad])
        return Decision(False, rule, f"{at}: its address {_show(text)} {why}", target, category, fix)

    def reachable(self) -> list[Reach]:
        """All that may be reached, if its addresses allow it, one line for each category."""
        found = []
        for category, exact in self._exact.items():
            for decision in (self.decide(target, category) for target in exact):
                scheme, host, port = decision.target
                found += [Reach(host, port, scheme, category, decision.rule)] if decision else []
            for name in self._names:
                host = f"*.{name}" if name in self._suffixes else name
                found.append(Reach(host, 443, "https", category, "allowed_domains"))
            if not self._default_deny:
                schemes = ("https", "http") if self._cidrs else ("https",)
                found += [Reach("*", 0, scheme, category, "default_allow") for scheme in schemes]
        return found

    def _find_rule(self, target: Target, category: Category) -> str:
        rule = self._exact[category].get(target, "")
        if rule or not self._names or target.scheme != "https" or target.port != 443:
            return rule
        return "allowed_domains" if self._in_domain(target.host) else ""

    def _in_domain(self, host: str) -> bool:
        if host in self._names:
            return True
        # From the right, one whole label at a time, no deeper than the deepest wildcard.
        end = len(host)
        for _ in range(self._depth):
            end = host.rfind(".", 0, end)
            if host[end + 1 :] in self._suffixes:
                return True
            if end < 0:
                break
        return False

    def _judge(self, target: Target, address: Address | None) -> tuple[str, str]:
        """Rule and reason against an address; two empty texts if there are none."""
        if address is None:
            return "invalid", "is no plain IP address"
        if _lies_in(address, self._cidrs):
            return "", ""
        if not _is_public(address):
            return "private_address", "is not public and not in allowed_cidrs"
        if target.scheme != "https":
            return "https_required", "is not in allowed_cidrs, and everywhere else https is required"
        return "", ""

    def _judge_loopback(self, _target: Target, address: Address | None) -> tuple[str, str]:
        is_loopback = address is not None and _lies_in(address, _LOOPBACK)
        return ("", "") if is_loopback else ("not_loopback", "is not loopback, as its entry says that it is")

    def _refuse_http(self, target: Target, category: Category, *, listed: bool) -> Decision:
        reason = (
            f"{target.host} port {target.port} is refused: https is required, except to a loopback endpoint"
            " of an entry and to hosts whose every address lies in allowed_cidrs"
        )
        fix = self._write_fix(target, category, listed=listed)
        return Decision(False, "https_required", reason, target, category, fix)

    def _refuse_unlisted(self, target: Target, category: Category) -> Decision:
        reason = f"{target.host} port {target.port} is refused: {self._explain_miss(target, category)}"
        if category == "provider" and _names_loopback(target):
            fix = f'providers: {{my-server: {{name: openai, base_url: "{target}/v1"}}}}'
        else:
            fix = self._write_fix(target, category, listed=False)
        return Decision(False, "default_deny", reason, target, category, fix)

    def _write_fix(self, target: Target, category: Category, *, listed: bool) -> str:
        addresses = ("127.0.0.1", "::1") if target.host == "localhost" else (target.host,)
        known = [(text, address) for text in addresses if (address := _read_address(text))]
        needed = [text for text, address in known if self._judge(target, address)[0]]
        if target.scheme != "https":
            # Which addresses a name will have is not known here, and a listed host never speaks http on 443.
            has_network = bool(needed or self._cidrs)
            if not has_network or target.scheme != "http" or (target.port == 443 and not listed):
                return ""
        return _write_lines(category, () if listed else (target,), needed)

    def _explain_miss(self, target: Target, category: Category) -> str:
        other: Category = "tool" if category == "provider" else "provider"
        if target in self._exact[other]:
            return f"it is allowed for {other} calls, and this is a {category} call"
        ports = sorted(self._ports[category].get(target.host, ()))
        if target.port != 443 and self._in_domain(target.host):
            ports = sorted({443, *ports})
        if target.port in ports:
            return f"no rule allows it over {target.scheme}"
        if ports:
            return f"this host is allowed on port {' and '.join(map(str, ports[:8]))} only"
        return f"no rule allows it for a {category} call"


# --- the line to add ------------------------------------------------------------------------------


def _write_lines(category: Category, targets: Sequence[Target], addresses: Sequence[str]) -> str:
    """The YAML that lists these targets and addresses, or "" if an address is not the user's own to allow."""
    networks: list[str] = []
    for text in dict.fromkeys(addresses):
        address = _read_address(text)
        if address is None or not _lies_in(address, _OWN) or len(networks) == 8:
            return ""
        networks.append(str(ip_network(address)))
    hosts = [Target("https", target.host, target.port).authority for target in targets]
    lists = {f"{category}_allowed_hosts": hosts, "allowed_cidrs": networks}
    lines = [f"{key}: [{', '.join(map(_quote, values))}]" for key, values in lists.items() if values]
    return f"network: {{{', '.join(lines)}}}"


def _quote(text: str) -> str:
    # Plain YAML would read some hosts as something else: on, 1.e-5, [::1]:443.
    return text if text[0].isalpha() and "." in text and ":" not in text else f'"{text}"'
