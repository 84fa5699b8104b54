"""Where a connection really ended is compared with the address that was checked, before anything is sent over it."""

from __future__ import annotations

import json

import pytest

from missy import PolicyError
from tests.net.conftest import ask, send
from tests.servers import chat_stream, response

# A system takes the unspecified address for this machine: who connects to 0.0.0.0 ends at 127.0.0.1, a real case of a
# peer that is not the address that was asked for.
NOWHERE = ["0.0.0.0/32"]


def test_a_connection_that_ends_elsewhere_is_given_up(way, make_door, table, serve, tried):
    """The server sees no byte of the request, although the policy allowed the address that was connected to."""
    origin = serve(response(200, b"ok"))
    table.names["moved.example.com"] = ["0.0.0.0"]
    url = f"http://moved.example.com:{origin.port}/"
    with pytest.raises(
        PolicyError, match=r"moved\.example\.com reached an address that was not checked"
    ) as raised:
        send(way, make_door(url, allowed_cidrs=NOWHERE), url)
    assert (raised.value.rule, raised.value.host) == ("address", "moved.example.com")
    assert tried() == [f"0.0.0.0:{origin.port}"]  # it did go out, and was found to have come elsewhere
    assert origin.requests == []


def test_no_answer_comes_from_elsewhere_and_it_is_on_record(way, home, table, serve, write_config):
    """An entry's answer ends with 3, and the record has the request as failed, without a byte sent."""
    origin = serve(chat_stream("hello"))
    table.names["moved.example.com"] = ["0.0.0.0"]
    url = f"http://moved.example.com:{origin.port}/v1"
    config = write_config(
        url, network={"allowed_cidrs": NOWHERE}, api_key="sk-canary-0123456789", max_retries=2
    )
    assert ask(way, config).code == 3
    assert origin.requests == []
    end = json.loads((home / "audit.jsonl").read_text().splitlines()[-1])
    assert (end["event"], end["outcome"], end["error"], end["bytes_out"]) == ("end", "failed", "policy", 0)


def test_another_way_to_write_the_same_address_is_the_same(way, make_door, table, serve):
    """The other half: an address is compared as an address, not as text."""
    origin = serve(response(200, b"ok"), host="::1")
    table.names["six.example.com"] = ["0:0:0:0:0:0:0:1"]
    url = f"http://six.example.com:{origin.port}/"
    assert send(way, make_door(url, allowed_cidrs=["::1/128"]), url).body == b"ok"
