"""Thinking in the text: told apart from the answer, whatever the pieces are, and nothing of either is lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from missy.events import Reasoning, Text
from missy.providers.thinking import ThinkSplitter


def split(*pieces: str) -> tuple[str, str]:
    """Return thinking and answer."""
    splitter = ThinkSplitter()
    events = [event for piece in pieces for event in splitter.feed(piece)] + splitter.flush()
    thought = "".join(event.text for event in events if isinstance(event, Reasoning))
    return thought, "".join(event.text for event in events if isinstance(event, Text))


def reference(text: str) -> tuple[str, str]:
    """The whole text at once: a tag at the very start, up to its end, and what follows without its first line ends."""
    found = re.match(r"\s*<think>(.*?)(?:</think>[\r\n]*(.*))?\Z", text, re.DOTALL)
    return (found[1], found[2] or "") if found else ("", text)


@pytest.mark.parametrize(
    ("pieces", "thought", "answer"),
    [
        (["hello"], "", "hello"),
        (["<think>why</think>because"], "why", "because"),
        (["<think>why</think>\n\nbecause"], "why", "because"),
        (["\n<think>why</think>because"], "why", "because"),
        (["<thi", "nk>wh", "y</thi", "nk>\n", "\nbecause"], "why", "because"),
        (["<think>", "</think>", "because"], "", "because"),
        (["<think>never closed"], "never closed", ""),
        (["<think>almost </thin"], "almost </thin", ""),
        (["a <think>b</think> c"], "", "a <think>b</think> c"),
        (["<", "b", ">bold"], "", "<b>bold"),
        (["<thin"], "", "<thin"),
        (["<thinker>x"], "", "<thinker>x"),
        ([" ", " ", "x"], "", "  x"),
        (["<think>a</think>b<think>c</think>d"], "a", "b<think>c</think>d"),
        ([""], "", ""),
        (["  \n "], "", "  \n "),
    ],
)
def test_only_a_tag_at_the_very_start_is_thinking(pieces, thought, answer):
    """Later it is a quotation; unclosed it is thinking to the end."""
    assert split(*pieces) == (thought, answer)


TEXTS = st.lists(
    st.sampled_from(
        ["<think>", "</think>", "<", "/", "think", ">", "\n", " ", "a", "é", "<thi", "nk>", "</thi"]
    ),
    max_size=14,
).map("".join)


@settings(max_examples=500)
@given(TEXTS, st.lists(st.integers(0, 80), max_size=6))
@example("<think></think>", [7])
@example("<think>a</think>\n\n\nb", [17, 18, 19])
def test_the_pieces_make_no_difference(text, places):
    """Cut anywhere, the thinking and the answer are those of the whole text."""
    ends = sorted(place % (len(text) + 1) for place in places)
    pieces = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    assert split(*pieces) == reference(text)


@settings(max_examples=150)
@given(st.lists(st.text(max_size=12), max_size=8))
def test_an_answer_without_a_tag_comes_out_as_it_went_in(pieces):
    """No character of an ordinary answer is lost or moved."""
    text = "".join(pieces)
    if not text.lstrip().startswith("<think>"):
        assert split(*pieces) == ("", text)


def test_an_answer_is_not_held_back():
    """The first piece that cannot begin a tag comes out at once, and all after it."""
    splitter = ThinkSplitter()
    assert splitter.feed("He") == [Text("He")]
    assert splitter.feed("<think>") == [Text("<think>")]


def test_thinking_comes_out_as_it_arrives():
    """Only what might be the closing tag is held back."""
    splitter = ThinkSplitter()
    assert splitter.feed("<think>one </") == [Reasoning("one ")]
    assert splitter.feed("x") == [Reasoning("</x")]


def test_white_space_is_not_waited_on_for_ever():
    """After a line of white space no tag is expected any more, in one piece or in many."""
    blank = " " * 200
    assert split(blank, "<think>x") == split(*blank, "<think>x") == split(blank + "<think>x")
