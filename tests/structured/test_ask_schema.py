"""`missy ask --schema`: what is sent, what comes out, and how it fails."""

from __future__ import annotations

import json

import pytest

from tests.cli.test_ask import on_terminal
from tests.servers import chat_error, chat_stream, json_response

FIELDS = "name str, age int, tags: what for"
GOOD = '{"name": "Ada", "age": 36, "tags": "x"}'
VALUE = {"name": "Ada", "age": 36, "tags": "x"}
BAD = '{"name": 1, "age": "old", "a/b~c": 2}'
COUNTS = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "tags": {"type": "string", "description": "what for"},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}


@pytest.fixture
def ask(missy, serve):
    """Ask an endpoint that answers with this script; returns how it ended and the endpoint."""

    def run(*args, script):
        origin = serve(*script)
        missy.entry(origin.url)
        return missy.inside("ask", "hi", *args), origin

    return run


@pytest.mark.parametrize("form", ["fields", "json", "file"])
def test_each_form_of_a_schema_reaches_the_body(form, ask, tmp_path):
    """Fields, JSON and a file are the same schema, sent as `response_format`; the answer is one compact line."""
    path = tmp_path / "given"
    path.write_text(json.dumps(SCHEMA))
    given = {"fields": FIELDS, "json": json.dumps(SCHEMA), "file": str(path)}[form]
    ran, origin = ask("--schema", given, script=[chat_stream(GOOD[:9], GOOD[9:])])
    assert (ran.code, ran.text, ran.err) == (0, '{"name":"Ada","age":36,"tags":"x"}\n', "")
    sent = origin.last.json()["response_format"]
    assert sent == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
    }


@pytest.mark.parametrize(
    ("change", "strict"),
    [
        ({}, True),
        ({"required": ["name"]}, False),
        ({"additionalProperties": True}, False),
        ({"allOf": [{"required": ["age"]}]}, False),
        ({"title": "A person, please"}, True),
        ({"properties": {"name": {"type": "array"}}, "required": ["name"]}, False),
        ({"properties": {"name": {}}, "required": ["name"]}, False),
    ],
)
def test_strict_is_asked_for_only_where_the_schema_qualifies(change, strict, ask):
    """`strict` is true for closed objects with all properties required, and false for all else."""
    given = json.dumps({**SCHEMA, **change})
    ran, origin = ask("--schema", given, "--dry-run", "--json", script=[chat_stream(GOOD)])
    sent = ran.json()["body"]["response_format"]["json_schema"]
    assert (sent["strict"], origin.connections) == (strict, 0)
    assert sent["name"] == ("A_person_please" if "title" in change else "answer")


@pytest.mark.parametrize(
    ("head", "recursion"),
    [
        ({}, "$ref"),
        ({"$id": "https://example.com/person"}, "$ref"),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "id": "https://example.com/person"}, "$ref"),
        (
            {"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveAnchor": True},
            "$recursiveRef",
        ),
    ],
    ids=["plain", "with-an-id", "with-an-id-of-draft-4", "recursive-reference"],
)
def test_schema_multi_asks_for_a_list(head, recursion, ask):
    """--schema-multi wraps the schema as `items`, and what it refers to is still found."""
    given = {
        **head,
        "type": "object",
        "properties": {"n": {"$ref": "#/$defs/n"}, "kids": {"type": "array", "items": {recursion: "#"}}},
        "additionalProperties": False,
    }
    given["$defs"] = {"n": {"type": "integer"}}
    answer = '{"items": [{"n": 1, "kids": [{"n": 2}]}]}'
    ran, _ = ask("--schema", json.dumps(given), "--schema-multi", "--json", script=[chat_stream(answer)])
    assert ran.json()["value"] == json.loads(answer)
    bad = '{"items": [{"kids": [{"n": "x"}]}]}'
    ran, _ = ask("--schema", json.dumps(given), "--schema-multi", "--json", script=[chat_stream(bad)])
    assert ran.json()["error"]["faults"][0]["pointer"] == "/items/0/kids/0/n"


def test_schema_multi_leaves_data_in_a_schema_as_it_is(ask):
    """A value of const, enum, default or examples may look like a reference; a field may have the name of a keyword."""
    looks = {"$ref": "#/properties/kind"}
    given = {
        "type": "object",
        "properties": {
            "kind": {"const": looks, "default": looks, "examples": [looks]},
            "default": {"$ref": "#/properties/other"},
            "other": {"enum": [looks, 1]},
        },
        "required": ["kind", "default"],
        "$defs": {"const": {"$ref": "#/properties/other"}},
    }
    answer = json.dumps({"items": [{"kind": looks, "default": 1}]})
    ran, origin = ask("--schema", json.dumps(given), "--schema-multi", "--json", script=[chat_stream(answer)])
    assert ran.json()["value"] == json.loads(answer)
    sent = origin.last.json()["response_format"]["json_schema"]["schema"]
    moved = {"$ref": "#/properties/items/items/properties/other"}
    assert sent["properties"]["items"]["items"]["properties"] == {**given["properties"], "default": moved}
    assert sent["$defs"] == {"const": moved}


def test_an_answer_that_does_not_fit_is_asked_for_once_more(ask):
    """The second request holds the answer and its faults; stderr says so, and both are counted."""
    script = [chat_stream(BAD, usage=COUNTS), chat_stream(GOOD, usage=COUNTS)]
    ran, origin = ask("--schema", FIELDS, "--json", script=script)
    said = ran.json()
    assert (ran.code, said["value"], said["text"]) == (0, VALUE, GOOD)
    assert (said["usage"]["input_tokens"], said["usage"]["output_tokens"]) == (6, 8)
    assert "asking once more" in ran.err
    first, second = origin.bodies()
    assert second["messages"][:1] == first["messages"]
    assert second["messages"][1] == {"role": "assistant", "content": BAD}
    assert "/age" in second["messages"][2]["content"]
    assert second["response_format"] == first["response_format"]


@pytest.mark.parametrize(("options", "requests"), [((), 2), (("--no-repair",), 1)])
def test_an_answer_that_never_fits_is_exit_6_with_an_empty_stdout(options, requests, ask):
    """Nothing of it reaches stdout, and the endpoint is asked twice at most."""
    ran, origin = ask("--schema", FIELDS, *options, script=[chat_stream(BAD)])
    assert (ran.code, ran.text) == (6, "")
    assert "/age" in ran.err
    assert len(origin.requests) == requests


def test_json_tells_the_first_five_faults_with_their_pointers(ask):
    """error.type is schema_mismatch; pointers are escaped as RFC 6901 has it."""
    given = json.dumps({"additionalProperties": {"type": "integer"}})
    answer = json.dumps({"a/b~c": "x", **{f"k{n}": [] for n in range(9)}})
    ran, _ = ask("--schema", given, "--json", "--no-repair", script=[chat_stream(answer, usage=COUNTS)])
    said = ran.json()
    assert (ran.code, said["complete"], said["value"], said["text"]) == (6, False, None, answer)
    assert (said["error"]["type"], said["usage"]["total_tokens"]) == ("schema_mismatch", 7)
    faults = said["error"]["faults"]
    assert len(faults) == 5
    assert "/a~1b~0c" in [one["pointer"] for one in faults]
    assert all(one["message"] for one in faults)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (f"```json\n{GOOD}\n```", VALUE),
        (f"\n~~~~\n{GOOD}\n~~~~\n", VALUE),
        (f"Here you are:\n```json\n{GOOD}\n```", None),
        (f"{GOOD} Anything else?", None),
        (GOOD.replace("}", ",}"), None),
        (GOOD.replace("36", "NaN"), None),
        (GOOD.replace("36", "1e999"), None),
        (GOOD[:-1], None),
        ("[" * 5000, None),
        ("null", None),
    ],
)
def test_a_fence_is_taken_off_and_nothing_else_is_repaired(answer, value, ask):
    """JSON in a fence is JSON; words around it, a comma too many, NaN and a missing end are faults."""
    ran, _ = ask("--schema", FIELDS, "--no-repair", "--json", script=[chat_stream(answer)])
    assert (ran.code, ran.json()["value"]) == (6 if value is None else 0, value)


def test_without_a_schema_the_value_is_null(ask):
    """`ask --json` always has the key."""
    ran, _ = ask("--json", script=[chat_stream(GOOD)])
    assert ran.json()["value"] is None


@pytest.mark.parametrize("code", [400, 422])
def test_an_endpoint_that_refuses_the_field_is_told_in_words_and_that_is_remembered(code, missy, serve):
    """Once without it, the schema in the system message; the next run begins that way."""
    refusal = chat_error(code, "This response_format type is unavailable now", type="invalid_request_error")
    origin = serve(refusal, chat_stream(GOOD))
    missy.entry(origin.url)
    for _ in range(2):
        assert missy.inside("ask", "hi", "--schema", FIELDS, "--system", "Be kind.").code == 0
    _, told, again = origin.bodies()
    assert told == again
    assert "response_format" not in told
    system, user = told["messages"]
    assert system["content"].startswith("Be kind.")
    assert json.dumps(SCHEMA, separators=(",", ":")) in system["content"]
    assert user == {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    "words",
    [
        "Invalid schema for response_format 'answer': no oneOf",
        "JSON schema conversion failed: unsupported pattern",
        "Unknown name 'additionalProperties' at 'generation_config.response_schema'",
    ],
)
def test_a_complaint_about_one_schema_is_not_held_against_the_next(words, missy, serve):
    """An "invalid schema" is answered in words too, and the next schema is sent again."""
    refusal = chat_error(400, words)
    origin = serve(refusal, chat_stream(GOOD))
    missy.entry(origin.url)
    for _ in range(2):
        assert missy.inside("ask", "hi", "--schema", FIELDS).code == 0
    assert ["response_format" in body for body in origin.bodies()] == [True, False, True]


def test_a_400_about_something_else_is_no_reason_to_send_it_again(ask):
    """Only a complaint that names the field is answered by leaving it out."""
    ran, origin = ask(
        "--schema", FIELDS, script=[json_response({"error": {"message": "the text is bad"}}, 400)]
    )
    assert (ran.code, ran.text, len(origin.requests)) == (5, "", 1)


def test_a_cut_answer_leaves_stdout_empty(ask):
    """Half a JSON value never reaches a pipe, and is not asked for again; --json tells it as text, beside the error."""
    ran, origin = ask("--schema", FIELDS, script=[chat_stream(GOOD[:20], finish="length")])
    assert (ran.code, ran.text, len(origin.requests)) == (6, "", 1)
    ran, _ = ask("--schema", FIELDS, "--json", script=[chat_stream(GOOD[:20], finish="length")])
    assert (ran.json()["text"], ran.json()["value"], ran.json()["error"]["type"]) == (
        GOOD[:20],
        None,
        "incomplete",
    )


def test_what_the_model_smuggles_into_a_string_is_escaped(ask):
    """Controls and marks of direction are written as escapes: the same value, and no terminal obeys them."""
    given = {"name": "\u009b2J\u202e\x7f é😀", "age": 1, "tags": "\ud800"}
    ran, _ = ask("--schema", FIELDS, "--no-repair", script=[chat_stream(json.dumps({**given, "tags": "x"}))])
    assert ran.json()["name"] == given["name"]
    assert "é😀" in ran.text
    assert ran.text.rstrip("\n").isprintable()
    ran, _ = ask(
        "--schema",
        FIELDS,
        "--no-repair",
        script=[chat_stream(json.dumps(given).replace("\\ud800", "\\\\ud800"))],
    )
    assert ran.code == 0


def test_on_a_terminal_the_json_is_indented(missy, serve):
    """A person gets lines, without colour or Markdown."""
    missy.entry(serve(chat_stream(GOOD)).url)
    code, shown = on_terminal(missy, "ask", "hi", "--schema", FIELDS)
    assert (code, shown.replace("\r\n", "\n")) == (0, json.dumps(VALUE, indent=2) + "\n")


def test_events_come_after_the_check(ask):
    """--events gives the text in one piece once it fits, and nothing of one that does not."""
    ran, _ = ask("--schema", FIELDS, "--events", script=[chat_stream(BAD), chat_stream(GOOD[:5], GOOD[5:])])
    events = ran.events()
    assert [event["type"] for event in events] == ["notice", "text", "done"]
    assert json.loads(events[1]["text"]) == VALUE
    ran, _ = ask("--schema", FIELDS, "--events", "--no-repair", script=[chat_stream(BAD)])
    assert [event["type"] for event in ran.events()] == ["error"]


def test_an_option_of_a_schema_without_one_is_wrong_use(ask):
    """--schema-multi and --no-repair alone mean nothing."""
    for option in ("--schema-multi", "--no-repair"):
        ran, origin = ask(option, script=[chat_stream(GOOD)])
        assert (ran.code, origin.connections) == (2, 0)
        assert option in ran.err
