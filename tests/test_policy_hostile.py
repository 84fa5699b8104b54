"""The policy against those who want through it: tricks in URLs, edges of networks, disguised addresses."""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from missy.policy import (
    Endpoint,
    InvalidURL,
    Policy,
    Rules,
    Target,
    check_domain_entry,
    check_host_entry,
    parse,
)

RULES = Rules(
    endpoints=(
        Endpoint("https://api.openai.com/v1", "openai"),
        Endpoint("http://127.0.0.1:1234/v1", "laptop"),
    ),
    allowed_hosts=("good.example.com:8443",),
    allowed_domains=("*.trusted.org",),
)
ALLOWED = (
    "https://api.openai.com/v1",
    "http://127.0.0.1:1234/v1",
    "https://good.example.com:8443/",
    "https://a.trusted.org/",
)
NAMES = ("api.openai.com", "good.example.com", "a.trusted.org", "trusted.org")
POLICY = Policy(RULES)


def is_let_through(url: str, policy: Policy = POLICY) -> bool:
    try:
        target = parse(url)
    except InvalidURL:
        return False
    return any(policy.decide(target, category).allowed for category in ("provider", "tool"))


# --- tricks in URLs -------------------------------------------------------------------------------

# Look-alikes that Unicode does not fold into ASCII: the name that they make is another one.
LOOKALIKES = {
    "a": "аɑα",
    "e": "еє",
    "o": "оοᴏ",
    "p": "рρ",
    "i": "іı",
    "n": "ո",
    "t": "τ",
    "s": "ѕ",
    "d": "ԁ",
    "g": "ɡ",
}
CONTROLS = "\x00\x01\t\n\x0b\r\x1b \x7f\x80\x85\x9b\xa0\xad\u1680\u200b\u200e\u2028\u202e\u2060\u2066\u3000\ufeff\ufffe\ud800"
ODD = "\\^`{|}<>\"'!$&()*+,;=_~%@[]\ufffd／＼？＃＠：℀⁄∕╱⒈…"


def look_alike(draw: random.Random) -> str:
    name = list(draw.choice(["api.openai.com", "good.example.com", "trusted.org"]))
    at = draw.choice([i for i, letter in enumerate(name) if letter in LOOKALIKES])
    name[at] = draw.choice(LOOKALIKES[name[at]])
    return f"https://{''.join(name)}/"


def neighbour(draw: random.Random) -> str:
    name, label = draw.choice(NAMES[:2]), "".join(draw.choices("abcdefghijk0123456789", k=5))
    joint = draw.choice(
        [f"{label}{name}", f"{name}{label}", f"{label}.{name}", f"{name}.{label}", f"{name}.{label}.com"]
    )
    return f"https://{joint}{draw.choice(['', ':443', ':8443', '.', '/'])}"


def near_domain(draw: random.Random) -> str:
    label = "".join(draw.choices("abcdefghijk-", k=4))
    return f"https://{draw.choice([f'{label}trusted.org', f'a.{label}trusted.org', f'trusted.org.{label}', f'trusted.org{label}'])}"


def userinfo(draw: random.Random) -> str:
    user = draw.choice(
        ["", "a", "a:b", ":", "api.openai.com", "api.openai.com:443", "api.openai.com%2f", "a@b", "[::1]"]
    )
    return f"https://{user}@{draw.choice([*NAMES, 'evil.com', '127.0.0.1:1234'])}/"


def strange_character(draw: random.Random) -> str:
    url = draw.choice(ALLOWED)
    end = url.index("/", 8)
    at = draw.randint(7, end)
    text = url[:at] + draw.choice(CONTROLS + ODD) + draw.choice(["", "evil.com", ".evil.com"]) + url[at:]
    # A mark that ends the host in the right place changes nothing: there the URL would be good.
    return text if not text.startswith(url[:end]) else text.replace(url[:end], url[:end] + "\\", 1)


def whitespace_anywhere(draw: random.Random) -> str:
    url = draw.choice(ALLOWED)
    at = draw.randint(0, len(url))
    return url[:at] + draw.choice(CONTROLS) + url[at:]


def other_scheme(draw: random.Random) -> str:
    scheme = draw.choice(
        ["http", "ftp", "ws", "wss", "file", "gopher", "unix", "http+unix", "javascript", "data", "httpss"]
    )
    slashes = draw.choice(["://", "://", ":", ":/", "//", "", ":\\\\", ":///", "::/"])
    return f"{scheme}{slashes}{draw.choice(NAMES)}{draw.choice(['', ':443', ':80', '/v1'])}"


def broken_slashes(draw: random.Random) -> str:
    start = draw.choice(
        [
            "https:",
            "https:/",
            "https:///",
            "https:////",
            "https//",
            "//",
            "",
            "://",
            "https:\\\\",
            "https:/\\",
        ]
    )
    return f"{start}{draw.choice(NAMES)}/"


def other_port(draw: random.Random) -> str:
    port = draw.choice(
        [
            str(draw.randint(0, 70000)),
            "",
            "0443",
            "+443",
            "-443",
            "443x",
            "0x1bb",
            "4 43",
            "443:443",
            "４４３",
        ]
    )
    return f"https://api.openai.com:{port if port != '443' else '444'}/"


def other_local_port(draw: random.Random) -> str:
    port = draw.choice(
        [p for p in (draw.randint(1, 65535), 22, 80, 443, 2375, 6379, 12345, 123) if p != 1234]
    )
    return f"http://{draw.choice(['127.0.0.1', 'localhost', '[::1]', '0.0.0.0', '127.1.1.1'])}:{port}/v1"


def write_octets(draw: random.Random, number: int) -> str:
    octets = [number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255]
    forms = [
        lambda o: str(o),
        lambda o: f"0{o:o}",
        lambda o: f"0x{o:x}",
        lambda o: f"0X{o:02X}",
        lambda o: f"{o:03d}0",
    ]
    return ".".join(draw.choice(forms[1:])(octet) for octet in octets)


def disguised_v4(draw: random.Random) -> str:
    number = int(
        IPv4Address(draw.choice(["127.0.0.1", "169.254.169.254", "10.0.0.1", "0.0.0.0", "192.168.1.1"]))
    )
    a, b = number >> 24, number & 0xFFFFFF
    host = draw.choice(
        [
            str(number),
            hex(number),
            f"0{number:o}",
            f"{a}.{b}",
            f"{a}.{hex(b)}",
            f"0{a:o}.{b}",
            f"{a}.{b >> 16}.{b & 65535}",
            str(number + 2**32),
            f"{IPv4Address(number)}.",
            f"{IPv4Address(number)}..",
            write_octets(draw, number),
            str(IPv4Address(number)).translate({48 + i: 65296 + i for i in range(10)}),
            f"[{IPv4Address(number)}]",
            f"{IPv4Address(number)}.nip.io",
            str(IPv4Address(number)).replace(".", "。"),
            f"{IPv4Address(number)}%00.a.trusted.org",
        ]
    )
    return f"{draw.choice(['http', 'https'])}://{host}{draw.choice(['', ':1234', ':443'])}/"


def disguised_v6(draw: random.Random) -> str:
    v4 = draw.choice(["127.0.0.1", "7f00:1", "169.254.169.254", "a9fe:a9fe", "10.0.0.1"])
    prefix = draw.choice(
        [
            "::",
            "::ffff:",
            "::ffff:0:",
            "64:ff9b::",
            "64:ff9b:1::",
            "2002::",
            "fe80::5efe:",
            "2001:4860::5efe:",
            "0:0:0:0:0:ffff:",
        ]
    )
    zone = draw.choice(["", "", "%25eth0", "%eth0", "%1"])
    return f"{draw.choice(['http', 'https'])}://[{prefix}{v4}{zone}]{draw.choice(['', ':1234', ':443'])}/"


def encoded(draw: random.Random) -> str:
    name = draw.choice(NAMES)
    at = draw.randrange(len(name))
    form = draw.choice(
        [
            f"%{ord(name[at]):02x}",
            f"%25{ord(name[at]):02x}",
            f"%u{ord(name[at]):04x}",
            "%00",
            "%2f",
            "%40",
            "%5c",
            "%0d%0a",
        ]
    )
    return f"https://{name[:at]}{form}{name[at + draw.choice([0, 1]) :]}/"


def empty_label(draw: random.Random) -> str:
    name = draw.choice(NAMES)
    return f"https://{draw.choice(['.' + name, name + '..', name.replace('.', '..', 1), name + '...', '..' + name, '-' + name, name + '-'])}/"


def redirect_shaped(draw: random.Random) -> str:
    host = f"evil{draw.randint(0, 9999)}.com"
    return f"https://{host}{draw.choice(['/', '?', '#', '/?', '/#', ':443/', '?u=', '/@'])}{draw.choice(ALLOWED)}"


TRICKS: tuple[Callable[[random.Random], str], ...] = (
    look_alike, neighbour, near_domain, userinfo, strange_character, whitespace_anywhere, other_scheme, broken_slashes, other_port,
    other_local_port, disguised_v4, disguised_v6, encoded, empty_label, redirect_shaped,
)  # fmt: skip

BY_HAND = (
    "https://api.openai.com@evil.com", "https://evil.com#@api.openai.com", "https://evil.com\\@api.openai.com",
    "https://api.openai.com\\.evil.com", "https://api.openai.com:443@evil.com", "https://api.openai.com%00.evil.com",
    "https://api.openai.com\t.evil.com", "https://api.openai.com.evil.com", "https://api-openai.com", "https://openai.com",
    "https://api.openai.com:80", "http://api.openai.com:443", "http://api.openai.com", "https://api.openai.com:443:80",
    "http://127.0.0.1", "http://127.0.0.1:12345", "http://127.0.0.1:123", "http://127.0.0.2:1234", "http://localhost:1234",
    "http://[::1]:1234", "http://[::ffff:127.0.0.1]:1234", "http://0:1234", "http://0.0.0.0:1234", "http://127.1:1234",
    "http://127.0.0.1.:1234", "http://127.0.0.1.nip.io:1234", "https://127.0.0.1:1234", "http://127.0.0.1:1234@evil.com",
    "http://127.0.0.1:1234.evil.com", "http://127.0.0.1:01234", "http://①②⑦.0.0.1:1234", "http://[127.0.0.1]:1234",
    "https://good.example.com", "https://good.example.com:443", "https://evilgood.example.com:8443", "https://example.com:8443",
    "https://trusted.org.evil.com", "https://eviltrusted.org", "https://trusted.org:8443", "https://org", "https://.trusted.org",
    "https://*.trusted.org", "https://a_b.trusted.org", "https://xn--.trusted.org", "https://xn--0.trusted.org",
    "https://trusted。org.evil.com", "https://аpi.openai.com", "https://api.openaı.com", "https://api。openai。com。evil。com",
    "http://169.254.169.254/latest/meta-data", "http://metadata.google.internal", "http://[fd00:ec2::254]", "file:///etc/passwd",
    "unix:///run/docker.sock", "http+unix://%2Frun%2Fdocker.sock", "//api.openai.com", "api.openai.com", "", "https://",
    "https:api.openai.com", "javascript:alert(1)", "data:text/plain,https://api.openai.com", "https\x00://api.openai.com",
    "https://api.openai.com\n", "\ufeffhttps://api.openai.com", "https://api.openai.com\ud800", "ｈttps://api.openai.com",
)  # fmt: skip


def test_the_urls_that_the_tricks_start_from_are_allowed():
    """What follows shows something only because these four do get through."""
    assert all(map(is_let_through, ALLOWED))


def test_three_thousand_hostile_urls_are_all_refused():
    """Generated from fifteen kinds of trick, always the same ones; in both categories none is allowed."""
    draw = random.Random(20261122)
    urls = {trick(draw) for _ in range(400) for trick in TRICKS}
    assert len(urls) > 3000
    assert [url for url in sorted(urls) if is_let_through(url)] == []


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__)
def test_each_kind_of_trick_leads_to_no_listed_place(trick):
    """No trick makes something that parses to an allowed place: its target, if it has one, is in no rule."""
    draw = random.Random(trick.__name__)
    for _ in range(60):
        url = trick(draw)
        try:
            target = parse(url)
        except InvalidURL:
            continue
        assert POLICY.decide(target).rule in {"default_deny", "https_required"}, url


@pytest.mark.parametrize("url", BY_HAND)
def test_known_tricks_are_refused(url):
    """The classics of parser confusion, one by one."""
    assert not is_let_through(url)


def test_an_empty_policy_allows_none_of_them():
    """With no rules at all, not even the good ones go."""
    draw = random.Random(1)
    empty = Policy(Rules())
    for url in [*ALLOWED, *BY_HAND, *(trick(draw) for _ in range(30) for trick in TRICKS)]:
        assert not is_let_through(url, empty)


# --- properties of the parse ----------------------------------------------------------------------

HOSTISH = st.text(st.sampled_from("abcxyzABC019-._:[]@%/\\?#* \téßıКａ。．１x"), max_size=24)
URLISH = st.one_of(
    st.text(max_size=40),
    st.builds("{}://{}{}".format, st.sampled_from(["https", "http", "HTTPS", "ftp", ""]), HOSTISH, HOSTISH),
    st.builds("https://{}".format, st.text(max_size=30)),
    st.builds("https://{}.{}:{}/".format, st.text(max_size=12), st.text(max_size=12), st.integers(-1, 70000)),
    st.builds("http://[{}]:{}".format, st.ip_addresses(v=6), st.integers(1, 65535)),
    st.builds(
        "https://xn--{}.example".format,
        st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789-"), max_size=20),
    ),
)


@settings(max_examples=1500)
@given(URLISH)
@example("https://[::ffff:1.2.3.4]:80")
@example("http://A.Example.:443")
def test_whatever_parses_is_canonical(url):
    """A target parses to itself, and its host is A-labels of letters, digits and hyphens, or an IP literal."""
    try:
        target = parse(url)
    except InvalidURL:
        return
    assert parse(str(target)) == target
    assert target.scheme in {"https", "http"}
    assert 1 <= target.port <= 65535
    if ":" in target.host:
        assert str(IPv6Address(target.host)) == target.host
        return
    labels = target.host.split(".")
    assert all(set(label) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for label in labels)
    assert all(0 < len(label) < 64 and label.strip("-") == label for label in labels)
    assert len(target.host) <= 253
    if labels[-1].isdigit():
        assert str(IPv4Address(target.host)) == target.host


@settings(max_examples=500)
@given(HOSTISH)
def test_an_entry_and_a_url_agree_on_the_host(host):
    """What the configuration lists and what a request asks for go through one reading."""
    try:
        name, port = check_host_entry(host)
    except InvalidURL:
        return
    entry = Target("https", name, port)
    assert parse(f"https://{host}") == entry
    assert Policy(Rules(allowed_hosts=(host,), allowed_cidrs=("::/0", "0.0.0.0/0"))).decide(entry).allowed


LABEL = st.text(st.sampled_from("abcxyz"), min_size=1, max_size=3)


@settings(max_examples=500)
@given(st.lists(LABEL, min_size=1, max_size=4), st.lists(LABEL, min_size=1, max_size=4), st.booleans())
def test_a_domain_matches_by_whole_labels(host, domain, is_wildcard):
    """The same labels from the right, and nothing more unless there is a star: compared with the plainest reading."""
    policy = Policy(Rules(allowed_domains=("*." * is_wildcard + ".".join(domain), "*.q.q.q.q.q")))
    fits = host == domain or (is_wildcard and host[-len(domain) :] == domain)
    assert policy.decide(Target("https", ".".join(host), 443)).allowed == fits


@settings(max_examples=300)
@given(st.text(max_size=20))
def test_a_domain_entry_is_canonical_or_refused(entry):
    """No text at all breaks the reading of a domain."""
    try:
        name, is_wildcard = check_domain_entry(entry)
    except InvalidURL:
        return
    assert check_domain_entry("*." * is_wildcard + name) == (name, is_wildcard)


# --- addresses that are not public ----------------------------------------------------------------

# Written out again on purpose, from the IANA registries and the operators' documents, not read from the product.
DENIED = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
    "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "255.255.255.255/32", "169.254.169.254/32", "100.100.100.200/32", "192.0.0.192/32",
    "::/128", "::1/128", "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64",
    "100:0:0:1::/64", "1000::/4", "2001::/23", "2001::/32", "2001:1::1/128", "2001:1::2/128", "2001:2::/48", "2001:3::/32",
    "2001:4:112::/48", "2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48",
    "3ffe::/16", "3fff::/20", "4000::/3", "5f00::/16", "6000::/3", "8000::/3", "a000::/3", "c000::/3", "e000::/4",
    "f000::/5", "f800::/6", "fc00::/7", "fd00:ec2::254/128", "fe00::/9", "fe80::/10", "fec0::/10", "ff00::/8",
)  # fmt: skip
NETWORKS = tuple(map(ip_network, DENIED))
NAMED = Policy(Rules(allowed_hosts=("a.example",)))
OPEN = Policy(Rules(default_deny=False))


def is_connected(address: str) -> bool:
    """Whether a name that resolves to this address would be connected to; and the literal must agree."""
    decision = NAMED.decide(parse("https://a.example"))
    checked = NAMED.check_addresses(decision.target, decision, [address])
    literal = OPEN.decide(parse(f"https://[{address}]" if ":" in address else f"https://{address}"))
    assert checked.allowed == literal.allowed
    assert checked.allowed or checked.rule == "private_address"
    return checked.allowed


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_a_denied_network_is_denied_from_its_first_to_its_last_address(network):
    """First, second, middle, last: refused. One before, one after: refused only if another network has them.

    No IPv6 address outside of 2000::/3 is public, whatever network it lies in.
    """
    first, last = int(network[0]), int(network[-1])
    kind = type(network[0])
    for number in {first, min(first + 1, last), (first + last) // 2, last}:
        assert not is_connected(str(kind(number)))
    for number in (first - 1, last + 1):
        if not 0 <= number < 2**network.max_prefixlen:
            continue
        outside = kind(number)
        is_global = outside.version == 4 or outside in ip_network("2000::/3")
        is_public = is_global and not any(outside in other for other in NETWORKS)
        assert is_connected(str(outside)) == is_public, str(outside)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "168.63.129.15",
        "168.63.129.17",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "223.255.255.255",
        "104.18.6.192",
        "2001:200::",
        "2001:4860:4860::8888",
        "2606:4700::6812:6c0",
        "2a00:1450:4001::200e",
        "2000::",
        "3ffd:ffff::1",
        "3fff:1000::",
    ],
)
def test_public_addresses_are_connected_to(address):
    """The filter is not a wall: ordinary addresses, and those right beside the denied networks, pass."""
    assert is_connected(address)


def embed(v4: int) -> dict[str, int]:
    """Every known way to put an IPv4 address into an IPv6 one, under its name."""
    high, low, flipped = v4 >> 16, v4 & 0xFFFF, v4 ^ 0xFFFFFFFF
    local = int(IPv6Address("64:ff9b:1::"))
    prefixes = ("fe80::", "fec0::", "fd00::", "2001:4860::", "2606:4700:1:2::", "2a00:1450:4001:81b::")
    isatap = {
        f"isatap {mark:x} {prefix}": int(IPv6Address(prefix)) | mark << 48 | 0x5EFE << 32 | v4
        for prefix in prefixes
        for mark in (0x0000, 0x0200)
    }
    return isatap | {
        "mapped": 0xFFFF << 32 | v4,
        "compatible": v4,
        "translated": 0xFFFF << 48 | v4,
        "nat64": int(IPv6Address("64:ff9b::")) | v4,
        "nat64 local, last": local | v4,
        "nat64 local, /48": local | high << 64 | low << 40,
        "nat64 local, /56": local | (v4 >> 24) << 64 | (v4 & 0xFFFFFF) << 32,
        "nat64 local, /64": local | v4 << 24,
        "6to4": 0x2002 << 112 | v4 << 80,
        "6to4, host too": 0x2002 << 112 | v4 << 80 | v4,
        "6to4 relay": 0x2002 << 112 | 0xC0586301 << 80 | v4,
        "teredo client": 0x20010000 << 96 | 0x08080808 << 64 | flipped,
        "teredo server": 0x20010000 << 96 | v4 << 64 | 0xF7F7F7F7,
        "orchid": int(IPv6Address("2001:20::")) | v4,
        "documentation": int(IPv6Address("2001:db8::")) | v4,
        "discard": int(IPv6Address("100::")) | v4,
        "link-local": int(IPv6Address("fe80::")) | v4,
        "unique local": int(IPv6Address("fd00::")) | v4,
        "multicast": int(IPv6Address("ff0e::")) | v4,
    }


EMBEDDED = [
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "0.0.0.0",
    "8.8.8.8",
    "104.18.6.192",
    "255.255.255.255",
]


@pytest.mark.parametrize("text", EMBEDDED)
def test_an_ipv4_address_inside_an_ipv6_one_is_refused(text):
    """All forms, for private and public addresses alike: more than two hundred, none connected to."""
    forms = embed(int(IPv4Address(text)))
    assert len(forms) * len(EMBEDDED) > 200
    assert [name for name, number in forms.items() if is_connected(str(IPv6Address(number)))] == []


@settings(max_examples=300)
@given(st.integers(0, 2**32 - 1))
def test_any_ipv4_address_inside_an_ipv6_one_is_refused(v4):
    """The same for whatever address is hidden, in its short, its long and its dotted spelling."""
    decision = NAMED.decide(parse("https://a.example"))
    for number in embed(v4).values():
        address = IPv6Address(number)
        dotted = f"{address.exploded[:30]}{IPv4Address(number & 0xFFFFFFFF)}"
        assert ip_address(dotted) == address
        for spelling in (str(address), address.exploded.upper(), dotted):
            assert not NAMED.check_addresses(decision.target, decision, [spelling]).allowed


@settings(max_examples=300)
@given(st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=8)), min_size=1, max_size=4))
def test_a_resolvers_answer_is_as_good_as_its_worst_address(addresses):
    """Mixed answers are refused whenever one of the addresses alone would be; no answer breaks the check."""
    decision = NAMED.decide(parse("https://a.example"))
    alone = [NAMED.check_addresses(decision.target, decision, [address]).allowed for address in addresses]
    assert NAMED.check_addresses(decision.target, decision, addresses).allowed == all(alone)
