"""The decision: the rules of the configuration applied to one target, and to its addresses. Pure."""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Literal, NamedTuple

from missy.policy.addresses import (
    LOOPBACK,
    OWN,
    Address,
    is_public,
    lies_in,
    ranges,
    read_address,
    read_literal,
)
from missy.policy.target import Target, check_cidr, check_domain_entry, check_host_entry, parse, show

Category = Literal["provider", "tool"]


class Endpoint(NamedTuple):
    """A URL that is allowed because an enabled entry, or a server of tools, of the configuration names it."""

    url: str
    entry: str
    category: Category = "provider"


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
    """The outcome, the rule that decided, and the reason in one sentence.

    `fix` is the YAML that would allow the request, "" if no rule could or should allow it.
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
    """A target that may be reached. `*.example.com` is that name and every name under it; `*` with port 0 is any target."""

    host: str
    port: int
    scheme: str
    category: Category
    rule: str


class Policy:
    """The rules, indexed once, so that a decision takes microseconds however long the lists are.

    Raises InvalidURL for a rule that cannot be parsed: a rule is never skipped.
    """

    __slots__ = ("_cidrs", "_default_deny", "_depth", "_exact", "_loopback", "_names", "_ports", "_suffixes")

    def __init__(self, rules: Rules) -> None:
        self._default_deny = rules.default_deny
        self._cidrs = ranges(map(check_cidr, rules.allowed_cidrs))
        self._exact: dict[Category, dict[Target, str]] = {"provider": {}, "tool": {}}
        for url, entry, category in rules.endpoints:
            rule = entry if category == "tool" else f"entry:{entry}"
            self._exact[category].setdefault(parse(url), rule)
        self._loopback = frozenset(
            (category, target)
            for category, exact in self._exact.items()
            for target in exact
            if target.is_loopback
        )
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
            # http is for a server on a private network (`decide` requires allowed_cidrs), never on port 443.
            for scheme in ("https",) if port == 443 else ("https", "http"):
                for category in categories:
                    self._exact[category].setdefault(Target(scheme, host, port), rule)

    def decide(self, target: Target, category: Category = "provider") -> Decision:
        """Decide whether a request may go to this target. For a host name, `check_addresses` must also allow it."""
        rule = self._find_rule(target, category) or ("" if self._default_deny else "default_allow")
        is_endpoint = (category, target) in self._loopback
        is_secure = target.scheme == "https" or is_endpoint or (target.scheme == "http" and bool(self._cidrs))
        # An http loopback target without a rule is refused as unlisted; any other http target for not being https.
        if not is_secure and (rule or not target.is_loopback):
            return self._refuse_http(target, category, listed=bool(rule))
        if not rule:
            return self._refuse_unlisted(target, category)
        reason = f"{target.host} port {target.port} is allowed by {rule}"
        if target.scheme == "http" and not is_endpoint:
            reason += ", if all its addresses are in allowed_cidrs"
        decision = Decision(True, rule, reason, target, category)
        if read_literal(target.host) is None:
            return decision
        return self.check_addresses(target, decision, (target.host,))

    def check_addresses(self, target: Target, decision: Decision, addresses: Sequence[str]) -> Decision:
        """Decide again once the addresses of the name are known: one forbidden address refuses the request.

        Returns `decision` itself if the addresses are allowed too, or if it was a refusal already.
        """
        if not decision.allowed:
            return decision
        category = decision.category
        at = f"{target.host} port {target.port} is refused"
        if decision.target != target or not addresses:
            why = "it has no address" if decision.target == target else "the decision is about another target"
            return Decision(False, "invalid", f"{at}: {why}", target, category)
        is_endpoint = (category, target) in self._loopback
        judge = self._judge_loopback if is_endpoint else self._judge
        verdicts = [(text, *judge(target, read_address(text))) for text in addresses]
        bad = [(text, rule, why) for text, rule, why in verdicts if rule]
        if not bad:
            return decision
        text, rule, why = bad[0]
        fix = "" if is_endpoint else _write_lines(category, (), [text for text, _, _ in bad])
        return Decision(False, rule, f"{at}: its address {show(text)} {why}", target, category, fix)

    def reachable(self) -> list[Reach]:
        """Return every target that may be reached if its addresses are allowed too, once for each category."""
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
        """Return the rule and the reason that forbid an address, or two empty strings if it is allowed."""
        if address is None:
            return "invalid", "is not a plain IP address"
        if lies_in(address, self._cidrs):
            return "", ""
        if not is_public(address):
            return "private_address", "is not public and not in allowed_cidrs"
        if target.scheme != "https":
            return "https_required", "is not in allowed_cidrs, and any other address requires https"
        return "", ""

    def _judge_loopback(self, _target: Target, address: Address | None) -> tuple[str, str]:
        is_loopback = address is not None and lies_in(address, LOOPBACK)
        return ("", "") if is_loopback else ("not_loopback", "is not loopback, although its entry says so")

    def _refuse_http(self, target: Target, category: Category, *, listed: bool) -> Decision:
        reason = (
            f"{target.host} port {target.port} is refused: https is required, except to a loopback endpoint"
            " of an entry and to hosts with all addresses in allowed_cidrs"
        )
        fix = self._write_fix(target, category, listed=listed)
        return Decision(False, "https_required", reason, target, category, fix)

    def _refuse_unlisted(self, target: Target, category: Category) -> Decision:
        reason = f"{target.host} port {target.port} is refused: {self._explain_miss(target, category)}"
        if category == "provider" and target.is_loopback:
            fix = f'providers: {{my-server: {{name: openai, base_url: "{target}/v1"}}}}'
        else:
            fix = self._write_fix(target, category, listed=False)
        return Decision(False, "default_deny", reason, target, category, fix)

    def _write_fix(self, target: Target, category: Category, *, listed: bool) -> str:
        addresses = ("127.0.0.1", "::1") if target.host == "localhost" else (target.host,)
        known = [(text, address) for text in addresses if (address := read_address(text))]
        needed = [text for text, address in known if self._judge(target, address)[0]]
        if target.scheme != "https":
            # The addresses of a name are not known yet, and a listed host is never reached by http on port 443.
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
    """Return the YAML that allows these targets and addresses, or "" if an address is not in a private network."""
    networks: list[str] = []
    for text in dict.fromkeys(addresses):
        address = read_address(text)
        if address is None or not lies_in(address, OWN) or len(networks) == 8:
            return ""
        networks.append(str(ip_network(address)))
    hosts = [Target("https", target.host, target.port).authority for target in targets]
    lists = {f"{category}_allowed_hosts": hosts, "allowed_cidrs": networks}
    lines = [f"{key}: [{', '.join(map(_quote, values))}]" for key, values in lists.items() if values]
    return f"network: {{{', '.join(lines)}}}"


def _quote(text: str) -> str:
    # Plain YAML would read some hosts as something else: on, 1.e-5, [::1]:443.
    return text if text[0].isalpha() and "." in text and ":" not in text else f'"{text}"'
