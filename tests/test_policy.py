"""What the policy allows, what it refuses, and what it says about it."""

from __future__ import annotations

import subprocess
import sys
import timeit
from typing import Any

import pytest
import yaml

from missy.policy import (
    Endpoint,
    InvalidURL,
    Policy,
    Reach,
    Rules,
    Target,
    check_cidr,
    check_domain_entry,
    check_host_entry,
    parse,
)

PUBLIC = ("104.18.6.192", "2606:4700::6812:6c0")


def explain(rules: Rules, url: str, category: Any = "provider") -> tuple[bool, str]:
    decision = Policy(rules).decide(parse(url), category)
    return decision.allowed, decision.rule


# --- one parse ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port"),
    [
        ("https://api.openai.com/v1", "https", "api.openai.com", 443),
        ("HTTPS://API.OpenAI.com./v1?a=b#c", "https", "api.openai.com", 443),
        ("http://localhost", "http", "localhost", 80),
        ("http://127.0.0.1:11434/v1", "http", "127.0.0.1", 11434),
        ("https://[::1]:8443", "https", "::1", 8443),
        ("https://[2606:4700:0:0:0:0:0:1]", "https", "2606:4700::1", 443),
        ("https://[FD00::A]/", "https", "fd00::a", 443),
        ("https://a.example?x=https://b.example", "https", "a.example", 443),
        ("https://a.example#@b.example", "https", "a.example", 443),
        ("https://a.example/user@b.example:99", "https", "a.example", 443),
        ("https://münchen.example", "https", "xn--mnchen-3ya.example", 443),
        ("https://MÜNCHEN。example", "https", "xn--mnchen-3ya.example", 443),
        ("https://faß.example", "https", "xn--fa-hia.example", 443),
        ("https://XN--MNCHEN-3YA.example", "https", "xn--mnchen-3ya.example", 443),
        ("https://r3---sn.example:65535", "https", "r3---sn.example", 65535),
        ("https://" + "a" * 63 + ".example", "https", "a" * 63 + ".example", 443),
        ("https://" + "a." * 126 + "a", "https", "a." * 126 + "a", 443),
    ],
)
def test_a_url_has_one_canonical_target(url, scheme, host, port):
    """Case, a trailing dot, spelling of IPv6 and international names end in one form; the path has no say."""
    assert parse(url) == Target(scheme, host, port)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "empty"),
        ("api.openai.com", "begins with https://"),
        ("https:api.openai.com", "begins with https://"),
        ("https:/api.openai.com", "begins with https://"),
        ("ftp://a.example", "begins with https://"),
        ("https:///a.example", "no host"),
        ("https://", "no host"),
        ("https://:443", "no host"),
        ("https://?a.example", "no host"),
        ("https://user@a.example", "user name"),
        ("https://a.example:443@b.example", "user name"),
        ("https://a.example\\b.example", "backslash"),
        ("https://a.example/\\b", "backslash"),
        ("https://a.example /", "white space"),
        (" https://a.example", "white space"),
        ("https://a.example\n", "white space"),
        ("https://a.ex\tample", "white space"),
        ("https://a.example\x00.b.example", "control character"),
        ("https://a.ex\u00adample", "invisible"),
        ("https://a.ex\u200bample", "invisible"),
        ("https://a.ex\u202eample", "invisible"),
        ("https://a.example\u3000", "white space"),
        ("https://a%2eexample", "percent"),
        ("https://[fe80::1%25eth0]", "percent escapes and zone ids"),
        ("https://a..example", "empty label"),
        ("https://a.example..", "empty label"),
        ("https://.example", "empty label"),
        ("https://.", "empty label"),
        ("https://" + "a" * 64 + ".example", "63"),
        ("https://" + "a." * 127 + "a", "253"),
        ("https://é" + "a" * 260, "253"),
        ("https://-a.example", "hyphens"),
        ("https://a-.example", "hyphens"),
        ("https://a_b.example", "letters"),
        ("https://a*.example", "letters"),
        ("https://a,b.example", "letters"),
        ("https://a;b.example", "letters"),
        ("https://a／b.example", "international"),
        ("https://℀.example", "international"),
        ("https://é_a.example", "international"),
        ("https://\ufffd.example", "international"),
        ("https://xn--a.example", "international"),
        ("https://a.example:", "port"),
        ("https://a.example:0", "port"),
        ("https://a.example:0443", "port"),
        ("https://a.example:65536", "port"),
        ("https://a.example:+443", "port"),
        ("https://a.example:４４３", "port"),
        ("https://a.example:4_43", "port"),
        ("https://a.example:443:443", "colon"),
        ("https://::1", "brackets"),
        ("https://[::1", "brackets"),
        ("https://[::1]a", "brackets"),
        ("https://[::1]:", "port"),
        ("https://[]", "IPv6"),
        ("https://[127.0.0.1]", "IPv6"),
        ("https://[::1/64]", "brackets"),
        ("https://[v1.a]", "IPv6"),
        ("https://127.1", "IPv4"),
        ("https://0x7f.1", "IPv4"),
        ("https://0177.0.0.1", "IPv4"),
        ("https://127.0.0.01", "IPv4"),
        ("https://2130706433", "IPv4"),
        ("https://0x7f000001", "IPv4"),
        ("https://127.0.0.1.", "IPv4"),
        ("https://127.0.0.256", "IPv4"),
        ("https://1.2.3.4.5", "IPv4"),
        ("https://a.example.0x1", "IPv4"),
        ("https://a.example.0x", "IPv4"),
        ("https://a.123", "IPv4"),
        ("https://１２７.0.0.1", "IPv4"),
        ("https://①②⑦.0.0.1", "IPv4"),
    ],
)
def test_what_two_parsers_could_read_in_two_ways_is_refused(url, says):
    """Nothing is repaired or guessed, and the message says what is wrong."""
    with pytest.raises(InvalidURL, match=says):
        parse(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hunter2@a.example",
        "https://me:hunter2/x@a.example",
        "https://me:hunter2:a.example",
        "https://me:hunter2?@a",
    ],
)
def test_a_password_in_a_url_is_not_repeated(url):
    """A message about a URL goes to a terminal and a log: it holds no password."""
    with pytest.raises(InvalidURL) as caught:
        parse(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://a.example", "http://a.example:8080", "https://[::1]:9", "http://[fd00::1]"]
)
def test_a_target_prints_as_the_url_that_parses_to_it(url):
    """The text of a target is its canonical URL."""
    assert str(parse(url)) == url


# --- entries --------------------------------------------------------------------------------------


def test_a_host_entry_has_a_port_or_means_443():
    """host, host:port and [v6]:port are the three forms."""
    assert check_host_entry("API.example.com.") == ("api.example.com", 443)
    assert check_host_entry("api.example.com:8443") == ("api.example.com", 8443)
    assert check_host_entry("[::1]:80") == ("::1", 80)
    assert check_host_entry("10.0.0.1") == ("10.0.0.1", 443)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "*",
        "*.example.com",
        "https://a.example",
        "a.example/v1",
        "::1",
        "a.example:",
        "u@a.example",
        "a b",
        "127.1",
    ],
)
def test_a_host_entry_that_is_no_host_is_refused(entry):
    """A pattern, a URL or a misspelt address in allowed_hosts is an error, not an entry that never fits."""
    with pytest.raises(InvalidURL):
        check_host_entry(entry)


def test_a_domain_entry_is_a_name_or_a_wildcard():
    """example.com is itself alone; *.example.com is the name and all under it."""
    assert check_domain_entry("Example.com.") == ("example.com", False)
    assert check_domain_entry("*.example.com") == ("example.com", True)
    assert check_domain_entry("*.münchen.example") == ("xn--mnchen-3ya.example", True)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "*",
        "*.",
        "*.*.com",
        "*example.com",
        "a.*.com",
        "example.*",
        ".example.com",
        "example.com:443",
        "https://a.com",
        "10.0.0.1",
        "*.10.0.0.1",
        "[::1]",
        "a_b.com",
        "a.com/",
        "exa mple.com",
    ],
)
def test_a_domain_entry_that_is_no_domain_is_refused(entry):
    """A star stands alone before the first dot, or nowhere; addresses and ports do not belong here."""
    with pytest.raises(InvalidURL):
        check_domain_entry(entry)


def test_a_cidr_is_a_network_or_an_address():
    """Both families, with a prefix length or without."""
    assert str(check_cidr("10.0.0.0/8")) == "10.0.0.0/8"
    assert str(check_cidr("192.168.1.7")) == "192.168.1.7/32"
    assert str(check_cidr("FD00::/8")) == "fd00::/8"


@pytest.mark.parametrize(
    "cidr",
    [
        "",
        "10",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/0.255.255.255",
        "10.0.0.0/８",
        "010.0.0.0/8",
        "fe80::%eth0/64",
        "fe80::1%eth0",
        "a.example",
        "10.0.0.0/8/8",
        " 10.0.0.0/8",
        "::/129",
    ],
)
def test_a_cidr_that_is_no_network_is_refused(cidr):
    """Netmasks, zones and names are errors."""
    with pytest.raises(InvalidURL, match="is not a network"):
        check_cidr(cidr)


def test_a_cidr_with_host_bits_is_told_its_network():
    """192.168.1.5/24 is probably a mistake: the message has the network that it lies in."""
    with pytest.raises(InvalidURL, match=r"the network is 192\.168\.1\.0/24"):
        check_cidr("192.168.1.5/24")


@pytest.mark.parametrize(
    "rules",
    [
        Rules(endpoints=(Endpoint("nonsense", "x"),)),
        Rules(allowed_hosts=("*",)),
        Rules(tool_allowed_hosts=("a.example", "b..example")),
        Rules(allowed_domains=("*",)),
        Rules(allowed_cidrs=("10.0.0.1/8",)),
        Rules(preset_hosts=(("x", "https://a"),)),
    ],
)
def test_a_policy_with_an_unreadable_rule_does_not_exist(rules):
    """A broken rule is an error at once: never a policy without it."""
    with pytest.raises(InvalidURL):
        Policy(rules)


# --- the decision ---------------------------------------------------------------------------------


def test_the_default_is_to_deny():
    """With no rule nothing is reached, in either category."""
    assert explain(Rules(), "https://api.openai.com/v1") == (False, "default_deny")
    assert explain(Rules(), "https://api.openai.com/v1", "tool") == (False, "default_deny")


def test_a_refusal_is_false_and_a_permission_true():
    """`if policy.decide(...)` does what it reads like."""
    assert not Policy(Rules()).decide(parse("https://a.example"))
    assert Policy(Rules(allowed_hosts=("a.example",))).decide(parse("https://a.example"))


def test_an_entry_allows_its_endpoint_alone():
    """An endpoint is allowed for providers, with its scheme and port: no other port, scheme, name or category."""
    rules = Rules(
        endpoints=(
            Endpoint("https://api.groq.com/openai/v1", "groq"),
            Endpoint("https://a.example:8443", "a"),
        )
    )
    assert explain(rules, "https://API.groq.com/anything") == (True, "entry:groq")
    assert explain(rules, "https://a.example:8443") == (True, "entry:a")
    assert explain(rules, "https://a.example") == (False, "default_deny")
    assert explain(rules, "https://api.groq.com:8443") == (False, "default_deny")
    assert explain(rules, "https://groq.com") == (False, "default_deny")
    assert explain(rules, "https://x.api.groq.com") == (False, "default_deny")
    assert explain(rules, "http://api.groq.com") == (False, "https_required")
    assert explain(rules, "http://api.groq.com:443") == (False, "https_required")
    assert explain(rules, "https://api.groq.com", "tool") == (False, "default_deny")


@pytest.mark.parametrize(
    ("rules", "rule", "provider", "tool"),
    [
        (Rules(provider_allowed_hosts=("a.example",)), "provider_allowed_hosts", True, False),
        (Rules(tool_allowed_hosts=("a.example",)), "tool_allowed_hosts", False, True),
        (Rules(allowed_hosts=("a.example",)), "allowed_hosts", True, True),
        (Rules(allowed_domains=("a.example",)), "allowed_domains", True, True),
        (Rules(allowed_domains=("*.example",)), "allowed_domains", True, True),
        (Rules(preset_hosts=(("demo", "a.example"),)), "preset:demo", True, True),
        (Rules(default_deny=False), "default_allow", True, True),
    ],
)
def test_each_list_speaks_for_its_categories(rules, rule, provider, tool):
    """What is listed for providers is closed to tools, and the other way round; the rest is for both."""
    for category, allowed in (("provider", provider), ("tool", tool)):
        expected = (True, rule) if allowed else (False, "default_deny")
        assert explain(rules, "https://a.example/x", category) == expected


def test_a_host_is_allowed_on_its_port_alone():
    """A host without a port means 443; another port is another place."""
    rules = Rules(allowed_hosts=("a.example", "b.example:8443", "[2606:4700::1]:99"))
    assert explain(rules, "https://a.example")[0]
    assert explain(rules, "https://b.example:8443")[0]
    assert explain(rules, "https://[2606:4700::1]:99")[0]
    for url in (
        "https://a.example:8443",
        "https://b.example",
        "https://[2606:4700::1]",
        "https://a.example:4430",
    ):
        assert explain(rules, url) == (False, "default_deny")


@pytest.mark.parametrize(
    "host", ["example.com", "a.example.com", "a.b.example.com", "x" * 63 + ".example.com"]
)
def test_a_wildcard_covers_its_name_and_all_under_it(host):
    """*.example.com is example.com and every depth below."""
    assert explain(Rules(allowed_domains=("*.example.com", "*.b.deep.example.net")), f"https://{host}")[0]


@pytest.mark.parametrize(
    "host",
    [
        "evilexample.com",
        "example.com.evil.net",
        "example.co",
        "xexample.com",
        "com",
        "example.com-evil.net",
        "-example.net",
        "deep.example.net",
        "xb.deep.example.net",
        "a.exact.example",
        "exact.example.evil.net",
    ],
)
def test_a_domain_ends_at_a_dot(host):
    """A name that only ends with the same letters is another name, and an exact domain has nothing under it."""
    rules = Rules(allowed_domains=("*.example.com", "*.b.deep.example.net", "exact.example"))
    try:
        assert explain(rules, f"https://{host}") == (False, "default_deny")
    except InvalidURL:
        assert host == "-example.net"


def test_a_domain_means_https_on_443():
    """A domain opens no other port, and no http even where a network is allowed."""
    rules = Rules(allowed_domains=("*.example.com",), allowed_cidrs=("10.0.0.0/8",))
    assert explain(rules, "https://a.example.com:443")[0]
    assert explain(rules, "https://a.example.com:8443") == (False, "default_deny")
    assert explain(rules, "http://a.example.com:443") == (False, "default_deny")
    assert explain(rules, "http://a.example.com") == (False, "default_deny")


def test_default_deny_off_still_asks_for_https_and_public_addresses():
    """With default_deny false any name may be asked for over https; addresses that are not public stay refused."""
    rules = Rules(default_deny=False)
    assert explain(rules, "https://anything.example:8443") == (True, "default_allow")
    assert explain(rules, "http://anything.example") == (False, "https_required")
    assert explain(rules, "http://127.0.0.1:1234") == (False, "https_required")
    assert explain(rules, "https://127.0.0.1") == (False, "private_address")
    assert explain(rules, "https://169.254.169.254") == (False, "private_address")
    policy = Policy(rules)
    decision = policy.decide(parse("https://rebind.example"))
    assert policy.check_addresses(decision.target, decision, ["10.0.0.1"]).rule == "private_address"
    unknown = Policy(rules).decide(Target("ftp", "a.example", 21))
    assert (unknown.allowed, unknown.fix) == (False, "")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST.", "[::1]"])
def test_http_is_allowed_to_a_loopback_endpoint_that_an_entry_names(host):
    """A local server works out of the box, on its port, for providers; every other local port is closed."""
    rules = Rules(endpoints=(Endpoint(f"http://{host}:1234/v1", "laptop"),))
    assert explain(rules, f"http://{host}:1234/v1/models") == (True, "entry:laptop")
    assert explain(rules, f"http://{host}:1235/v1") == (False, "default_deny")
    assert explain(rules, f"http://{host}") == (False, "default_deny")
    assert explain(rules, f"https://{host}:1234") == (False, "default_deny")
    assert explain(rules, f"http://{host}:1234", "tool") == (False, "default_deny")


def test_loopback_in_a_list_is_not_an_entry():
    """A list or a preset does not open one's own machine: only an entry or allowed_cidrs do."""
    for rules in (Rules(allowed_hosts=("127.0.0.1:1234",)), Rules(preset_hosts=(("p", "127.0.0.1:1234"),))):
        assert explain(rules, "http://127.0.0.1:1234") == (False, "https_required")
        assert explain(rules, "https://127.0.0.1:1234") == (False, "private_address")
    rules = Rules(allowed_hosts=("127.0.0.1:1234",), allowed_cidrs=("127.0.0.1/32",))
    assert explain(rules, "http://127.0.0.1:1234", "tool") == (True, "allowed_hosts")


def test_the_same_loopback_place_is_an_endpoint_for_providers_only():
    """A tool that has the endpoint in its own list is still held to the addresses."""
    rules = Rules(
        endpoints=(Endpoint("http://127.0.0.1:1234", "laptop"),), tool_allowed_hosts=("127.0.0.1:1234",)
    )
    assert explain(rules, "http://127.0.0.1:1234") == (True, "entry:laptop")
    assert explain(rules, "http://127.0.0.1:1234", "tool") == (False, "https_required")


def test_http_needs_a_network_that_holds_every_address():
    """A server on one's own network may speak http, if all its addresses lie in allowed_cidrs."""
    endpoint = (Endpoint("http://nas.example:11434/v1", "nas"),)
    assert explain(Rules(endpoints=endpoint), "http://nas.example:11434") == (False, "https_required")
    policy = Policy(Rules(endpoints=endpoint, allowed_cidrs=("192.168.1.0/24",)))
    target = parse("http://nas.example:11434")
    decision = policy.decide(target)
    assert decision.allowed
    assert "allowed_cidrs" in decision.reason
    assert policy.check_addresses(target, decision, ["192.168.1.7", "192.168.1.8"]).allowed
    assert policy.check_addresses(target, decision, ["192.168.1.7", PUBLIC[0]]).rule == "https_required"
    assert policy.check_addresses(target, decision, [PUBLIC[0]]).rule == "https_required"
    assert policy.check_addresses(target, decision, ["192.168.2.7"]).rule == "private_address"


def test_a_host_on_443_never_speaks_http():
    """A host without a port is listed for https, also where http to one's own network is allowed."""
    rules = Rules(allowed_hosts=("10.0.0.5", "10.0.0.6:81"), allowed_cidrs=("10.0.0.0/8",))
    assert explain(rules, "https://10.0.0.5") == (True, "allowed_hosts")
    assert explain(rules, "http://10.0.0.5:443") == (False, "default_deny")
    assert explain(rules, "http://10.0.0.6:81") == (True, "allowed_hosts")


@pytest.mark.parametrize(
    "host", ["127.evil.example", "127.0.0.1.example", "localhost.example", "x.localhost"]
)
def test_a_name_that_looks_like_loopback_is_a_name(host):
    """Only 127.0.0.0/8, ::1 and localhost itself are loopback: an entry for another name gets no http."""
    assert explain(Rules(endpoints=(Endpoint(f"http://{host}:1234", "x"),)), f"http://{host}:1234") == (
        False,
        "https_required",
    )


def test_an_address_in_the_url_is_judged_at_once():
    """An IP literal needs no resolver: decide has the whole answer."""
    hosts = ("10.0.0.5", "10.0.0.5:81", "8.8.8.8", "8.8.8.8:81", "[fd00::5]", "[2606:4700::1]")
    shut, open_ = (
        Rules(allowed_hosts=hosts),
        Rules(allowed_hosts=hosts, allowed_cidrs=("10.0.0.0/24", "fd00::/64")),
    )
    assert explain(shut, "https://10.0.0.5") == (False, "private_address")
    assert explain(shut, "https://[fd00::5]") == (False, "private_address")
    assert explain(shut, "https://8.8.8.8") == (True, "allowed_hosts")
    assert explain(shut, "https://[2606:4700::1]") == (True, "allowed_hosts")
    assert explain(open_, "https://10.0.0.5") == (True, "allowed_hosts")
    assert explain(open_, "http://10.0.0.5:81") == (True, "allowed_hosts")
    assert explain(open_, "https://[fd00::5]") == (True, "allowed_hosts")
    assert explain(open_, "http://8.8.8.8:81") == (False, "https_required")


# --- addresses ------------------------------------------------------------------------------------


def judge(rules: Rules, url: str, *addresses: str) -> str:
    policy = Policy(rules)
    decision = policy.decide(parse(url))
    assert decision.allowed
    return policy.check_addresses(decision.target, decision, addresses).rule


def test_one_bad_address_refuses_them_all():
    """The whole answer of the resolver is good, or none of it is used."""
    rules = Rules(allowed_hosts=("a.example",))
    assert judge(rules, "https://a.example", *PUBLIC) == "allowed_hosts"
    assert judge(rules, "https://a.example", *PUBLIC, "10.0.0.1") == "private_address"
    assert judge(rules, "https://a.example", "::1", *PUBLIC) == "private_address"


@pytest.mark.parametrize(
    "address", ["", "a.example", "127.1", "1.2.3.4 ", "2606:4700::1%eth0", "fe80::1%1", "8.8.8.8/32", "[::1]"]
)
def test_what_is_not_a_plain_address_refuses_them_all(address):
    """An address with a zone, or something that is none, is never connected to, even with a network that has it."""
    rules = Rules(allowed_hosts=("a.example",), allowed_cidrs=("fe80::/10", "127.0.0.0/8"))
    assert judge(rules, "https://a.example", PUBLIC[0], address) == "invalid"


def test_a_name_without_an_address_is_refused():
    """No address is no permission."""
    assert judge(Rules(allowed_hosts=("a.example",)), "https://a.example") == "invalid"


def test_a_refusal_stays_a_refusal_and_a_decision_is_for_its_own_target():
    """Good addresses do not make good what was refused, nor carry a permission over to another target."""
    policy = Policy(Rules(allowed_hosts=("a.example",)))
    refused = policy.decide(parse("https://b.example"))
    assert policy.check_addresses(refused.target, refused, PUBLIC) is refused
    allowed = policy.decide(parse("https://a.example"))
    assert policy.check_addresses(allowed.target, allowed, PUBLIC) is allowed
    assert policy.check_addresses(refused.target, allowed, PUBLIC).rule == "invalid"


def test_allowed_cidrs_open_their_own_addresses():
    """A network opens exactly itself, in its own family: a mapped address is not in an IPv4 network."""
    rules = Rules(allowed_hosts=("a.example",), allowed_cidrs=("10.1.0.0/16", "fd12::/16"))
    for good in ("10.1.0.0", "10.1.255.255", "fd12::1", PUBLIC[0]):
        assert judge(rules, "https://a.example", good) == "allowed_hosts"
    for bad in (
        "10.0.255.255",
        "10.2.0.0",
        "fd13::1",
        "::ffff:10.1.0.1",
        "::10.1.0.1",
        "64:ff9b::10.1.0.1",
        "127.0.0.1",
    ):
        assert judge(rules, "https://a.example", bad) == "private_address"
    everything = Rules(allowed_hosts=("a.example",), allowed_cidrs=("0.0.0.0/0",))
    assert judge(everything, "https://a.example", "::ffff:10.1.0.1") == "private_address"


@pytest.mark.parametrize("url", ["http://localhost:1234", "https://localhost:1234"])
def test_a_loopback_endpoint_is_loopback_in_every_address(url):
    """An entry that names localhost reaches this machine, or nothing."""
    rules = Rules(endpoints=(Endpoint(url, "laptop"),), allowed_cidrs=("10.0.0.0/8",))
    assert judge(rules, url, "127.0.0.1", "::1") == "entry:laptop"
    assert judge(rules, url, "127.255.255.255") == "entry:laptop"
    for bad in (PUBLIC[0], "10.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1", "::2", "128.0.0.0", "::1%lo"):
        assert judge(rules, url, "127.0.0.1", bad) == "not_loopback"


# --- what a refusal says --------------------------------------------------------------------------

FIXABLE = [
    (Rules(), "https://api.example.com", "provider"),
    (Rules(), "https://api.example.com", "tool"),
    (Rules(), "https://api.example.com:8443", "provider"),
    (Rules(), "https://on", "provider"),
    (Rules(), "https://1.e-5", "provider"),
    (Rules(), "https://[2606:4700::1]:8443", "tool"),
    (Rules(), "https://8.8.8.8", "tool"),
    (Rules(), "https://10.0.0.5", "provider"),
    (Rules(), "http://10.0.0.5:11434", "provider"),
    (Rules(), "http://[fd00::5]", "tool"),
    (Rules(), "http://127.0.0.1:11434", "provider"),
    (Rules(), "http://127.0.0.1:11434", "tool"),
    (Rules(), "http://localhost:11434", "provider"),
    (Rules(), "http://[::1]:11434", "provider"),
    (Rules(allowed_cidrs=("10.0.0.0/8",)), "http://nas.example:11434", "provider"),
    (Rules(allowed_cidrs=("10.0.0.0/8",)), "http://10.0.0.5:11434", "tool"),
    (Rules(allowed_cidrs=("8.8.8.0/24",)), "http://8.8.8.8", "tool"),
    (Rules(allowed_hosts=("api.example.com",)), "https://api.example.com:8443", "provider"),
    (Rules(allowed_hosts=("10.0.0.5:81",)), "https://10.0.0.5:81", "tool"),
    (Rules(allowed_hosts=("10.0.0.5:81",)), "http://10.0.0.5:81", "tool"),
    (Rules(allowed_hosts=("localhost:81",)), "http://localhost:81", "tool"),
    (Rules(endpoints=(Endpoint("http://192.168.1.7:443", "x"),)), "http://192.168.1.7:443", "provider"),
    (Rules(default_deny=False), "http://10.0.0.5", "tool"),
    (Rules(default_deny=False), "https://10.0.0.5", "tool"),
]


@pytest.mark.parametrize(("rules", "url", "category"), FIXABLE)
def test_the_line_to_add_is_yaml_that_allows_the_target(rules, url, category):
    """Whoever adds the line of a refusal is let through."""
    target = parse(url)
    refused = Policy(rules).decide(target, category)
    assert not refused.allowed
    document = yaml.safe_load(refused.fix)
    for key, values in document.get("network", {}).items():
        rules = rules._replace(**{key: (*getattr(rules, key), *values)})
    for name, entry in document.get("providers", {}).items():
        rules = rules._replace(endpoints=(*rules.endpoints, Endpoint(entry["base_url"], name)))
    assert Policy(rules).decide(target, category).allowed, refused.fix


@pytest.mark.parametrize(
    ("rules", "url"),
    [
        (Rules(), "http://api.example.com"),
        (Rules(), "http://8.8.8.8"),
        (Rules(), "https://169.254.169.254"),
        (Rules(), "http://169.254.169.254/latest/meta-data"),
        (Rules(), "https://168.63.129.16"),
        (Rules(), "https://[::ffff:10.0.0.1]"),
        (Rules(), "https://[fe80::1]"),
        (Rules(), "https://[64:ff9b::a00:1]"),
        (Rules(), "https://0.0.0.0"),
        (Rules(), "https://224.0.0.1"),
        (Rules(), "http://10.0.0.5:443"),
        (Rules(allowed_hosts=("169.254.169.254",)), "https://169.254.169.254"),
        (Rules(allowed_cidrs=("10.0.0.0/8",)), "http://8.8.8.8"),
    ],
)
def test_what_nobody_should_open_comes_without_a_line_to_add(rules, url):
    """Metadata services, reserved networks and plain http to the Internet get no recipe."""
    decision = Policy(rules).decide(parse(url))
    assert not decision.allowed
    assert decision.fix == ""


def test_the_line_to_add_for_addresses_names_each_of_them():
    """A name inside one's own network is told which addresses to allow; a mixed answer is not."""
    policy = Policy(Rules(allowed_hosts=("a.example",)))
    decision = policy.decide(parse("https://a.example"))
    fix = policy.check_addresses(decision.target, decision, ["10.0.0.1", "fd00::1", "10.0.0.1"]).fix
    assert fix == 'network: {allowed_cidrs: ["10.0.0.1/32", "fd00::1/128"]}'
    assert policy.check_addresses(decision.target, decision, ["10.0.0.1", "169.254.169.254"]).fix == ""
    many = [f"10.0.0.{i}" for i in range(9)]
    assert policy.check_addresses(decision.target, decision, many).fix == ""


@pytest.mark.parametrize(
    ("url", "category", "says"),
    [
        ("https://a.example:8443", "provider", "on port 443 only"),
        ("https://x.dom.example:99", "provider", "on port 443 only"),
        ("https://tool.example", "provider", "allowed for tool calls"),
        ("https://two.example", "provider", "on port 81 and 82 only"),
        ("https://127.0.0.1:1234", "provider", "no rule allows it over https"),
        ("https://other.example", "tool", "no rule allows it for a tool call"),
        ("http://a.example", "provider", "https is required"),
    ],
)
def test_a_refusal_names_host_and_port_and_what_is_near(url, category, says):
    """The reason is one sentence with host, port and why: also the port or category that would have fitted."""
    rules = Rules(
        endpoints=(Endpoint("http://127.0.0.1:1234", "laptop"),),
        tool_allowed_hosts=("tool.example",),
        allowed_hosts=("a.example", "two.example:81", "two.example:82"),
        allowed_domains=("*.dom.example",),
    )
    decision = Policy(rules).decide(parse(url), category)
    assert says in decision.reason
    assert f"{decision.target.host} port {decision.target.port} is refused" in decision.reason
    assert "\n" not in decision.reason


# --- all that may be reached ----------------------------------------------------------------------


def test_what_is_listed_as_reachable_is_what_is_allowed():
    """`net list` has every permission and nothing that the policy would refuse."""
    rules = Rules(
        endpoints=(
            Endpoint("https://api.openai.com/v1", "openai"),
            Endpoint("http://[::1]:1234", "laptop"),
            Endpoint("http://nas.example:80", "nas"),
        ),
        tool_allowed_hosts=("t.example:8443",),
        allowed_hosts=("10.0.0.1", "8.8.8.8"),
        allowed_domains=("x.example", "*.x.example", "y.example"),
        preset_hosts=(("p", "p.example"),),
    )
    policy = Policy(rules)
    both = [
        ("8.8.8.8", 443, "allowed_hosts"),
        ("p.example", 443, "preset:p"),
        ("*.x.example", 443, "allowed_domains"),
        ("y.example", 443, "allowed_domains"),
    ]
    expected = {Reach(h, p, "https", c, r) for h, p, r in both for c in ("provider", "tool")} | {
        Reach("api.openai.com", 443, "https", "provider", "entry:openai"),
        Reach("::1", 1234, "http", "provider", "entry:laptop"),
        Reach("t.example", 8443, "https", "tool", "tool_allowed_hosts"),
    }
    assert set(policy.reachable()) == expected
    assert len(policy.reachable()) == len(expected)
    assert Policy(Rules()).reachable() == []


def test_an_open_policy_says_so_in_its_list():
    """default_deny false is a line of its own, for http too where a network is allowed."""
    assert Policy(Rules(default_deny=False)).reachable() == [
        Reach("*", 0, "https", "provider", "default_allow"),
        Reach("*", 0, "https", "tool", "default_allow"),
    ]
    rules = Rules(default_deny=False, allowed_cidrs=("10.0.0.0/8",))
    assert Reach("*", 0, "http", "tool", "default_allow") in Policy(rules).reachable()
    assert explain(rules, "http://10.0.0.1") == (True, "default_allow")


# --- the room itself ------------------------------------------------------------------------------


def test_importing_the_policy_brings_no_way_out():
    """The room is pure: with it come no socket, no ssl, no subprocess, and no idna before a name needs it."""
    code = (
        "import sys; before = set(sys.modules); import missy.policy; missy.policy.parse('https://a.example');"
        "print(*{'socket', 'ssl', 'subprocess', 'idna', 'asyncio', 'inspect', 'urllib'} & (set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_decision_costs_the_same_however_long_the_lists_are():
    """Ten thousand rules are looked up, not walked through."""

    def cost(size: int) -> float:
        hosts = tuple(f"h{i}.example.com" for i in range(size))
        domains = tuple(f"*.d{i}.example.org" for i in range(size))
        policy = Policy(Rules(allowed_hosts=hosts, allowed_domains=domains))
        targets = [
            parse(f"https://{host}") for host in ("h1.example.com", "a.d1.example.org", "evil.example")
        ]
        return min(timeit.repeat(lambda: [policy.decide(target) for target in targets], number=50, repeat=7))

    assert cost(10_000) < 10 * cost(10)
