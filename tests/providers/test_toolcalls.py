"""Tool calls from pieces: however a server cuts them up, they come out as the model meant them, or not at all."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missy.errors import BadReply
from missy.events import ToolCall
from missy.providers.toolcalls import ToolCallCollector


def piece(index: Any = None, id_: Any = None, name: Any = None, arguments: Any = None) -> dict[str, Any]:
    """Build one piece; what is None is left out."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    made = {"index": index, "id": id_, "function": function or None}
    return {key: value for key, value in made.items() if value is not None}


def collect(*pieces: Any) -> list[ToolCall]:
    collector = ToolCallCollector()
    for one in pieces:
        collector.feed([one])
    return collector.calls()


A, B = ToolCall("a", "f", {"x": 1}), ToolCall("b", "g", {"y": "z"})
TEXT_A, TEXT_B = '{"x": 1}', '{"y": "z"}'


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(0, "a", "f", TEXT_A), piece(1, "b", "g", TEXT_B)],
        [
            piece(0, "a", "f", ""),
            piece(0, None, None, '{"x"'),
            piece(0, None, None, ": 1}"),
            piece(1, "b", "g", TEXT_B),
        ],
        [
            piece(0, "a", "f", '{"x"'),
            piece(0, "a", None, ": 1}"),
            piece(1, "b", "g", '{"y"'),
            piece(1, "b", None, ': "z"}'),
        ],
        [
            piece(0, "a", "f", '{"x"'),
            piece(1, "b", "g", '{"y"'),
            piece(0, None, None, ": 1}"),
            piece(1, None, None, ': "z"}'),
        ],
        [
            piece(0, "a", "f", '{"x"'),
            piece(0, "b", "g", '{"y"'),
            piece(0, "a", None, ": 1}"),
            piece(0, "b", None, ': "z"}'),
        ],
        [piece(0, "a", "f", TEXT_A), piece(0, "b", "g", TEXT_B)],
        [piece(None, "a", "f", TEXT_A), piece(None, "b", "g", TEXT_B)],
        [piece(None, "a", "f", '{"x"'), piece(None, None, None, ": 1}"), piece(None, "b", "g", TEXT_B)],
        [piece(0, "a", "f"), piece(1, "b", "g"), piece(0, None, None, TEXT_A), piece(1, None, None, TEXT_B)],
        [piece(0, "a", None, TEXT_A), piece(0, "a", "f"), piece(1, "b", "g", TEXT_B)],
        [piece(0, "a", "f", {"x": 1}), piece(1, "b", "g", {"y": "z"})],
        [piece(0, None, "f", '{"x"'), piece(0, "a", None, ": 1}"), piece(1, "b", "g", TEXT_B)],
        [piece(0, "a", "f", '{"x"'), piece(0, "a", "f", ": 1}"), piece(1, "b", "g", TEXT_B)],
        [piece(3, "a", "f", TEXT_A), piece(7, "b", "g", TEXT_B)],
    ],
)
def test_two_calls_come_out_however_they_are_cut_up(pieces):
    """By index, by id, mixed, at once, with the index that is always 0, with arguments parsed already."""
    assert collect(*pieces) == [A, B]


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(0, None, "f", TEXT_A), piece(1, None, "g", TEXT_B)],
        [piece(None, None, "f", TEXT_A), piece(None, None, "g", TEXT_B)],
        [piece(0, None, "f", TEXT_A), piece(0, None, "g", TEXT_B)],
    ],
)
def test_calls_without_an_id_get_one_each(pieces):
    """A missing id is made, a different one for each call; a name after whole arguments begins the next call."""
    calls = collect(*pieces)
    assert [(call.name, call.arguments) for call in calls] == [("f", {"x": 1}), ("g", {"y": "z"})]
    assert len({call.id for call in calls}) == 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda v: st.lists(v, max_size=3),
    max_leaves=5,
)
ARGUMENTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=3)


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.text("fgh", min_size=1, max_size=3), ARGUMENTS), min_size=1, max_size=4),
    st.lists(st.integers(0, 60), max_size=5),
    st.randoms(use_true_random=False),
    st.sampled_from(["index", "id", "both", "one after the other"]),
)
def test_any_calls_in_any_pieces_come_out_whole(calls, places, draw, how):
    """Whatever is cut and however the pieces of several calls are mixed, each call is what it was."""
    streams = []
    for number, (name, arguments) in enumerate(calls):
        text = json.dumps(arguments)
        ends = sorted(place % (len(text) + 1) for place in places)
        parts = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
        index = None if how == "id" else 0 if how == "one after the other" else number
        head = piece(index, f"call-{number}", name, parts[0])
        rest_id = f"call-{number}" if how in ("id", "both") else None
        streams.append([head, *(piece(index, rest_id, None, part) for part in parts[1:])])
    mixed = []
    if how == "one after the other":
        mixed = [one for stream in streams for one in stream]
    else:
        for stream in streams:  # the heads in order: they are what the order of the calls is known by
            mixed.append(stream.pop(0))
        while any(streams):
            mixed.append(draw.choice([stream for stream in streams if stream]).pop(0))
    expected = [ToolCall(f"call-{number}", name, arguments) for number, (name, arguments) in enumerate(calls)]
    assert collect(*mixed) == expected


@pytest.mark.parametrize(
    "arguments",
    ["{", "}", "5", '"x"', "[]", "[{}]", '{"a":1}{"b":2}', "{'a': 1}", '{"a":1,}', '{"a":NaN}', '{"a":-Infinity}', '{"a":1e999}',
     '{"a":' + "9" * 5000 + "}", '{"a":' + "[" * 101 + "]" * 101 + "}", '{"a":' + "[" * 5000 + "]" * 5000 + "}", "\ud800", '{"a":1} x'],
)  # fmt: skip
def test_arguments_that_are_not_one_json_object_are_an_error(arguments):
    """A guess at what the model meant is never run."""
    with pytest.raises(BadReply, match="f are not a JSON object; it was not run"):
        collect(piece(0, "a", "f", arguments))


@pytest.mark.parametrize("name", [None, "", 5, ["f"]])
def test_a_call_without_a_name_is_an_error(name):
    """Nobody knows which tool was meant."""
    with pytest.raises(BadReply, match="without a name"):
        collect({"index": 0, "id": "a", "function": {"name": name, "arguments": "{}"}})


def test_a_name_may_come_after_whole_arguments():
    """A call without a name yet is not over: the name that follows at the same index is its own."""
    assert collect(piece(0, None, None, TEXT_A), piece(0, None, "f")) == [ToolCall("call_0", "f", {"x": 1})]


@pytest.mark.parametrize("odd", [None, 5, "x", {}, {"a": 1}, True])
def test_what_is_no_list_of_pieces_is_passed_over(odd):
    """`tool_calls: null` is what most chunks hold."""
    collector = ToolCallCollector()
    collector.feed(odd)
    assert collector.calls() == []


@settings(max_examples=150)
@given(
    st.lists(
        st.recursive(
            VALUES,
            lambda v: st.dictionaries(
                st.sampled_from(["index", "id", "function", "name", "arguments"]), v, max_size=5
            ),
            max_leaves=8,
        ),
        max_size=5,
    )
)
def test_no_piece_of_any_shape_breaks_it(pieces):
    """Whatever a server sends in their place, it is calls or a BadReply."""
    collector = ToolCallCollector()
    try:
        collector.feed(pieces)
        collector.calls()
    except BadReply:
        pass


@pytest.mark.parametrize(
    "flood",
    [
        lambda n: piece(0, "a", "f", "x" * 50_000),
        lambda n: piece(n, f"a{n}", "f", "x" * 50_000),
        lambda n: piece(n, f"a{n}" + "x" * 50_000, "f", "{}"),
        lambda n: piece(n, f"a{n}", "f" * 50_000, "{}"),
        lambda n: piece(n, f"a{n}", "f", "{}"),
        lambda n: piece(0, None, None, "ab" * 1000),
    ],
    ids=["one call", "many calls", "long ids", "long names", "short calls", "short pieces"],
)
def test_a_flood_of_calls_is_an_error_and_takes_little_memory(flood):
    """All calls of one answer together are bounded, not each for itself."""
    collector = ToolCallCollector()
    tracemalloc.start()
    try:
        with pytest.raises(BadReply, match=r"too (long|many)"):
            for number in range(100_000):
                collector.feed([flood(number)])
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
