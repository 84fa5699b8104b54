"""`network.proxy`: https to other machines goes through it by CONNECT, and nothing else does."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

import pytest

from missy import BadReply, ConnectionFailed, MissyError, PolicyError, TimedOut
from tests.net.conftest import send
from tests.servers import response
from tests.servers.listener import Listener
from tests.servers.proxy import _pump

URL = "https://api.example.com/v1"
KEY = {"Authorization": "Bearer sk-canary-of-the-proxy"}


@pytest.fixture
def origin(serve, certify):
    return serve(response(200, b"ok"), tls=certify("api.example.com"))


class OddProxy:
    """A CONNECT proxy that does one thing wrong: it speaks TLS, or says something else than 200, or lets bytes drip."""

    def __init__(
        self,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        head: bytes = b"HTTP/1.1 200 OK\r\n\r\n",
        drip: float = 0.0,
        late: float = 0.0,
        whole: bool = False,
    ) -> None:
        self._target, self._tls, self._head, self._drip, self._late = port, tls, head, drip, late
        self._whole = whole
        self.heads: list[bytes] = []
        self._listener = Listener(self._talk)
        self.port = self._listener.port
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        return self._listener.connections

    def close(self) -> None:
        self._listener.close()

    def _talk(self, sock: socket.socket, _number: int) -> None:
        with contextlib.suppress(OSError):
            client = self._tls.wrap_socket(sock, server_side=True) if self._tls else sock
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1) or b"\r\n\r\n"
            self.heads.append(head)
            for piece in [self._head] if self._whole else [bytes([byte]) for byte in self._head]:
                client.sendall(piece)
                time.sleep(self._late)
            with client, socket.create_connection(("127.0.0.1", self._target)) as server:
                threading.Thread(target=_pump, args=(client, server), daemon=True).start()
                while data := server.recv(65536):
                    if not self._drip:
                        client.sendall(data)
                        continue
                    for byte in data:
                        client.sendall(bytes([byte]))
                        time.sleep(self._drip)


@pytest.fixture
def odd(origin):
    proxies = []

    def start(**options):
        proxies.append(OddProxy(origin.port, **options))
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.close()


def test_https_to_a_name_goes_through_the_proxy(
    way, origin, tunnel, make_door, table, ca_bundle, record, tried
):
    """The proxy is told host and port and nothing else; TLS is with the origin; no name is looked up here."""
    proxy = tunnel({"api.example.com:443": origin.port})
    got = send(way, make_door(URL, proxy=proxy.url, ca_bundle=ca_bundle), URL, headers=KEY)
    assert got.body == b"ok"
    assert proxy.connects == ["api.example.com:443"]
    assert b"canary" not in proxy.heads[0]
    assert origin.last.header("authorization") == KEY["Authorization"]
    assert table.lookups == []
    assert f"127.0.0.1:{proxy.port}" in tried()
    connect = next(line for line in record.lines() if line["event"] == "connect")
    assert (connect["category"], connect["host"], connect["port"]) == ("proxy", "127.0.0.1", proxy.port)


def test_a_proxy_that_speaks_tls_is_spoken_to_in_tls(way, origin, odd, make_door, certify, ca_bundle):
    """An https proxy is verified by its own name, and the origin inside it by the origin's."""
    proxy = odd(tls=certify("127.0.0.1"))
    door = make_door(URL, proxy=proxy.url, ca_bundle=ca_bundle)
    assert send(way, door, URL, headers=KEY, method="POST", content=b"x" * 300_000).body == b"ok"
    assert proxy.heads[0].startswith(b"CONNECT api.example.com:443 ")
    assert len(origin.last.body) == 300_000


def test_a_tls_proxy_with_a_wrong_certificate_is_refused(way, origin, odd, make_door, certify, ca_bundle):
    """The proxy's certificate counts as the origin's does: the CONNECT line is not sent to a stranger."""
    proxy = odd(tls=certify("other.example.com"))
    with pytest.raises(ConnectionFailed, match="is not trusted"):
        send(way, make_door(URL, proxy=proxy.url, ca_bundle=ca_bundle), URL)
    assert proxy.heads == []


def test_the_origins_certificate_is_checked_through_the_proxy(
    way, serve, tunnel, make_door, certify, ca_bundle
):
    """A proxy that leads somewhere else does not get the request."""
    impostor = serve(response(200, b"got you"), tls=certify("evil.example.com"))
    proxy = tunnel({"api.example.com:443": impostor.port})
    with pytest.raises(ConnectionFailed, match="is not trusted"):
        send(way, make_door(URL, proxy=proxy.url, ca_bundle=ca_bundle), URL, headers=KEY)
    assert impostor.requests == []


def test_this_machine_is_reached_directly(way, serve, certify, tunnel, make_door, ca_bundle):
    """Loopback endpoints, https and http, never see the proxy."""
    secure = serve(response(200, b"ok"), tls=certify("127.0.0.1", "localhost"))
    plain = serve(response(200, b"ok"))
    proxy = tunnel({})
    for url in (secure.url, secure.url.replace("127.0.0.1", "localhost"), plain.url):
        assert send(way, make_door(url, proxy=proxy.url, ca_bundle=ca_bundle), url).body == b"ok"
    assert proxy.connects == []


def test_a_name_that_looks_like_this_machine_is_no_way_round_the_proxy(way, tunnel, make_door, table, tried):
    """`127.example.com` is a name like any other: it goes through the proxy, which alone may look it up."""
    table.names["127.example.com"] = ["127.0.0.1"]
    proxy = tunnel({})
    url = "https://127.example.com/"
    with pytest.raises(ConnectionFailed):
        send(way, make_door(url, proxy=proxy.url), url)
    assert proxy.connects == ["127.example.com:443"]
    assert table.lookups == []
    assert set(tried()) == {f"127.0.0.1:{proxy.port}"}


def test_plain_http_never_goes_through_the_proxy(way, serve, tunnel, make_door, table):
    """A server on one's own network is spoken to directly: its requests would lie open to the proxy."""
    origin = serve(response(200, b"ok"))
    table.names["box.example.com"] = ["127.0.0.1"]
    proxy = tunnel({})
    door = make_door(
        provider_allowed_hosts=(f"box.example.com:{origin.port}",),
        allowed_cidrs=("127.0.0.1/32",),
        proxy=proxy.url,
    )
    assert send(way, door, f"http://box.example.com:{origin.port}/").body == b"ok"
    assert proxy.connects == []


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/",
        "https://[::1]:444/",
        "https://169.254.169.254/",
        "https://other.example.com/",
        "https://127.0.0.1:1/",
    ],
)
def test_the_policy_decides_before_the_proxy_is_asked(url, way, tunnel, make_door, record):
    """Private addresses and what is not listed are refused here; the proxy hears nothing of them."""
    proxy = tunnel({})
    with pytest.raises(PolicyError):
        send(way, make_door(URL, proxy=proxy.url), url)
    assert proxy.connects == []
    assert record.lines()[0]["event"] == "refused"


@pytest.mark.parametrize("status", [302, 403, 407, 502])
def test_a_proxy_that_refuses_is_named_as_the_one_that_did(status, way, origin, tunnel, make_door):
    """Its refusal is a failed connection that points at network.proxy; its redirect is not followed."""
    proxy = tunnel({"api.example.com:443": origin.port}, status=status)
    with pytest.raises(ConnectionFailed, match="proxy refused") as raised:
        send(way, make_door(URL, proxy=proxy.url), URL, headers=KEY)
    assert "network.proxy" in raised.value.hint
    assert origin.connections == 0


def test_a_proxy_that_is_not_there_is_named(way, make_door):
    """The error says that it is the proxy, with its address, and the origin is not tried directly."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectionFailed, match=f"the proxy 127.0.0.1:{port}: connection refused"):
        send(way, make_door(URL, proxy=f"http://127.0.0.1:{port}"), URL)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad",
        b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad",
    ],
    ids=["nothing", "garbage", "a body", "an answer of its own"],
)
def test_what_a_proxy_says_in_the_clear_is_no_answer(head, way, origin, odd, make_door, ca_bundle):
    """A proxy cannot put words into the origin's mouth: what is not under the origin's TLS is an error, or is dropped.

    It is dropped where it came in one read with the head of the reply.
    """
    try:
        got = send(way, make_door(URL, proxy=odd(head=head).url, ca_bundle=ca_bundle), URL, timeout=0.4)
    except (ConnectionFailed, BadReply, TimedOut):
        assert origin.requests == []
    else:
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert (got.body, len(origin.requests)) == (b"ok", 1)


FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nforged"


@pytest.mark.parametrize("size", [65536, 65536 - 30, 70_000, 131_072, 250_000])
def test_what_a_proxy_sends_before_tls_is_never_read_as_if_it_had_come_inside(
    size, way, origin, odd, make_door, ca_bundle
):
    """However much comes in the clear after the proxy's 200: none of it is taken for the origin's answer."""
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    proxy = odd(head=head + b"x" * (size - len(head)) + FORGED, whole=True)
    try:
        got = send(way, make_door(URL, proxy=proxy.url, ca_bundle=ca_bundle), URL, timeout=2)
    except MissyError:
        return
    assert got.body == b"ok"


@pytest.mark.parametrize("secure", [False, True], ids=["http proxy", "https proxy"])
@pytest.mark.parametrize("slow", [{"late": 0.05}, {"drip": 0.01}], ids=["slow reply", "slow tunnel"])
def test_a_proxy_that_drips_is_not_waited_for(secure, slow, way, odd, make_door, certify, ca_bundle):
    """A byte now and then is no sign of life: it ends at the timeout, inside two layers of TLS as well."""
    proxy = odd(tls=certify("127.0.0.1") if secure else None, **slow)
    started = time.monotonic()
    with pytest.raises(TimedOut):
        send(way, make_door(URL, proxy=proxy.url, ca_bundle=ca_bundle), URL, timeout=0.4)
    assert time.monotonic() - started < 30  # a drip that is not stopped goes on for minutes
