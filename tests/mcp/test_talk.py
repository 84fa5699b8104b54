"""`/mcp` and `/tools` in a conversation."""

from __future__ import annotations

import pytest

from tests.cli.person import ENTER, Person
from tests.mcp.conftest import boxed
from tests.talk.conftest import echo, leave, ready, say

pytestmark = [boxed, pytest.mark.slow]


def test_a_server_is_offered_from_the_next_message_on(hostile):
    """/mcp lists the servers, /mcp NAME offers the approved tools of one, /mcp off those of none; /tools says which."""
    hostile.approve()
    hostile.origin = hostile.serve(echo)
    hostile.entry()

    def command(person, text, *shown):
        person.press(text, ENTER)
        person.see(*shown)
        ready(person)

    with Person(hostile.missy, "run", "--temp") as person:
        person.see(">")
        command(person, "/mcp", "servers: x")
        command(person, "/tools", "no tools")
        say(person, "one")
        command(person, "/mcp x", "tools: x__echo")
        say(person, "two")
        command(person, "/mcp off", "tools: none")
        say(person, "three")
        command(person, "/mcp nobody", "there is no MCP server")
        leave(person)
    offered = [
        [tool["function"]["name"] for tool in body.get("tools", [])] for body in hostile.origin.bodies()
    ]
    assert offered == [[], ["x__echo"], []]
