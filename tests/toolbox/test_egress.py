"""The network of boxed commands: through the door alone, to allowed hosts alone, with nothing to get round it."""

from __future__ import annotations

import shutil
import socket
import ssl
import struct

import pytest

from missy import Missy, Toolbox, UsageError
from missy.net.client_hello import BadHello, is_complete, server_name
from missy.sandbox import probe
from tests.servers import chat_stream, response
from tests.toolbox.conftest import calls, results

boxed = pytest.mark.skipif(
    probe.try_levels().level != "full" or not shutil.which("curl"), reason="needs the full sandbox and curl"
)


@pytest.fixture
def net(missy, serve, certify, ca_bundle, workspace):
    """Run commands with a network; one TLS site and one plain site of this machine exist, `listed` says which are allowed."""
    (workspace / "ca.pem").write_bytes(ca_bundle.read_bytes())

    def run(*commands, listed=("tls", "plain"), **network):
        page = response(200, b"reached")
        sites = {"tls": serve(page, tls=certify("127.0.0.1", "localhost")), "plain": serve(page)}
        ports = {name: site.port for name, site in sites.items()}
        script = [
            calls(*(("run", {"argv": ["sh", "-c", one.format(**ports)]}) for one in commands)),
            chat_stream("done"),
        ]
        model = serve(*script)
        hosts = [f"{host}:{ports[name]}" for name in listed for host in ("127.0.0.1", "localhost")]
        missy.entry(
            model.url,
            network={
                "ca_bundle": str(ca_bundle),
                "allowed_cidrs": ["127.0.0.0/8", "::1/128"],
                "tool_allowed_hosts": hosts,
                **network,
            },
        )
        with Missy.open() as m:
            box = Toolbox(use=["run"], workspace=str(workspace), network="tool")
            m.ask("go", toolbox=box, approve=lambda _: True).text()
        run.sites = sites  # type: ignore[attr-defined]
        return results(model.last)

    return run


GET = "curl -sS --max-time 20 --cacert ca.pem "


@boxed
def test_an_allowed_host_is_reached_through_the_door(net, missy):
    """CONNECT with TLS, and plain http to an allowed network: both are on record under the category tool, with the run's id."""
    told = net(
        GET + "https://127.0.0.1:{tls}/a",
        GET + "http://127.0.0.1:{plain}/b?c=d",
        GET + "https://localhost:{tls}/",
    )
    assert [one.endswith("[exit code 0]\nreached") for one in told] == [True] * 3, told
    assert net.sites["plain"].last.path == "/b?c=d"
    rows = [
        row
        for row in missy("audit", "recent", "-n", "99", "--json").json()
        if row.get("entry") == "tool:run" and "run" in row
    ]
    assert {(row["method"], row["category"], row["path"], row["outcome"]) for row in rows} == {
        ("CONNECT", "tool", "", "ok"),
        ("GET", "tool", "/b", "ok"),
    }
    runs = {row["run"] for row in missy("audit", "recent", "-n", "99", "--tools", "--json").json()}
    assert {row["run"] for row in rows} == runs
    assert len(runs) == 1


# 20 ways to reach a host that is not allowed, or the allowed one unseen; each must fail.
WAYS_OUT = [
    "curl -sS -m 5 -k https://127.0.0.1:{tls}/", "curl -sS -m 5 http://127.0.0.1:{plain}/", "curl -sS -m 5 http://127.0.0.1:{plain}./",
    "curl -sS -m 5 --noproxy '*' http://127.0.0.1:{plain}/", "curl -sS -m 5 --noproxy '*' -k https://127.0.0.1:{tls}/",
    "env -u http_proxy -u https_proxy -u ALL_PROXY -u HTTPS_PROXY -u HTTP_PROXY curl -sS -m 5 http://127.0.0.1:{plain}/",
    "curl -sS -m 5 --noproxy '*' 'http://[::1]:{plain}/'", "curl -sS -m 5 'http://[::1]:{plain}/'",
    "curl -sS -m 5 'http://[::ffff:127.0.0.1]:{plain}/'", "curl -sS -m 5 --noproxy '*' http://10.0.0.1/",
    "curl -sS -m 5 http://169.254.169.254/latest/meta-data/", "curl -sS -m 5 http://192.168.0.1/",
    "curl -sS -m 5 http://2130706433:{plain}/", "curl -sS -m 5 http://0x7f.1:{plain}/", "curl -sS -m 5 http://127.1:{plain}/",
    "curl -sS -m 5 -x socks5://127.0.0.1:3128 http://127.0.0.1:{plain}/", "curl -sS -m 5 -p http://127.0.0.1:{plain}/",
    "curl -sS -m 5 --dns-servers 127.0.0.1 --noproxy '*' http://example.com/", "curl -sS -m 5 -H 'Host: a.example' http://b.example/",
    "python3 -c \"import socket; socket.create_connection(('127.0.0.1', {plain}), 5).send(b'x')\"",
]  # fmt: skip


@boxed
def test_nothing_else_is_reached(net, missy):
    """20 ways round the door or to a host that is not allowed: no byte arrives anywhere."""
    assert len(WAYS_OUT) == 20
    told = net(*WAYS_OUT, "echo the box works", listed=())
    assert "the box works" in told.pop()
    assert [one for one in told if "reached" in one] == []
    assert [site.connections for site in net.sites.values()] == [0, 0]


@boxed
def test_another_server_name_than_the_hosts_is_refused(net, missy):
    """Fronting: a ClientHello that names another host than CONNECT, or none: no name is resolved and nothing connected."""
    told = net(
        "curl -sS -m 5 -k --connect-to a.example:443:127.0.0.1:{tls} --proxytunnel https://a.example/",
        "curl -sS -m 5 -k --resolve localhost:{tls}:127.0.0.1 --connect-to 127.0.0.1:{tls}:localhost:{tls} https://127.0.0.1:{tls}/",
        "printf 'CONNECT localhost:{tls} HTTP/1.1\\r\\n\\r\\nGET / HTTP/1.1\\r\\n\\r\\n' > q; python3 -c \"import socket; "
        "s=socket.create_connection(('127.0.0.1', 3128)); s.send(open('q','rb').read()); s.settimeout(5); print(s.recv(99)); print(s.recv(99))\"",
    )
    assert [one for one in told if "reached" in one] == []
    assert net.sites["tls"].requests == []
    assert net.sites["tls"].connections == 0
    rows = missy("audit", "recent", "-n", "99", "--json").json()
    assert "sni" in {row.get("rule") for row in rows}


@boxed
def test_a_host_that_is_not_there_is_told_by_a_closed_connection(net, missy):
    """The ClientHello comes first, so CONNECT is answered before it is known whether the host can be reached; the record says why."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        place = f"127.0.0.1:{closed.getsockname()[1]}"
        (told,) = net(f"curl -sS -m 9 -k https://{place}/", listed=(), tool_allowed_hosts=[place])
    assert "[exit code 35]" in told
    rows = missy("audit", "recent", "-n", "99", "--json").json()
    assert "failed" in {row["outcome"] for row in rows if row.get("method") == "CONNECT"}


@boxed
def test_a_plain_host_without_its_network_allowed_is_refused(net):
    """Plain http is decided by the same gate: without allowed_cidrs it is refused, although the host is listed."""
    (told,) = net(GET + "http://127.0.0.1:{plain}/", allowed_cidrs=[])
    assert "https is required" in told or "private" in told or "refused" in told
    assert net.sites["plain"].connections == 0


@pytest.mark.skipif(probe.try_levels().level == "full", reason="this machine gives the full sandbox")
def test_a_network_needs_the_full_sandbox(missy, serve, workspace):
    """At `floor` there is no network."""
    missy.entry(serve(chat_stream("x")).url)
    with Missy.open() as m, pytest.raises(UsageError):
        m.ask("go", toolbox=Toolbox(use=["run"], workspace=str(workspace), network="tool")).text()


# --- the server name ------------------------------------------------------------------------------------


def hello(name: str | None) -> bytes:
    """Return a real ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = False
    stream = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        stream.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("name", ["a.example", "xn--mnchen-3ya.example", "a" * 60 + ".example", None])
def test_the_name_is_read_from_a_real_hello(name):
    """What the TLS library writes is read, at once or byte by byte."""
    data = hello(name)
    assert server_name(data) == name
    assert [is_complete(data[:end]) for end in (0, 1, 5, 40, len(data) - 1)] == [False] * 5
    assert is_complete(data)


def test_a_hello_in_many_records_is_read():
    """A handshake message may be cut into any number of records."""
    data = hello("a.example")
    body = data[5:]
    cut = b"".join(
        b"\x16\x03\x01" + struct.pack(">H", len(body[at : at + 7])) + body[at : at + 7]
        for at in range(0, len(body), 7)
    )
    assert is_complete(cut)
    assert server_name(cut) == "a.example"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x01\x00",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\0" * 40,
    ],
)
def test_what_is_no_hello_is_refused(data):
    """Only a TLS ClientHello is let through."""
    with pytest.raises(BadHello):
        is_complete(data)


def test_two_names_and_an_encrypted_hello_are_refused():
    """What could name another server than it shows is refused."""
    plain = hello("a.example")
    name = b"\x00\x00\x00\x0e\x00\x0c\x00\x00\x09a.example"
    assert name in plain
    with pytest.raises(BadHello, match="more than one"):
        server_name(_with_extension(plain, name))
    with pytest.raises(BadHello, match="encrypted"):
        server_name(_with_extension(plain, b"\xfe\x0d\x00\x01\x00"))


def _with_extension(data: bytes, extension: bytes) -> bytes:
    """Add an extension, and correct the lengths around it."""
    body = bytearray(data[9:])
    at = 34
    at += 1 + body[at]
    at += 2 + int.from_bytes(body[at : at + 2], "big")
    at += 1 + body[at]
    body[at : at + 2] = (int.from_bytes(body[at : at + 2], "big") + len(extension)).to_bytes(2, "big")
    body += extension
    message = b"\x01" + len(body).to_bytes(3, "big") + bytes(body)
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def test_any_cut_or_changed_hello_raises_nothing_else():
    """Whatever bytes come, the reader ends with a name, None or BadHello."""
    data = hello("a.example")
    for at in range(len(data)):
        for value in (0, 255, data[at] ^ 1):
            changed = data[:at] + bytes([value]) + data[at + 1 :]
            try:
                if is_complete(changed):
                    server_name(changed)
            except BadHello:
                continue
