"""Schemas that would harm: they end in time, reach nothing, and are refused before anything is sent."""

from __future__ import annotations

import json
import os

import pytest

from tests.servers import chat_stream, json_response

CHAIN = 60


def nested(levels):
    return '{"items":' * levels + "{}" + "}" * levels


def doubling():
    """A few lines that ask for 2**60 steps."""
    parts = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(CHAIN)}
    return {"$ref": "#/$defs/a0", "$defs": {**parts, f"a{CHAIN}": {"type": "integer"}}}


def tangle():
    """Each part refers to each other one: more ways than can be counted."""
    names = [f"a{n}" for n in range(14)]
    parts = {
        name: {"anyOf": [{"$ref": f"#/$defs/{other}"} for other in names if other != name]} for name in names
    }
    return {"$ref": "#/$defs/a0", "$defs": parts}


REFUSED = {
    "deep": nested(33),
    "very-deep": nested(20_000),
    "huge": json.dumps({"description": "x" * 256_001}),
    "list": "[]",
    "not-json": '{"type": }',
    "nan": '{"minimum": NaN}',
    "half-character": '{"title": "\\ud800"}',
    "no-type": '{"type": "strin"}',
    "bad-pattern": '{"pattern": "("}',
    "large-pattern": '{"pattern": "((a{1000}){1000}){1000}"}',
    "many-large-patterns": json.dumps(
        {"properties": {f"p{n}": {"pattern": f"(a{{900}}){{90}}{n}"} for n in range(3000)}}
    ),
    "enum-of-no-list": '{"type": "object", "enum": 5}',
    "required-of-no-list": '{"type": "object", "additionalProperties": false, "required": 5}',
    "format-of-no-text": '{"type": "object", "format": []}',
    "choice-of-no-list": json.dumps(
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["a"],
            "properties": {"a": {"anyOf": 5}},
        }
    ),
    "endless-index": json.dumps({"anyOf": [{}], "$ref": "#/anyOf/" + "9" * 5000}),
    "missing-definition": '{"$ref": "#/$defs/none"}',
    "tangle": json.dumps(tangle()),
    "itself": '{"$ref": "#"}',
    "other-dialect": '{"$schema": "https://example.com/mine"}',
    "no-such-file": "./none.json",
    "folder": ".",
    "device": "/dev/zero",
    "no-such-type": "name string",
    "twice": "name, name",
    "empty": "",
}


@pytest.mark.parametrize("given", REFUSED.values(), ids=REFUSED)
def test_a_schema_that_cannot_be_used_is_exit_2_and_sends_nothing(given, missy, serve):
    """One line says what is wrong and one what to do; no connection is begun, no traceback shown."""
    origin = serve(chat_stream("{}"))
    missy.entry(origin.url)
    ran = missy.inside("ask", "hi", "--schema", given)
    assert (ran.code, ran.text, origin.connections) == (2, "", 0), ran.err
    assert len(ran.err.splitlines()) == 2, ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("key", ["$ref", "$dynamicRef", "$recursiveRef", "$schema"])
@pytest.mark.parametrize("place", ["root", "definition", "dialect-of-a-part"])
def test_a_reference_to_the_outside_opens_no_socket(key, place, missy, serve):
    """References by http and file references are refused wherever they stand; nobody is asked for them, and no file is read."""
    outside = serve(json_response({"type": "object"}))
    origin = serve(chat_stream("{}"))
    missy.entry(origin.url)
    for target in (
        f"{outside.url}/schema.json",
        "file:///etc/hostname",
        "//127.0.0.1/x",
        "other.json#/$defs/x",
    ):
        part = {key: target}
        given = {"root": part, "definition": {"$defs": {"a": part}}}.get(
            place, {"$id": outside.url, "items": part}
        )
        ran = missy.inside("ask", "hi", "--schema", json.dumps(given))
        assert ran.code == 2, ran.err
    assert (outside.connections, origin.connections) == (0, 0)


def test_an_id_of_another_host_is_not_asked(missy, serve):
    """A base URI only names: a reference below it is looked for in the schema alone, and parts have none of their own."""
    outside = serve(json_response({"type": "object"}))
    missy.entry(serve(chat_stream("{}")).url)
    named = {"$id": f"{outside.url}/a"}
    for given in ({**named, "$ref": "#missing"}, {"$defs": {"b": {**named, "$ref": "#/$defs/c"}}}):
        assert missy.inside("ask", "hi", "--schema", json.dumps(given)).code == 2
    assert missy.inside("ask", "hi", "--schema", json.dumps(named)).code == 0
    assert outside.connections == 0


def test_a_pipe_that_nobody_writes_to_does_not_hold_it(missy, serve, tmp_path):
    """A FIFO is no schema."""
    missy.entry(serve(chat_stream("{}")).url)
    os.mkfifo(tmp_path / "pipe")
    assert missy.inside("ask", "hi", "--schema", str(tmp_path / "pipe")).code == 2


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 50_000 + "b"),
        ({"pattern": r"^(?=a)(a+)+\1$"}, "a" * 50_000 + "b"),
        ({"patternProperties": {"(x+x+)+(?!z)y": {}}, "additionalProperties": False}, {"x" * 50_000: 1}),
        (doubling(), 1),
        (
            {"$defs": {"a": {"allOf": [{"items": {"$ref": "#/$defs/a"}}] * 2}}, "$ref": "#/$defs/a"},
            json.loads("[" * 60 + "]" * 60),
        ),
        ({"items": {"type": "integer"}}, ["x"] * 100_000),
    ],
    ids=["pattern", "look-around", "names", "doubling", "doubling-inside", "many-faults"],
)
def test_a_check_ends_in_time(schema, answer, missy, serve):
    """Patterns that double their work, and schemas that do, come to a verdict: the answer does not fit, exit 6."""
    missy.entry(serve(chat_stream(json.dumps(answer))).url)
    ran = missy("ask", "hi", "--schema", json.dumps(schema), "--no-repair", "--json", timeout=60)
    assert ran.code == 6, ran.err
    assert ran.json()["error"]["type"] == "schema_mismatch"


@pytest.mark.parametrize("inside", [" ", "`", "\n"], ids=["blanks", "backticks", "lines"])
def test_a_fence_that_does_not_end_is_read_in_time(inside, missy, serve):
    """A fence is looked for from the ends of an answer: what is between costs nothing."""
    missy.entry(serve(chat_stream("```json\n1" + inside * 500_000 + "x")).url)
    ran = missy("ask", "hi", "--schema", "{}", "--no-repair", "--json", timeout=60)
    assert (ran.code, ran.json()["error"]["type"]) == (6, "schema_mismatch")


def test_what_is_large_but_sound_is_taken(missy, serve):
    """The bounds leave room: 30 levels, 200 kB, recursion through the value, older dialects."""
    tree = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"kids": {"items": {"$ref": "#"}}},
    }
    for given, answer in [
        (nested(31), "[[[1]]]"),
        (json.dumps({"description": "x" * 200_000}), "1"),
        (json.dumps(tree), json.dumps({"kids": [{"kids": [{}, {}]}] * 50})),
    ]:
        missy.entry(serve(chat_stream(answer)).url)
        path = missy.home / "given"
        path.write_text(given)
        ran = missy.inside("ask", "hi", "--schema", str(path))
        assert ran.code == 0, ran.err
