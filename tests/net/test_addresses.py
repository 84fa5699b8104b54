"""Names that resolve to where nobody should go: decided on addresses, once for each connection, before any is opened."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest

from missy import ConnectionFailed, MissyError, PolicyError, TimedOut
from missy.net.limits import Clock
from tests.net.conftest import SAFETY, send
from tests.servers import response
from tests.test_policy_hostile import EMBEDDED, NETWORKS, embed

HOST = "https://host.example.com/"


def refuse_all(door, table, addresses: list[str]) -> None:
    """Send to the name for each address, and to the address itself: a PolicyError every time."""
    for address in addresses:
        table.names["host.example.com"] = [address]
        with pytest.raises(PolicyError) as raised:
            door.request("GET", HOST, timeout=SAFETY)
        assert raised.value.rule == "private_address"
        literal = f"[{address}]" if ":" in address else address
        with pytest.raises(PolicyError):
            door.request("GET", f"https://{literal}/", timeout=SAFETY)


def test_the_edges_of_every_denied_network_are_never_connected_to(make_door, table, tried):
    """First, second, middle and last address of each network, as a name's answer and as a literal."""
    door = make_door(default_deny=False)
    for network in NETWORKS:
        first, last, kind = int(network[0]), int(network[-1]), type(network[0])
        refuse_all(
            door, table, [str(kind(n)) for n in {first, min(first + 1, last), (first + last) // 2, last}]
        )
    assert tried() == []


def test_every_ipv4_address_in_ipv6_clothes_is_never_connected_to(make_door, table, tried):
    """More than two hundred forms, of private and public addresses alike."""
    door = make_door(default_deny=False)
    forms = [
        str(IPv6Address(number)) for text in EMBEDDED for number in embed(int(IPv4Address(text))).values()
    ]
    assert len(forms) > 200
    refuse_all(door, table, forms)
    assert tried() == []


def test_a_public_address_is_tried(way, make_door, table, tried):
    """The filter is not a wall: a public address is connected to, which here the guard prevents."""
    table.names["host.example.com"] = ["93.184.215.14"]
    with pytest.raises(ConnectionFailed):
        send(way, make_door(default_deny=False), HOST)
    assert tried() == ["93.184.215.14:443"]


@pytest.mark.parametrize(
    "bad", ["10.0.0.1", "::1", "169.254.169.254", "64:ff9b::a00:1", "fe80::1%eth0", "::ffff:8.8.8.8"]
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_bad_address_refuses_the_whole_answer(bad, place, way, make_door, table, tried, record):
    """Mixed answers are refused whole, wherever the bad address stands, and that is on record."""
    answer = ["93.184.215.14", "2606:4700::1"]
    table.names["host.example.com"] = [*answer[:place], bad, *answer[place:]]
    with pytest.raises(PolicyError):
        send(way, make_door(default_deny=False), HOST)
    assert tried() == []
    assert [event for event, _ in record.kinds()] == ["request", "refused", "end"]
    assert record.lines()[-1]["outcome"] == "failed"


@pytest.mark.parametrize("answer", [[], ["not-an-address"], ["127.0.0.1%lo"], [""]], ids=repr)
def test_an_answer_that_is_no_address_is_refused(answer, way, make_door, table, tried):
    """A resolver that gives nothing, or nonsense, opens nothing."""
    table.names["host.example.com"] = answer
    with pytest.raises(MissyError):
        send(way, make_door(default_deny=False), HOST)
    assert tried() == []


def test_a_name_without_an_address_is_said_to_have_none(way, make_door, table):
    """A lookup that fails is a failed connection with the name in it."""
    with pytest.raises(ConnectionFailed, match=r"host\.example\.com does not resolve"):
        send(way, make_door(default_deny=False), HOST)
    assert table.lookups == ["host.example.com"]


def test_localhost_is_never_asked_for(way, make_door, table, serve):
    """`localhost` is this machine by definition (RFC 6761): no resolver can send it elsewhere."""
    table.names["localhost"] = ["93.184.215.14"]
    origin = serve(response(200, b"ok"))
    url = f"http://localhost:{origin.port}/"
    assert send(way, make_door(url), url).body == b"ok"
    assert table.lookups == []


class Flips:
    """A resolver that changes its mind with every question."""

    def __init__(self, good: str, bad: str) -> None:
        self._draw = random.Random(20261122)
        self._good, self._bad = good, bad
        self.answers: list[list[str]] = []

    def __call__(self) -> list[str]:
        answer = self._draw.choice(
            [[self._good], [self._bad], [self._good, self._bad], [self._bad, self._good], ["10.0.0.1"]]
        )
        self.answers.append(answer)
        return answer


@pytest.fixture
def pair():
    """Two servers on one port: the good one on 127.0.0.1, a canary on 127.0.0.2 that counts who comes."""
    good = socket.create_server(("127.0.0.1", 0), backlog=128)
    port = good.getsockname()[1]
    canary = socket.create_server(("127.0.0.2", port))
    seen = {"good": 0, "canary": 0}

    def serve(listener: socket.socket, name: str) -> None:
        try:
            while True:
                sock, _ = listener.accept()
                seen[name] += 1
                with sock:
                    sock.recv(65536)
                    sock.sendall(response(200, name.encode(), ("Connection", "close")))
        except OSError:
            return

    for listener, name in ((good, "good"), (canary, "canary")):
        threading.Thread(target=serve, args=(listener, name), daemon=True).start()
    yield port, seen
    for listener in (good, canary):
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_thousand_flips_of_the_resolver_hit_nothing(pair, make_door, table, tried):
    """One lookup for each connection, and the address that was checked is the one connected to, a thousand times."""
    port, seen = pair
    flips = table.names["host.example.com"] = Flips("127.0.0.1", "127.0.0.2")
    door = make_door(provider_allowed_hosts=(f"host.example.com:{port}",), allowed_cidrs=("127.0.0.1/32",))
    reached = refused = 0
    for _ in range(1000):
        try:
            reply = door.request("GET", f"http://host.example.com:{port}/", timeout=SAFETY)
            assert reply.body == b"good"
            reached += 1
        except PolicyError:
            refused += 1
    expected = sum(answer == ["127.0.0.1"] for answer in flips.answers)
    assert len(flips.answers) == len(table.lookups) == 1000
    assert (reached, refused) == (expected, 1000 - expected)
    assert seen == {"good": expected, "canary": 0}
    assert set(tried()) == {f"127.0.0.1:{port}"}


def test_flips_hit_nothing_for_async_code_either(pair, make_door, table, tried):
    """The same for two hundred requests of the async client."""
    port, seen = pair
    flips = table.names["host.example.com"] = Flips("127.0.0.1", "127.0.0.2")
    door = make_door(provider_allowed_hosts=(f"host.example.com:{port}",), allowed_cidrs=("127.0.0.1/32",))

    async def send_all() -> int:
        reached = 0
        for _ in range(200):
            try:
                reached += (
                    await door.async_httpx_client(timeout=SAFETY).get(f"http://host.example.com:{port}/")
                ).is_success
            except PolicyError:
                pass
        await door.aclose()
        return reached

    reached = asyncio.run(send_all())
    assert len(table.lookups) == 200
    assert reached == sum(answer == ["127.0.0.1"] for answer in flips.answers) > 20
    assert seen == {"good": reached, "canary": 0}
    assert set(tried()) == {f"127.0.0.1:{port}"}


def test_a_kept_connection_needs_no_second_lookup(way, make_door, table, serve):
    """A pooled connection serves again without asking: what it leads to was checked when it was made."""
    origin = serve(response(200, b"ok"))
    table.names["host.example.com"] = ["127.0.0.1"]
    door = make_door(
        provider_allowed_hosts=(f"host.example.com:{origin.port}",), allowed_cidrs=("127.0.0.1/32",)
    )
    url = f"http://host.example.com:{origin.port}/"
    if way == "sync":
        assert [door.request("GET", url, timeout=SAFETY).status for _ in range(3)] == [200] * 3
    else:

        async def send_all() -> None:
            for _ in range(3):
                assert (await door.async_httpx_client(timeout=SAFETY).get(url)).status_code == 200
            await door.aclose()

        asyncio.run(send_all())
    assert (len(table.lookups), origin.connections) == (1, 1)


def test_the_policy_is_asked_for_each_request_on_a_kept_connection(make_door, serve):
    """An open connection is no licence: a tool's request to a provider's endpoint is refused although it is there."""
    origin = serve(response(200, b"ok"))
    door = make_door(origin.url)
    assert door.request("GET", origin.url, timeout=SAFETY).status == 200
    with pytest.raises(PolicyError):
        door.request("GET", origin.url, timeout=SAFETY, category="tool")
    assert len(origin.requests) == 1


def test_the_next_address_is_tried_when_one_does_not_connect(way, make_door, table, serve, record):
    """A dead address is not the end: the next checked one is connected to, and both are on record."""
    origin = serve(response(200, b"ok"))
    table.names["host.example.com"] = ["127.0.0.3", "127.0.0.1"]
    door = make_door(
        provider_allowed_hosts=(f"host.example.com:{origin.port}",), allowed_cidrs=("127.0.0.0/8",)
    )
    assert send(way, door, f"http://host.example.com:{origin.port}/").body == b"ok"
    ends = [
        (line["address"], line["outcome"])
        for line in record.lines()
        if line["event"] == "end" and "address" in line
    ]
    assert ends == [("127.0.0.3", "failed"), ("127.0.0.1", "ok")]


def test_a_refused_connection_says_so(way, make_door):
    """Both ways tell a refused connection in the same words."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    with pytest.raises(ConnectionFailed, match=f"could not connect to 127.0.0.1:{port}: connection refused"):
        send(way, make_door(url), url)


def test_a_resolver_that_hangs_is_not_waited_for(way, make_door, table):
    """A lookup without an end costs the timeout and no more, at the end of the event loop too."""
    ended = threading.Event()
    table.names["host.example.com"] = lambda: [] if ended.wait(SAFETY) else ["93.184.215.14"]
    clock = Clock(SAFETY)
    try:
        with pytest.raises(TimedOut, match=r"nothing came for 0\.3 s"):
            send(way, make_door(default_deny=False), HOST, timeout=0.3)
        assert clock.remaining() > SAFETY - 3
    finally:
        ended.set()


def test_allowed_cidrs_open_what_they_name_and_nothing_beside_it(make_door, table, tried):
    """The hole in the filter is as large as it was written."""
    door = make_door(default_deny=False, allowed_cidrs=("10.1.0.0/16",))
    for address, is_tried in (
        ("10.1.0.0", True),
        ("10.1.255.255", True),
        ("10.0.255.255", False),
        ("10.2.0.0", False),
    ):
        assert (ip_network("10.1.0.0/16").network_address <= IPv4Address(address)) or not is_tried
        before = len(tried())
        table.names["host.example.com"] = [address]
        with pytest.raises(MissyError) as raised:
            door.request("GET", HOST, timeout=SAFETY)
        assert isinstance(raised.value, PolicyError) != is_tried
        assert tried()[before:] == ([f"{address}:443"] if is_tried else [])
