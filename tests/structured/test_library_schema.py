"""`ask(..., schema=...)` and `answer.value()`: sync, async, over the Responses format, and with the real local model."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import pydantic
import pytest
from typing_extensions import TypedDict

from missy import AsyncMissy, Missy, Notice, SchemaMismatch, Text, UsageError
from tests.command import Command
from tests.providers.chatgpt import RESPONSES, Subscriber
from tests.servers import chat_error, chat_stream
from tests.simulator import Fault, Say, Script, Simulator

pytest_plugins = ["tests.local.live"]
GOOD, BAD = '{"name": "Ada", "age": 36}', '{"name": "Ada"}'
VALUE = {"name": "Ada", "age": 36}
COUNTS = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


@dataclasses.dataclass
class Person:
    name: str
    age: int


class Model(pydantic.BaseModel):
    name: str
    age: int = pydantic.Field(ge=18)

    @pydantic.field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name != "Ada":
            raise ValueError("nobody of that name")
        return name


class Nothing:
    """A class without fields that anybody knows of."""


class Table(TypedDict):
    name: str
    age: int


SCHEMAS = [
    ("name str, age int", VALUE),
    ({"type": "object", "required": ["name", "age"]}, VALUE),
    (Person, Person("Ada", 36)),
    (Model, Model(name="Ada", age=36)),
    (Table, VALUE),
]


@pytest.mark.parametrize(
    ("schema", "value"), SCHEMAS, ids=["short", "dict", "dataclass", "model", "typeddict"]
)
@pytest.mark.parametrize("kind", [Missy, AsyncMissy])
def test_value_is_of_the_kind_that_was_asked_for(kind, schema, value, missy, serve):
    """A dict or a text gives JSON values, a class gives its instance; one wrong answer is repaired on the way."""
    origin = serve(chat_stream(BAD, usage=COUNTS), chat_stream(f"```\n{GOOD}\n```", usage=COUNTS))
    missy.entry(origin.url)

    def sync():
        with Missy.open() as m:
            answer = m.ask("hi", schema=schema)
            return answer, answer.value()

    async def twin():
        async with AsyncMissy.open() as m:
            answer = m.ask("hi", schema=schema)
            return answer, await answer.value()

    answer, got = sync() if kind is Missy else asyncio.run(twin())
    assert got == value
    assert (answer.so_far, answer.usage.total_tokens, len(origin.requests)) == (GOOD, 14, 2)


def test_no_text_is_given_out_before_it_was_checked(missy, serve):
    """The events are a notice, the whole text once, and what follows it."""
    missy.entry(serve(chat_stream(BAD), chat_stream(GOOD[:5], GOOD[5:])).url)
    with Missy.open() as m:
        events = [event for event in m.ask("hi", schema=Person) if isinstance(event, (Notice, Text))]
    assert [type(event) for event in events] == [Notice, Text]
    assert events[1].text == GOOD


def test_what_only_the_class_knows_is_a_fault_too(missy, serve):
    """A validator of a pydantic model counts as the schema does, with a pointer."""
    missy.entry(serve(chat_stream('{"name": "Bob", "age": 20}')).url)
    with Missy.open() as m, pytest.raises(SchemaMismatch) as raised:
        m.ask("hi", schema=Model, repair=False).value()
    assert raised.value.faults[0][0] == "/name"
    assert "nobody of that name" in raised.value.faults[0][1]
    assert raised.value.text == '{"name": "Bob", "age": 20}'


def test_a_failed_second_call_still_counts_the_first(missy, serve):
    """What the first answer cost is known, whatever becomes of the second."""
    missy.entry(serve(chat_stream(BAD, usage=COUNTS), chat_error(401, "no")).url)
    with Missy.open() as m:
        answer = m.ask("hi", schema=Person)
        with pytest.raises(Exception, match="no"):
            answer.value()
    assert (answer.usage.total_tokens, answer.so_far) == (7, "")


@pytest.mark.parametrize(
    "schema", [{"$ref": "http://127.0.0.1:9/"}, {"type": 3}, {"minimum": float("nan")}, Nothing, 3]
)
def test_an_impossible_schema_is_refused_at_once(schema, missy, serve):
    """The call itself raises UsageError: nothing was sent."""
    origin = serve(chat_stream(GOOD))
    missy.entry(origin.url)
    with Missy.open() as m, pytest.raises(UsageError) as raised:
        m.ask("hi", schema=schema)
    assert raised.value.hint
    assert origin.connections == 0


def test_an_answer_without_a_schema_has_no_value(missy, serve):
    """value() says what is missing."""
    missy.entry(serve(chat_stream(GOOD)).url)
    with Missy.open() as m, pytest.raises(UsageError, match="no schema"):
        m.ask("hi").value()


@pytest.fixture
def person(missy: Command):
    with Simulator() as simulator:
        one = Subscriber(missy, simulator)
        one.signs_in()
        yield one


def test_the_responses_format_has_it_under_text(person, missy):
    """A ChatGPT login sends `text.format`, repairs, and gives the same value."""
    person.simulator.backend.scripts.extend([Script((Say((BAD,)),)), Script((Say((GOOD,)),))])
    ran = missy.inside("ask", "hi", "--schema", "name str, age int")
    assert (ran.code, json.loads(ran.text)) == (0, VALUE), ran.err
    sent = person.body["text"]["format"]
    assert (sent["type"], sent["name"], sent["strict"]) == ("json_schema", "answer", True)
    assert sent["schema"]["required"] == ["name", "age"]


def test_a_backend_that_refuses_the_format_is_told_in_words(person, missy):
    """One more request, with the schema in the instructions; a complaint about some text is no such refusal."""
    refusal = {
        "error": {"message": "Unknown parameter", "param": "text.format", "type": "invalid_request_error"}
    }
    person.simulator.backend_faults.add(RESPONSES, Fault(400, refusal), times=1)
    person.simulator.backend.scripts.append(Script((Say((GOOD,)),)))
    ran = missy.inside("ask", "hi", "--schema", "name str, age int")
    assert (ran.code, json.loads(ran.text)) == (0, VALUE), ran.err
    assert "text" not in person.body
    assert '"required":["name","age"]' in person.body["instructions"]
    person.simulator.backend_faults.add(RESPONSES, Fault(400, {"detail": "the text is bad"}), times=2)
    assert missy.inside("ask", "hi", "--schema", "name str, age int").code == 5


@pytest.mark.live
def test_the_real_local_model_keeps_to_a_schema(missy, local_home):
    """The server on this machine honours the field: even a tiny model gives what the schema says."""
    missy.config({"providers": {"local": {"name": "local", "timeout": 120}}})
    given = json.dumps(
        {
            "type": "object",
            "properties": {"color": {"enum": ["red", "green"]}, "count": {"type": "integer", "maximum": 9}},
            "required": ["color", "count"],
            "additionalProperties": False,
        }
    )
    ran = missy("ask", "Describe an apple.", "--schema", given, "--json", timeout=240)
    assert ran.code == 0, ran.err
    value = ran.json()["value"]
    assert value["color"] in ("red", "green")
    assert isinstance(value["count"], int)
