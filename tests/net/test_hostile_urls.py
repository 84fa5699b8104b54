"""URLs that want through the door although nothing allows them: none is connected to, looked up or sent."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx2
import pytest

from missy import ConfigError, MissyError, PolicyError
from missy.policy import InvalidURL, parse
from tests.command import Command
from tests.configuration import load
from tests.net.conftest import ask, send
from tests.servers import Origin, response
from tests.test_policy_hostile import ALLOWED, BY_HAND, TRICKS

pytestmark = pytest.mark.slow

GOOD = (*ALLOWED, "https://trusted.org/")
LISTED = {
    "allowed_hosts": ("good.example.com:8443",),
    "allowed_domains": ("*.trusted.org",),
}


def hostile(count: int, seed: int) -> list[str]:
    """Return `count` different hostile URLs, always the same ones; the good ones that they imitate are not among them."""
    draw = random.Random(seed)
    urls = dict.fromkeys(BY_HAND)
    while len(urls) < count:
        urls[draw.choice(TRICKS)(draw)] = None
    return [url for url in urls if url not in ALLOWED][:count]


REFUSED = (
    PolicyError,
    httpx2.InvalidURL,
    UnicodeEncodeError,
)  # the last two by httpx2, before the door sees it


def is_mended(url: str) -> bool:
    """Tell whether httpx2 itself mends the URL (`:0443`, white space after a port) into one of the good ones."""
    try:
        return str(parse(str(httpx2.URL(url)).replace("//@", "//"))) in {str(parse(good)) for good in GOOD}
    except (httpx2.InvalidURL, InvalidURL, UnicodeEncodeError):
        return False


def test_two_thousand_hostile_urls_open_nothing(make_door, record, table, tried, serve):
    """Each one ends as a refusal, whichever way it is sent: no name looked up, no connection tried, all on record."""
    canary = serve(response(200, b"got you"))
    door = make_door(*ALLOWED[:2], **LISTED)
    urls = [url.replace(":1234", f":{canary.port}") for url in hostile(2000, 20261122)]
    assert len(set(urls)) > 1900
    for url in urls:
        with pytest.raises(PolicyError):
            door.request("GET", url, timeout=5, content=b"secret")
        if not is_mended(url):
            with pytest.raises(REFUSED):
                door.httpx_client(timeout=5).post(url, content=b"secret")
    assert table.lookups == []
    assert tried() == []
    assert canary.connections == 0
    assert {line["event"] for line in record.lines()} == {"refused"}
    assert len(record.lines()) >= len(urls)


def test_hostile_urls_open_nothing_for_async_code_either(make_door, table, tried):
    """The async client decides alike."""
    import asyncio

    async def send_all() -> None:
        door = make_door(*ALLOWED[:2], **LISTED)
        for url in hostile(500, 7):
            if is_mended(url):
                continue
            with pytest.raises(REFUSED):
                await door.async_httpx_client(timeout=5).post(url, content=b"secret")
        await door.aclose()

    asyncio.run(send_all())
    assert table.lookups == []
    assert tried() == []


def test_the_same_urls_without_the_trick_do_get_out(make_door, table, tried):
    """What is refused above is refused for its trick: the good URLs are looked up, or connected to."""
    door = make_door(*ALLOWED[:2], **LISTED)
    for url in ALLOWED:
        with pytest.raises(MissyError) as raised:
            door.request("GET", url, timeout=5)
        assert not isinstance(raised.value, PolicyError)
    assert table.lookups == ["api.openai.com", "good.example.com", "a.trusted.org"]
    assert tried() == ["127.0.0.1:1234"]


def test_a_hostile_base_url_goes_nowhere_but_where_it_says(home, write_config, table, tried):
    """A base_url is an error in the config, or leads to the one host and port that it parses to, and to no other."""
    loaded = 0
    for url in hostile(400, 3):
        path = write_config(url, api_key="sk-none")
        try:
            load(path)
        except ConfigError:
            continue
        target = parse(url)
        table.lookups.clear()
        before = len(tried())
        assert ask("sync", path).error is not None
        loaded += 1
        assert set(table.lookups) <= {target.host}, url
        for place in tried()[before:]:
            assert target.is_loopback, url
            assert place in {f"{host}:{target.port}" for host in (target.host, "127.0.0.1", "::1")}, url
    assert loaded > 30


@pytest.mark.parametrize(
    "request_",
    [
        {"headers": {"Host": "api.openai.com"}},
        {"headers": [("Host", "127.0.0.1"), ("Host", "evil.com")]},
        {"headers": {"Host": ""}},
    ],
    ids=["other host", "two hosts", "no host"],
)
def test_a_host_header_that_is_not_the_urls_is_refused(request_, way, make_door, record, serve):
    """What was decided on is what the server is told: another Host is a refusal, on record, with nothing sent."""
    origin = serve(response())
    with pytest.raises(PolicyError, match="Host"):
        send(way, make_door(origin.url), origin.url, **request_)
    assert origin.connections == 0
    assert record.kinds() == [("refused", "invalid")]


def test_a_password_in_a_url_is_refused_and_not_repeated(way, make_door, record, serve):
    """Credentials before the host are refused, on record, and their text is nowhere."""
    origin = serve(response())
    url = origin.url.replace("//", "//user:hunter2secret@")
    with pytest.raises(PolicyError) as raised:
        send(way, make_door(origin.url), url)
    assert origin.connections == 0
    assert record.kinds() == [("refused", "invalid")]
    assert "hunter2" not in str(raised.value) + raised.value.hint + record.path.read_text()


def test_an_extension_cannot_change_where_a_request_goes(way, make_door, serve, authority, ca_bundle):
    """SNI and request target come from the URL that was decided on, not from httpx2's extensions."""
    import ssl

    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    context.sni_callback = lambda _sock, name, _context: asked.append(name)
    origin = serve(response(200, b"ok"), tls=context)
    url = f"https://localhost:{origin.port}/v1"
    extensions = {"sni_hostname": "evil.com", "target": b"http://evil.com/", "timeout": {"read": 5}}
    assert send(way, make_door(url, ca_bundle=ca_bundle), url, extensions=extensions).status == 200
    assert asked == ["localhost"]
    assert origin.last.path == "/v1"


def test_a_unix_socket_is_no_way_out(way, make_door, tried):
    """There is no URL and no setting that leads to a unix socket."""
    door = make_door("http://127.0.0.1:1/", default_deny=False)
    for url in ("unix:///run/docker.sock", "http+unix://%2Frun%2Fdocker.sock/x", "file:///etc/passwd"):
        with pytest.raises((PolicyError, httpx2.InvalidURL)):
            send(way, door, url)
    assert tried() == []


STRACE = shutil.which("strace")
CHILD = """
    import sys
    from missy.audit import Audit
    from missy.errors import MissyError
    from missy.net.door import Door
    from missy.policy import Endpoint, Policy, Rules
    from tests.net.test_hostile_urls import hostile
    allowed = tuple(Endpoint(url, "e") for url in sys.argv[2:])
    door = Door(Policy(Rules(endpoints=allowed)), Audit(sys.argv[1]))
    urls = [*sys.argv[2:]] or [*hostile(300, 5), "https://api.openai.com/v1", "http://127.0.0.1:80/"]
    for url in urls:
        try:
            print(door.request("GET", url, timeout=5).status)
        except MissyError as error:
            assert error.exit_code == 3, error
"""


def traced(tmp_path: Path, *urls: str) -> str:
    """Run the child under strace; return the system calls that make or connect a socket of the Internet kind."""
    log = tmp_path / "strace"
    run = [STRACE, "-f", "-qq", "-e", "trace=socket,connect,sendto,sendmsg", "-o", str(log)]
    child = [sys.executable, "-c", textwrap.dedent(CHILD), str(tmp_path / "audit.jsonl"), *urls]
    done = subprocess.run(
        [*run, *child], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=False
    )
    if "ptrace" in done.stderr.lower():
        pytest.skip("tracing is not permitted here")
    assert done.returncode == 0, done.stderr
    return "\n".join(line for line in log.read_text().splitlines() if "AF_INET" in line)


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_an_empty_allow_list_opens_no_socket_seen_from_outside(tmp_path, serve):
    """The kernel sees no Internet socket for three hundred refused URLs, and does see the one that is allowed."""
    assert traced(tmp_path) == ""
    with Origin(response()) as origin:
        assert f"htons({origin.port})" in traced(tmp_path, origin.url)


def test_the_command_refuses_before_it_looks_anything_up(missy: Command):
    """An endpoint at a private address exits 3, and the guard saw neither a lookup nor a connection."""
    missy.entry("https://10.0.0.1/v1", api_key="sk-none")
    done = missy("ask", "hi")
    assert done.code == 3
    assert "10.0.0.1" in done.err
    assert missy.attempts() == []
