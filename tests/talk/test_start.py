"""The start of a conversation: how little it touches, its options, and what it waits for."""

from __future__ import annotations

import json

import pytest

from tests.cli.person import CTRL_C, ENTER
from tests.servers import Gate, chat_stream
from tests.talk.conftest import leave, ready, said, say

pytestmark = pytest.mark.slow


def test_the_first_input_line_costs_no_connection_and_no_database(talk, origin, missy):
    """Before anything is sent, nobody is connected to, and neither a session nor a line is stored."""
    person = talk()
    person.see("test · m")
    assert missy.attempts() == []
    assert not list(missy.home.glob("sessions.db*"))
    leave(person)
    assert not list(missy.home.glob("run-history*"))


def test_options_are_in_each_request(talk, origin):
    """--model, --system, --temperature, --max-tokens and --reasoning are those of every message."""
    person = talk("--model", "m2", "--system", "Be brief.", "--temperature", "0.5", "--max-tokens", "9",
                  "--reasoning", "low")  # fmt: skip
    say(person, "one")
    say(person, "two")
    for body in origin.bodies():
        assert (body["model"], body["temperature"], body["reasoning_effort"]) == ("m2", 0.5, "low")
        assert body.get("max_tokens", body.get("max_completion_tokens")) == 9
        assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    leave(person)


def test_a_role_at_the_start_and_later(talk, origin, missy):
    """--role and /role use the instructions, the model and the temperature of a role of the configuration."""
    config = json.loads((missy.home / "config.yaml").read_text())
    roles = {
        "terse": {"system": "One line.", "model": "m3"},
        "poet": {"system": "In verse.", "temperature": 1.5},
    }
    missy.config({**config, "roles": roles})
    person = talk("--role", "terse")
    say(person, "one")
    assert origin.last.json()["model"] == "m3"
    assert said(origin.last)[0] == ("system", "One line.")
    person.press("/role", ENTER)
    person.see("roles: terse, poet")
    person.press("/role poet", ENTER)
    person.see("role: poet")
    ready(person)
    say(person, "two")
    assert origin.last.json()["temperature"] == 1.5
    assert said(origin.last)[0] == ("system", "In verse.")
    person.press("/role nobody", ENTER)
    person.see("no role 'nobody'")
    ready(person)
    leave(person)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--temp", "--continue"), "--temp stores nothing"),
        (("--role", "a", "--system", "b"), "choose one"),
        (("--continue",), "there is no session to continue"),
        (("--provider", "nobody"), "no provider 'nobody'"),
    ],
)
def test_what_cannot_be_is_refused(missy, origin, args, said):
    """Options that contradict each other, and names of nothing: exit 2, without touching the terminal."""
    from tests.cli.person import Person

    with Person(missy, "run", *args) as person:
        assert person.end() == 2
        assert said in " ".join(person.terminal.text().split())
        assert person.modes() == person.before
        assert "\x1b" not in person.raw


def test_nothing_is_stored_where_the_configuration_says_so(talk, origin, missy):
    """`sessions: {save: none}` makes every conversation a temporary one."""
    config = json.loads((missy.home / "config.yaml").read_text())
    missy.config({**config, "sessions": {"save": "none"}})
    person = talk()
    person.see("temp>")
    say(person, "hello")
    leave(person)
    assert missy.inside("sessions", "list", "--json").json() == []


def test_ctrl_c_before_the_first_byte(talk, origin):
    """An endpoint that does not answer yet is given up, and the message is in the input line again."""
    gate = Gate()
    origin.script = [lambda request, wire: (gate.pass_through(), chat_stream("late"))[1]]
    person = talk()
    person.press("anyone?", ENTER)
    gate.arrived.wait(30)
    person.press(CTRL_C)
    person.see("stopped before any text came", "> anyone? test")
    gate.open()
    person.press(CTRL_C)
    ready(person)
    leave(person)
