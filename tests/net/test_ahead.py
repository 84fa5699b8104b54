"""A connection begun ahead: decided on, checked and on record like any other, taken by the request, never left open."""

from __future__ import annotations

import pytest

from missy import ConnectionFailed, PolicyError
from tests.net.conftest import Table
from tests.servers import response

NAME = "api.ahead.example"
OWN = {"allowed_cidrs": ("127.0.0.1/32",)}


def begin(door, url: str) -> None:
    """Begin ahead, and wait until that has come to its end."""
    door.connect_ahead(url, entry="e0", timeout=10)
    for preconnect in list(door._direct()._preconnects.values()):
        preconnect._thread.join(20)


@pytest.fixture
def origin(serve, certify, table: Table):
    """A server with a certificate for a name that leads to it."""
    table.names[NAME] = ["127.0.0.1"]
    return serve(response(200, b"here"), tls=certify(NAME))


def test_the_request_takes_the_connection_that_was_begun(make_door, record, table, origin, ca_bundle):
    """One lookup, one connection and one TLS handshake, all before the request; each on record once."""
    url = f"https://{NAME}:{origin.port}/v1"
    door = make_door(url, ca_bundle=ca_bundle, **OWN)
    begin(door, url)
    assert record.kinds()[:1] == [("connect", "entry:e0")]
    assert door.request("GET", f"{url}/models", timeout=10, entry="e0").body == b"here"
    assert table.lookups == [NAME]
    assert {request.connection for request in origin.requests} == {origin.requests[0].connection}
    assert [event for event, _ in record.kinds()].count("connect") == 1


def test_what_the_policy_refuses_is_not_begun(make_door, record, table, origin, ca_bundle, tried):
    """No name is looked up and no socket opened; the request itself is refused, and that is on record."""
    door = make_door(ca_bundle=ca_bundle)
    url = f"https://{NAME}:{origin.port}/v1"
    begin(door, url)
    with pytest.raises(PolicyError):
        door.request("GET", url, timeout=10)
    assert (table.lookups, tried()) == ([], [])
    assert [event for event, _ in record.kinds()] == ["refused"]


def test_a_bad_address_is_refused_ahead_and_again(make_door, table, origin, ca_bundle, tried):
    """A name that leads to a private address is connected to neither ahead nor by the request."""
    table.names[NAME] = ["127.0.0.1", "10.0.0.1"]
    url = f"https://{NAME}:{origin.port}/v1"
    door = make_door(url, ca_bundle=ca_bundle, **OWN)
    begin(door, url)
    with pytest.raises(PolicyError, match=r"10\.0\.0\.1"):
        door.request("GET", url, timeout=10)
    assert tried() == []


def test_a_bad_certificate_ahead_is_told_by_the_request(make_door, origin):
    """What went wrong ahead is not hidden: the request meets it, and says so."""
    url = f"https://{NAME}:{origin.port}/v1"
    door = make_door(url, **OWN)
    begin(door, url)
    with pytest.raises(ConnectionFailed, match="certificate"):
        door.request("GET", url, timeout=10)


def test_a_connection_that_nobody_takes_is_closed(make_door, origin, ca_bundle):
    """A command that fails before it asks leaves no socket behind."""
    url = f"https://{NAME}:{origin.port}/v1"
    door = make_door(url, ca_bundle=ca_bundle, **OWN)
    begin(door, url)
    assert origin.ended == 0
    door.close()
    origin.wait_ended(1)
    assert origin.requests == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/v1", "https://localhost:{}/v1"])
def test_nothing_is_begun_towards_this_machine(make_door, serve, url):
    """Loopback is near: a thread would cost more than it saves."""
    origin = serve(response(200, b"here"))
    door = make_door(url.format(origin.port))
    door.connect_ahead(url.format(origin.port), entry="e0", timeout=10)
    assert not door._direct()._preconnects
