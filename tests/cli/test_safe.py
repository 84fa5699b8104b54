"""Text of others on a terminal: what may be shown, and what it becomes."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from missy.cli.output.sanitize import escape_controls, sanitize

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)
KEPT = {"\n", "\t", "\u200c", "\u200d", "\ufe0e", "\ufe0f"}
VISIBLE_FORMAT = {"Arabic number sign": "\u0600", "Egyptian joiner": "\U00013430"}


def _hidden(char: str) -> bool:
    code = ord(char)
    return (
        (unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"})
        or code in {0x61C, 0xAD, 0x180E, 0x200B, 0x200E, 0x200F, 0x3164, 0xFFA0, 0x115F, 0x1160, 0xFEFF}
        or any(low <= code <= high for low, high in ((0x202A, 0x202E), (0x2060, 0x206F), (0xFFF9, 0xFFFB)))
        or 0xE0000 <= code <= 0xE0FFF
    )


def test_every_character_of_unicode_is_harmless_on_its_own():
    """No control, no bidi control, no separator and no invisible character is left of any code point."""
    for code in range(sys.maxunicode + 1):
        for char in sanitize(chr(code)):
            assert char in KEPT or not _hidden(char), hex(code)


@given(ANYTHING, ANYTHING)
def test_a_stream_may_be_cut_anywhere(one: str, two: str):
    """Splitting the text changes nothing: no sequence can pass in two halves."""
    assert sanitize(one + two) == sanitize(one) + sanitize(two)
    assert escape_controls(one + two) == escape_controls(one) + escape_controls(two)


@given(ANYTHING)
def test_what_is_safe_stays_as_it_is_and_can_be_encoded(text: str):
    """Safe text is a fixed point, fits into UTF-8, and is one line where one line is asked for."""
    shown = sanitize(text)
    assert sanitize(shown) == shown
    shown.encode()
    escape_controls(text).encode()
    assert len(sanitize(text, newlines=False).splitlines()) <= 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b]52;c;aGk=\x07b", r"a\x1b]52;c;aGk=\x07b"),
        ("\x1b[2J\x1b[31m", r"\x1b[2J\x1b[31m"),
        ("\x9b31m\x90q\x9c\x7f\x00", r"\x9b31m\x90q\x9c\x7f\x00"),
        ("user\u202eexe.txt\u2066", "userexe.txt"),
        ("a\u200bb\ufeffc\u00add\U000e0041\U000e0101\u3164", "abcd"),
        ("10%\r\n20%\rgone?", "10%\n20%gone?"),
        ("a\u2028b\u2029c", "a\nb\nc"),
        ("\ud800\ufffe\U0010ffff", "\ufffd\ufffd\ufffd"),
    ],
)
def test_what_would_steer_or_hide_is_shown_or_dropped(text: str, shown: str):
    """Controls become visible; bidi controls and invisible characters go; nothing overwrites a line."""
    assert sanitize(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "a\n\tb",
        "日本語",
        "👨‍👩‍👧 ❤️ ☎︎",
        "می‌خواهم",
        "e\u0301",
        "[/INST] arr[i] \\x1b",
        *VISIBLE_FORMAT.values(),
    ],
)
def test_what_people_write_stays(text: str):
    """Joined emoji, Persian, accents, brackets and backslashes are untouched."""
    assert sanitize(text) == text


def test_one_line_stays_one_line():
    """For a model's name or an error, newlines and tabs are spaces."""
    assert sanitize("a\nb\tc\r\nd", newlines=False) == "a b c d"


def test_a_pipe_keeps_the_text_but_no_controls():
    """Marks of direction and soft hyphens reach a file; an escape sequence does not."""
    assert escape_controls("שלום\u200f a\u00adb\ufeff\U000e0067") == "שלום\u200f a\u00adb\ufeff\U000e0067"
    assert escape_controls("a\x1b[31m\x9b\x7f\r\n\ud800") == "a\\x1b[31m\\x9b\\x7f\n\ufffd"
