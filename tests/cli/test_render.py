"""From events to what is seen: streamed, readable, and never steered by the model."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import pty
import re
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from missy.cli.output.json import EventLines, JsonObject
from missy.cli.output.plain import Plain
from missy.cli.output.renderer import Summary
from missy.cli.output.sanitize import sanitize
from missy.cli.output.select import make_renderer
from missy.cli.output.terminal import Terminal
from missy.errors import IncompleteError, ProviderError
from missy.events import Done, Event, Notice, Reasoning, Text, ToolCall, Usage
from tests.cli.screen import OURS, Screen

TERM = {"TERM": "xterm-256color"}
HOSTILE = "\x1b]52;c;aGk=\x07 \x1b[31m \x9b2J \u202eevil\u2066 \u200b\ufeff\U000e0041 \ud800 \x7f"
DOCUMENT = """# Head [/INST]

Some **bold** and *it* with arr[i], Vec<String> and [link](https://a.example/x?y=1).
Second line.

1. One
1. Two
   - nested

     more

   ```python
   x = [i]
   ```
1. Three

- a
* b

> quoted
> more

| a | b |
|---|---|
| 1 | arr[i] |

```python
def f(x):
    return x[0]
```
After.
Title
-----
***
end
"""


class Tty(io.StringIO):
    """A text stream that says that it is a terminal, and counts what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def show(pieces: list[str], *, stream: bool = True, environ: dict[str, str] = TERM) -> str:
    out = Tty()
    terminal = Terminal(out, io.StringIO(), stream=stream, environ=environ)
    terminal.start()
    for piece in pieces:
        terminal.event(Text(piece))
    terminal.event(Done("stop"))
    terminal.finish()
    return out.getvalue()


def seen(pieces: list[str], **options: bool) -> str:
    screen = Screen()
    screen.feed(show(pieces, **options))
    return screen.text()


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


def assert_harmless(shown: str) -> None:
    """Nothing but text, newlines and our own few sequences."""
    left = OURS.sub(lambda found: "" if found[0][0] == "\x1b" else found[0], shown)
    assert "\x1b" not in left
    left = left.replace("\r", "")  # only ever ours: safe() drops the model's
    assert sanitize(left) == left


MARKUP = st.lists(
    st.sampled_from(
        [
            *"#*_`~>-+|[]()<>!&;:\\/ \n\t0123456789.ab",
            *(
                "```",
                "```py\n",
                "\n\n",
                "- ",
                "1. ",
                "    ",
                "|--|",
                "&#x202e;",
                "&#27;",
                "%1b",
                "<http://",
                "](",
                "\r\n",
            ),
            *(
                "[a]: /b",
                "<b>",
                "![",
                "\x1b",
                "\x1b]52;c;x\x07",
                "\x9b",
                "\u202e",
                "\u200b",
                "\ud800",
                "日本",
                "👨‍👩‍👧",
            ),
        ]
    ),
    max_size=60,
).map("".join)
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)
PLACES = st.lists(st.integers(0, 500), max_size=12)


class TestTerminal:
    @settings(max_examples=150)
    @given(MARKUP | ANYTHING, PLACES)
    def test_no_text_steers_the_terminal_wherever_it_is_cut(self, text: str, places: list[int]):
        """Whatever a model writes, only text, newlines and our own colours and erasures come out."""
        assert_harmless(show(cut(text, places)))

    @settings(max_examples=60)
    @given(PLACES)
    def test_the_cuts_leave_no_trace(self, places: list[int]):
        """However the answer is split, the final screen is the same."""
        assert seen(cut(DOCUMENT, places)) == seen([DOCUMENT], stream=False)

    @settings(max_examples=100)
    @given(MARKUP, PLACES)
    def test_no_word_is_lost(self, text: str, places: list[int]):
        """Every letter and digit outside of list numbers and code languages is on the screen in the end."""
        words = re.findall(r"[ab]", text.replace("```py", ""))
        words = [] if re.search("```|~~~|&|%|:|\x1b", text) else words
        assert len(re.findall("[ab]", seen(cut(text, places)))) >= len(words)

    def test_markdown_is_rendered_and_brackets_are_kept(self):
        """Marks become weights, lists are counted, and what looks like markup of others is text."""
        text = seen([DOCUMENT])
        assert "[/INST]" in text
        assert text.count("arr[i]") == 2
        assert "Vec<String>" in text
        assert "link (https://a.example/x?y=1)" in text
        assert "**" not in text
        assert "```" not in text
        assert [line for line in text.split("\n") if re.match(r" \d [A-Z]", line)] == [
            " 1 One",
            " 2 Two",
            " 3 Three",
        ]
        assert "\x1b[1mbold\x1b[0m" in show([DOCUMENT])
        assert "\x1b]8" not in show([DOCUMENT])

    @pytest.mark.parametrize(
        "text",
        [
            "[/INST]",
            "arr[i]",
            "[bold]x[/bold]",
            "[1]: https://a.example",
            "<script>x</script>",
            "<div>\nx\n</div>",
            ":smile:",
            "[text][ref]",
            "https://a.example/b",
            "a &amp b",
        ],
    )
    def test_what_only_looks_like_markup_is_shown_as_it_is(self, text: str):
        """No bracket, tag, reference or colon word disappears."""
        assert seen([text]) == text + "\n"

    def test_markdown_cannot_spell_a_control(self):
        """Entities and percent signs in links are made safe after they are decoded."""
        shown = show(["a&#x202e;b&#27;c <http://a/%1b%5b31m> ![x\u202e](%1b) `&#x200b;`\n"])
        assert_harmless(shown)
        assert r"\x1b[31m" in seen(["<http://a/%1b%5b31m>"])

    def test_a_piece_is_seen_before_the_next_comes(self):
        """Each delta is on the screen when it was fed, in the middle of a word or of a block."""
        out = Tty()
        terminal = Terminal(out, io.StringIO(), environ=TERM)
        sofar = ""
        for piece in ("Hel", "lo wor", "ld, **bo", "ld**"):
            terminal.event(Text(piece))
            sofar += piece
            screen = Screen()
            screen.feed(out.getvalue())
            assert screen.text() == sofar
        terminal.finish()
        screen = Screen()
        screen.feed(out.getvalue())
        assert screen.text() == "Hello world, bold\n"

    def test_the_cost_is_linear_in_one_long_block_of_code(self):
        """Ten times the deltas in a code block are ten times the bytes, not a hundred times."""
        pieces = ["x = 1", "\n"]
        sizes = [len(show(["```python\n", *pieces * count, "```\n"])) for count in (500, 5_000)]
        assert sizes[1] < 11 * sizes[0]

    @pytest.mark.parametrize(
        "unit", ["word ", "- item\n", "| a | b |\n", "x", "> q\n", "1. a\n   ", "\n", "**", "`", "["]
    )
    def test_no_kind_of_block_costs_more_than_its_length(self, unit: str):
        """A block that outgrows the screen is not drawn again and again."""
        sizes = [len(show([unit] * count)) for count in (500, 5_000)]
        assert sizes[1] < 12 * sizes[0] + 2_000

    def test_a_block_that_has_outgrown_the_screen_stays_and_nothing_is_shown_twice(self):
        """What cannot be taken back is typed to its end, once; the next block is rendered again."""
        words = " ".join(f"w{number}" for number in range(2_000))
        text = seen([*re.findall(r".{1,7}", words), "\n\nthen **bold**\n"])
        assert "".join(text.split("then")[0].split()) == words.replace(" ", "")
        assert text.endswith("\n\nthen bold\n")

    def test_an_overgrown_list_item_does_not_repeat_the_item_after_it(self):
        """The line that was typed already as part of the block before is not typed again."""
        lines = "- start\n" + "".join(f"  line{number}\n" for number in range(60))
        text = seen([*lines, *"- next **one**\n\nafter **it**\n"])
        assert len(re.findall(r"line\d+", text)) == 60
        assert text.count("next") == 1
        assert text.endswith("after it\n")

    @settings(max_examples=60)
    @given(st.lists(st.sampled_from(["", "x", "  y = [1]", "# z"]), min_size=1, max_size=60), PLACES)
    def test_code_keeps_every_line(self, lines: list[str], places: list[int]):
        """Indents and blank lines stay, wherever a long block is given out in parts."""
        source = "```python\n" + "".join(f"{line}\n" for line in lines) + "```\n"
        expected = [line.rstrip() for line in lines]
        assert seen(cut(source, places)).split("\n")[:-1] == expected

    @settings(max_examples=80)
    @given(
        st.lists(
            st.sampled_from(["", "x" * 79, "y" * 80, "z" * 81, "w" * 160, "a b " * 60, "日本" * 45, "q"]),
            max_size=12,
        ),
        PLACES,
        st.booleans(),
    )
    def test_a_line_of_code_is_copied_as_one_line(self, lines: list[str], places: list[int], stream: bool):
        """However long a line of code is and wherever it was cut, the terminal wraps it, and copying gives it back whole."""
        source = "Before.\n\n```sh\n" + "".join(f"{line}\n" for line in lines) + "```\n\nAfter.\n"
        screen = Screen(wide=True, rows=200)
        screen.feed(show(cut(source, places), stream=stream))
        assert [line for line in screen.copied() if line] == [
            "Before.", *(line.rstrip() for line in lines if line), "After.",
        ]  # fmt: skip

    @settings(max_examples=80)
    @given(
        st.lists(
            st.sampled_from(
                ["", "x" * 79, "y" * 80, "  z" * 40, "\tw", "a b " * 60, "日本" * 45, "- q", "1. q"]
            ),
            min_size=1,
            max_size=8,
        ),
        PLACES,
        st.booleans(),
        st.sampled_from(["1. ", "- ", "* x\n  - "]),
    )
    def test_code_in_a_list_is_copied_as_it_is(
        self, lines: list[str], places: list[int], stream: bool, marker: str
    ):
        """Code inside a list item has no indent, no padding and no line break of ours, as any other code."""
        indent = " " * len(marker.rpartition("\n")[2])
        code = "".join(f"{indent}{line}\n" for line in ["begin", *lines, "end"])
        source = f"{marker}First **do**:\n{indent}```\n{code}{indent}```\n{indent}then that\n\nAfter.\n"
        shown = re.sub(r"\x1b\[[0-9;]*m", "", show(cut(source, places), stream=stream))
        assert "\n" + "\n".join(["begin", *lines, "end"]) + "\n" in shown
        screen = Screen(wide=True, rows=200)
        screen.feed(show(cut(source, places), stream=stream))
        copied = [line for line in screen.copied() if line]
        at = copied.index("begin")
        assert copied[at : copied.index("end")] == [
            "begin",
            *(line.expandtabs().rstrip() for line in lines if line),
        ]
        assert "do:" in copied[at - 1]
        assert [line.strip() for line in copied[copied.index("end") + 1 :]] == ["then that", "After."]

    @pytest.mark.parametrize("size", [1, 7, 1000])
    def test_a_list_that_outgrows_the_screen_breaks_no_line_of_its_code(self, size: int):
        """An item that stays as it was typed, since it is higher than the screen, has its code in whole lines too."""
        command = "curl -sS " + "https://api.example.com/" + "v1/" * 900
        source = f"- Do:\n  ```sh\n  {command}\n  echo done\n  ```\n\nAfter **all**.\n"
        screen = Screen(rows=24)
        screen.feed(show([source[at : at + size] for at in range(0, len(source), size)]))
        copied = [line.strip() for line in screen.copied()]
        assert command in copied
        assert copied[copied.index(command) + 1] == "echo done"
        assert copied[-2:] == ["After all.", ""]

    @pytest.mark.parametrize("size", [1, 7, 1000])
    def test_a_command_that_outgrows_the_screen_is_still_one_line(self, size: int):
        """Code that stays as it was typed, since it is higher than the screen, has no line break of ours either."""
        command = "curl -sS " + "https://api.example.com/" + "v1/" * 900
        source = f"```sh\n{command}\necho done\n```\nAfter **all**.\n"
        screen = Screen(rows=24)
        screen.feed(show([source[at : at + size] for at in range(0, len(source), size)]))
        copied = screen.copied()
        assert command in copied
        assert copied[copied.index(command) + 1] == "echo done"
        assert copied[-2:] == ["After all.", ""]

    def test_tabs_in_code_stay_tabs(self):
        """A Makefile that was copied from the answer still works."""
        shown = re.sub(r"\x1b\[[0-9;]*m", "", show(["```make\nall:\n\tmake -j\n```\n"]))
        assert shown == "all:\n\tmake -j\n"

    def test_wide_characters_do_not_break_the_redrawing(self):
        """A line of wide characters is broken before the edge, so nothing above it is lost."""
        shown = show(["above\n\n", *("日本語 👨‍👩‍👧 " * 40), "\n\n", "below"])
        screen = Screen()
        screen.feed(shown)
        assert screen.lines()[0] == "above"
        assert screen.lines()[-2] == "below"

    def test_no_color_means_weights_only(self):
        """With NO_COLOR no colour is set, in code neither, and the structure stays."""
        shown = show([DOCUMENT], environ={**TERM, "NO_COLOR": "1"})
        codes = {code for found in re.findall(r"\x1b\[([0-9;]*)m", shown) for code in found.split(";")}
        assert codes <= {"", "0", "1", "2", "3", "4", "9"}
        assert "1" in codes

    def test_hostile_depth_is_shown_as_it_is(self):
        """Quotes and lists nested beyond the width of the screen neither hang nor vanish."""
        assert "deep" in seen([">" * 500 + " deep\n"])
        assert "deep" in seen(["- " * 50 + "deep\n"])

    def test_thoughts_go_dim_to_a_terminal_and_notices_get_their_own_line(self):
        """The standard output has the answer alone; the stream of thoughts and the notice are on stderr."""
        both = Tty()
        terminal = Terminal(both, both, environ=TERM)
        for event in (
            Reasoning("hm\x1b[31m"),
            Text("half a "),
            Notice("model\u202e changed\x07"),
            Text("line"),
        ):
            terminal.event(event)
        terminal.finish()
        assert both.getvalue().startswith("\x1b[2mhm\\x1b[31m\x1b[0m\n\n")
        screen = Screen()
        screen.feed(both.getvalue())
        assert screen.lines()[2:] == ["half a", r"missy: model changed\x07", "line", ""]
        quiet = io.StringIO()
        Terminal(Tty(), quiet, environ=TERM).event(Reasoning("hm"))
        assert quiet.getvalue() == ""

    def test_a_failure_leaves_the_cursor_at_the_beginning_of_a_line(self):
        """The error has a line of its own, after the text that came."""
        out = Tty()
        terminal = Terminal(out, io.StringIO(), environ=TERM)
        terminal.event(Text("half **an** ans"))
        terminal.fail(ProviderError("cut off"))
        screen = Screen()
        screen.feed(out.getvalue())
        assert screen.text() == "half an ans\n"

    def test_without_stream_nothing_is_shown_before_the_end(self):
        """--no-stream shows the answer once, whole."""
        out = Tty()
        terminal = Terminal(out, io.StringIO(), stream=False, environ=TERM)
        terminal.event(Text("a **b**"))
        assert out.getvalue() == ""
        terminal.finish()
        assert "\x1b[J" not in out.getvalue()
        assert "\x1b[1mb" in out.getvalue()


class TestPlain:
    def plain(self, events: list[Event]) -> tuple[str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stderr(err):
            renderer = make_renderer(out, environ=TERM)
        assert type(renderer) is Plain
        for event in events:
            renderer.event(event)
        renderer.finish()
        return out.getvalue(), err.getvalue()

    def test_a_pipe_gets_the_text_as_it_is_and_one_newline(self):
        """No rendering, no boxes, no escape sequences: the Markdown itself, ended once."""
        assert self.plain([Text(DOCUMENT[:50]), Text(DOCUMENT[50:] + "\n\n")]) == (DOCUMENT, "")
        assert self.plain([Text("x")])[0] == "x\n"
        assert self.plain([])[0] == ""

    @given(st.lists(ANYTHING, max_size=6))
    def test_no_control_goes_through_a_pipe(self, pieces: list[str]):
        """`missy ask | cat` reaches a terminal too: no C0, DEL or C1 passes, wherever the text is cut."""
        shown = self.plain([Text(piece) for piece in pieces])[0]
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)
        assert not shown.endswith("\n\n")
        shown.encode()

    def test_thoughts_are_not_shown_and_notices_go_to_stderr(self):
        """Standard output has only the answer."""
        events = [Reasoning("hm"), Notice("a\x1b[31m\nb"), Text("yes"), Usage(1, 2)]
        assert self.plain(events) == ("yes\n", "missy: a\\x1b[31m b\n")

    def test_tool_calls_alone_are_the_answer(self):
        """A line of ASCII JSON each; beside a text they are a notice."""
        call = ToolCall("1", f"run{HOSTILE}", {"x": HOSTILE})
        out, _ = self.plain([call])
        assert json.loads(out) == {"name": call.name, "arguments": call.arguments}
        assert out.isascii()
        assert out.rstrip("\n").isprintable()
        out, err = self.plain([Text("hi"), call])
        assert out == "hi\n"
        assert_harmless(err)
        assert err.startswith("missy: tool call: {")

    def test_a_dumb_terminal_gets_safe_plain_text(self):
        """TERM=dumb or none: no sequence at all, and nothing invisible either."""
        for environ in ({"TERM": "dumb"}, {}):
            out = Tty()
            renderer = make_renderer(out, environ=environ)
            renderer.event(Text(f"**x** {HOSTILE}"))
            renderer.finish()
            assert out.getvalue() == f"**x** {sanitize(HOSTILE)}\n"

    def test_a_failure_ends_the_line(self):
        """Text that was shown is kept and ended; text that was not shown yet is shown."""
        for stream in (True, False):
            out = io.StringIO()
            plain = Plain(out, io.StringIO(), stream=stream)
            plain.event(Text("half"))
            plain.fail(ProviderError("x"), "half")
            assert out.getvalue() == "half\n"

    def test_a_reader_that_has_gone_is_told_to_the_caller(self):
        """BrokenPipeError passes through, for the exit code 141."""
        read, write = os.pipe()
        os.close(read)
        out = os.fdopen(write, "w")
        with pytest.raises(BrokenPipeError):
            Plain(out, io.StringIO()).event(Text("x"))
        with pytest.raises(BrokenPipeError):
            out.close()


class TestJson:
    EVENTS = (
        Reasoning("hm"),
        Text("a\x1b"),
        Text("é\u202e"),
        ToolCall("1", "f", {"x": [1]}),
        Usage(1, 2, 3, None, 0),
        Done("stop", "m-1", "req"),
    )
    KEYS = (
        *("text", "provider", "fallback_from", "model", "finish_reason", "complete", "usage", "cost_usd"),
        *(
            "reasoning",
            "tool_calls",
            "citations",
            "value",
            "attachments",
            "session",
            "turn",
            "request_id",
            "ttft_ms",
        ),
        *("duration_ms", "error"),
    )

    def test_success_is_one_object_with_every_key(self):
        """The contract's keys, in one line of ASCII."""
        out = io.StringIO()
        renderer = make_renderer(out, json=True, environ=TERM)
        for event in self.EVENTS:
            renderer.event(event)
        renderer.finish(Summary(provider="openai", model="asked", session="s", ttft_ms=5, duration_ms=9))
        assert out.getvalue().isascii()
        assert out.getvalue().count("\n") == 1
        answer = json.loads(out.getvalue())
        assert tuple(answer) == self.KEYS
        assert answer == {
            "text": "a\x1bé\u202e",
            "provider": "openai",
            "fallback_from": None,
            "model": "m-1",
            "finish_reason": "stop",
            "complete": True,
            "usage": {
                "input_tokens": 1,
                "output_tokens": 2,
                "total_tokens": 3,
                "cached_tokens": None,
                "reasoning_tokens": 0,
            },
            "cost_usd": None,
            "reasoning": "hm",
            "tool_calls": [{"id": "1", "name": "f", "arguments": {"x": [1]}}],
            "citations": [],
            "value": None,
            "attachments": [],
            "session": "s",
            "turn": None,
            "request_id": "req",
            "ttft_ms": 5,
            "duration_ms": 9,
            "error": None,
        }

    def test_failure_is_the_same_object(self):
        """The text as far as it came, complete false, and the error with its hint and status."""
        out = io.StringIO()
        renderer = JsonObject(out, io.StringIO())
        renderer.fail(
            IncompleteError("over length", hint="more", finish_reason="length", request_id="r"), "half"
        )
        answer = json.loads(out.getvalue())
        assert tuple(answer) == self.KEYS
        assert (answer["text"], answer["complete"], answer["finish_reason"]) == ("half", False, "length")
        assert answer["usage"] is None
        assert answer["request_id"] == "r"
        assert answer["error"] == {
            "type": "incomplete",
            "message": "over length",
            "hint": "more",
            "status": None,
        }

    def test_events_come_one_a_line_as_they_arrive(self):
        """Each line is whole and flushed before the next event; a failure is the last line."""
        raw = io.BytesIO()
        renderer = make_renderer(io.TextIOWrapper(raw), events=True, environ=TERM)
        assert isinstance(renderer, EventLines)
        for count, event in enumerate([*self.EVENTS, Notice("n")], 1):
            renderer.event(event)
            assert raw.getvalue().count(b"\n") == count
        renderer.fail(ProviderError("bad", hint="wait", status=500))
        lines = [json.loads(line) for line in raw.getvalue().splitlines()]
        assert raw.getvalue().isascii()
        kinds = ["reasoning", "text", "text", "tool_call", "usage", "done", "notice", "error"]
        assert [line["type"] for line in lines] == kinds
        assert lines[1] == {"type": "text", "text": "a\x1b"}
        assert lines[3] == {"type": "tool_call", "id": "1", "name": "f", "arguments": {"x": [1]}}
        assert lines[5] == {"type": "done", "finish_reason": "stop", "model": "m-1", "request_id": "req"}
        assert lines[7]["error"] == {"type": "provider", "message": "bad", "hint": "wait", "status": 500}


CHILD = """
import os, sys
from missy.cli.output.select import make_renderer
from missy.events import Done, Text
renderer = make_renderer(sys.stdout, environ=os.environ)
for line in sys.stdin:
    renderer.event(Text(line.rstrip("\\n").replace("~", "\\n")))
renderer.event(Done("stop"))
renderer.finish()
"""


def read_until(terminal: int, mark: str, limit: float = 60) -> str:
    got = b""
    deadline = time.monotonic() + limit
    while mark.encode() not in got:
        assert time.monotonic() < deadline, got
        try:
            got += os.read(terminal, 4096)
        except OSError:  # the other side has closed
            break
    return got.decode()


@pytest.mark.parametrize("columns", [40, 80])
def test_a_real_terminal_shows_the_first_piece_before_the_last_is_sent(columns: int):
    """On a pseudo-terminal of 40 and of 80 columns: streamed, rendered, within the width."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, **TERM, "NO_COLOR": ""},
    )
    os.close(theirs)
    assert child.stdin is not None
    child.stdin.write(b"first **wo\n")
    child.stdin.flush()
    shown = read_until(ours, "first **wo")
    child.stdin.write(b"rd** and " + b"many words " * 12 + b"~~`arr[i]` is the end\n")
    child.stdin.close()
    shown += read_until(ours, "\x00never")
    assert child.wait(60) == 0, child.stderr and child.stderr.read()
    if child.stderr:
        child.stderr.close()
    os.close(ours)
    screen = Screen(columns)
    screen.feed(shown)
    assert all(len(line) <= columns for line in screen.lines())
    assert screen.lines()[0].startswith("first word and many")
    assert screen.lines()[-2] == "arr[i] is the end"
