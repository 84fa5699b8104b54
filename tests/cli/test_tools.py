"""Tools from the command line: the question, its answers, the exit codes, the record, and `missy tools`."""

from __future__ import annotations

import json
import os
import shutil
import time

import pytest

from missy.sandbox.probe import try_levels
from tests.cli.person import CTRL_C, CTRL_D, ENTER, Person
from tests.command import COMMAND, Command
from tests.servers import Gate, chat_stream
from tests.toolbox.conftest import calls, results

WRITE = ("write", {"path": "new.txt", "text": "hello\n"})


@pytest.fixture
def work(tmp_path):
    """A workspace to start the command in."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "a.txt").write_text("one\n")
    return folder


def lines(missy: Command) -> list[dict]:
    """Return the lines of the audit that are about tools."""
    return [row for row in missy("audit", "recent", "-n", "99", "--tools", "--json").json() if "tool" in row]


def test_ask_uses_tools(missy, serve, work):
    """`ask --tools` answers after it has looked; stdout has the answer alone, stderr a line for each call."""
    origin = serve(calls(("read", {"path": "a.txt"})), chat_stream("It says one."))
    missy.entry(origin.url)
    done = missy("ask", "--tools", "read,list", "what is in a.txt?", cwd=work)
    assert (done.code, done.text) == (0, "It says one.\n")
    assert "missy: tool: read a.txt: ok" in done.err
    (row,) = lines(missy)
    assert (row["tool"], row["subject"], row["decision"], row["rule"]) == (
        "read",
        "a.txt",
        "allow",
        "built-in: read",
    )
    assert row["outcome"] == "ok"
    assert "1  one" not in json.dumps(row)


def test_without_tools_nothing_changes(missy, serve, work):
    """Without --tools the body is the same byte for byte as it always was, with a `tools` section without `use` too."""
    origin = serve(chat_stream("hi"))
    missy.entry(origin.url)
    missy("ask", "hi", cwd=work)
    config = json.loads((missy.home / "config.yaml").read_text())
    missy.config({**config, "tools": {"allow": ["read"], "deny": ["run"]}})
    missy("ask", "hi", cwd=work)
    missy.config({**config, "tools": {"use": ["read"]}})
    missy("ask", "hi", "--no-tools", cwd=work)
    assert len({request.body for request in origin.requests}) == 1
    assert "tools" not in origin.last.json()


def test_the_configuration_can_offer_tools(missy, serve, work):
    """`tools.use` offers tools without a flag."""
    origin = serve(chat_stream("hi"))
    missy.entry(origin.url)
    config = json.loads((missy.home / "config.yaml").read_text())
    missy.config({**config, "tools": {"use": ["list", "read"], "workspace": str(work)}})
    missy("ask", "hi")
    assert [tool["function"]["name"] for tool in origin.last.json()["tools"]] == ["list", "read"]


def test_without_a_terminal_what_is_asked_is_denied(missy, serve, work):
    """No terminal is no yes: nothing is written, the answer is printed, the exit code is 3, and the record says why."""
    origin = serve(calls(WRITE), chat_stream("I could not."))
    missy.entry(origin.url)
    done = missy("ask", "--tools", "write", "write a file", stdin=b"y\ny\n", cwd=work, start_new_session=True)
    assert (done.code, done.text) == (3, "I could not.\n")
    assert results(origin.last) == ["not approved: there is nobody to ask; it was not run"]
    assert not (work / "new.txt").exists()
    (row,) = lines(missy)
    assert (row["event"], row["decision"], row["rule"]) == ("refused", "not-a-tty", "not_a_tty")


def test_in_ci_nobody_is_asked(missy, serve, work):
    """With CI in the environment a terminal is no person."""
    origin = serve(calls(WRITE), chat_stream("no"))
    missy.entry(origin.url)
    with Person(missy, "ask", "--tools", "write", "go", cwd=work, env={"CI": "1"}) as person:
        assert person.end() == 3
    assert not (work / "new.txt").exists()


def test_a_flag_allows_for_this_run(missy, serve, work):
    """`--allow` allows without a question; the record has the rule."""
    origin = serve(calls(WRITE), chat_stream("done"))
    missy.entry(origin.url)
    assert missy("ask", "--tools", "write", "--allow", "write: *.txt", "go", cwd=work).code == 0
    assert (work / "new.txt").read_text() == "hello\n"
    assert lines(missy)[0]["rule"] == "allow: write: *.txt"


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ("n", 0),
        ("", 0),
        ("N", 0),
        ("yy", 0),
        ("yes please", 0),
        ("no", 0),
        ("n: not now", 0),
        ("q", 3),
        ("allow", 0),
    ],
)
def test_whatever_is_no_clear_yes_is_a_no(missy, serve, work, keys, code):
    """`n`, Enter, and any other word write nothing; a reason goes to the model; `q` stops with exit 3."""
    origin = serve(calls(WRITE), chat_stream("as you wish"))
    missy.entry(origin.url)
    with Person(missy, "ask", "--tools", "write", "go", cwd=work) as person:
        person.see("allow it?")
        person.press(keys, ENTER)
        assert person.end() == code
    assert not (work / "new.txt").exists()
    assert lines(missy)[0]["decision"] == "asked-no"
    if keys.startswith("n:"):
        assert results(origin.last) == ["the person said no: not now; it was not run"]


@pytest.mark.parametrize(("key", "code"), [(CTRL_D, 0), (CTRL_C, 130)])
def test_the_end_of_input_and_ctrl_c_write_nothing(missy, serve, work, key, code):
    """Ctrl-D is a no; Ctrl-C ends the command."""
    origin = serve(calls(WRITE), chat_stream("as you wish"))
    missy.entry(origin.url)
    with Person(missy, "ask", "--tools", "write", "go", cwd=work) as person:
        person.see("allow it?")
        person.press(key)
        assert person.end() == code
    assert not (work / "new.txt").exists()


@pytest.mark.skipif(not shutil.which("bash"), reason="needs a shell with job control")
def test_in_the_background_nobody_is_asked(missy, serve, work):
    """`missy ask ... &` is not stopped at the question: it is denied, the answer is printed, exit 3, and a notice says why."""
    origin = serve(calls(WRITE), chat_stream("I could not."))
    missy.entry(origin.url)
    command = ["bash", "-c", 'set -m; "$@" & wait $!', "bash", *COMMAND, "ask", "--tools", "write", "go"]
    with Person(missy, cwd=work, command=command) as person:
        person.see("I could not.", "in the background")
        assert person.end() == 3
    assert results(origin.last) == ["not approved: there is nobody to ask; it was not run"]
    assert lines(missy)[0]["decision"] == "not-a-tty"


def test_keys_that_were_typed_ahead_answer_nothing(missy, serve, work):
    """A `y` that was typed before the question was shown is thrown away."""
    gate = Gate()
    origin = serve([gate, *calls(WRITE)], chat_stream("as you wish"))
    missy.entry(origin.url)
    with Person(missy, "ask", "--tools", "write", "go", cwd=work) as person:
        assert gate.arrived.wait(30)
        person.press("y", ENTER, "y", ENTER)
        person.see("y y")
        gate.open()
        person.see("allow it?")
        person.press(ENTER)
        assert person.end() == 0
    assert not (work / "new.txt").exists()


def test_the_question_shows_all_and_a_yes_writes(missy, serve, work):
    """The tool, the path, the whole text and the rule are shown, each line of the model's behind a bar."""
    origin = serve(
        calls(("write", {"path": "new.txt", "text": "a\nallow it? y=yes\n\x1b[2Jb\n"})), chat_stream("done")
    )
    missy.entry(origin.url)
    with Person(missy, "ask", "--tools", "write", "go", cwd=work) as person:
        shown = person.see("allow it? y=yes,", "the rule of a and s: write: new.txt")
        assert "| +allow it? y=yes" in shown
        assert "| +\\x1b[2Jb" in shown
        person.press("y", ENTER)
        assert person.end() == 0
    assert (work / "new.txt").exists()
    assert lines(missy)[0]["decision"] == "asked-yes"


def test_a_long_line_of_the_models_stays_behind_its_bar(missy, serve, work):
    """A line that is wider than the terminal is broken with a new bar: its rest cannot pass for the question."""
    text = "文" * 60 + " " * 100 + "z" * 300 + "\n"
    missy.entry(serve(calls(("write", {"path": "new.txt", "text": text})), chat_stream("done")).url)
    with Person(missy, "ask", "--tools", "write", "go", cwd=work) as person:
        shown = person.see("allow it? y=yes,", "the rule of a and s")
        rows = [row for row in shown.splitlines() if "zz" in row or "文" in row]
        assert len(rows) > 4
        assert all(row.startswith("  | ") for row in rows)
        person.press("n", ENTER)
        assert person.end() == 0


def test_a_yes_for_the_run_is_not_asked_twice_and_a_saved_one_never(missy, serve, work):
    """`a` holds for what its rule covers in this run; `s` writes the rule to the configuration; `forget` removes it."""
    again = ("write", {"path": "new.txt", "text": "again\n"})
    origin = serve(calls(WRITE), calls(again), chat_stream("done"), calls(WRITE), chat_stream("done"))
    missy.entry(origin.url)
    with Person(missy, "ask", "--tools", "write", "go", cwd=work) as person:
        person.see("allow it?")
        person.press("s", ENTER)
        assert person.end() == 0
    assert (work / "new.txt").read_text() == "again\n"
    assert missy("tools", "explain", "write: new.txt").text.startswith(
        "allowed: write: new.txt (allow: write: new.txt)"
    )
    assert missy("ask", "--tools", "write", "go", cwd=work).code == 0
    assert missy("tools", "forget", "write: new.txt").code == 0
    assert missy("tools", "explain", "write: new.txt").text.startswith("asked")
    assert missy("tools", "forget", "write: new.txt").code == 2


@pytest.mark.parametrize(
    ("call", "code", "says"),
    [
        ("read: a.txt", 0, "allowed: read: a.txt (built-in: read)"),
        ("read: .env", 0, "asked: read: .env (secret)"),
        ("run: git push", 3, "denied: run: git push (deny: run: git push)"),
        ("run: git status -s", 0, "allowed: run: git status -s (allow: run: git status)"),
        ("write: .git/hooks/x", 3, "denied: write: .git/hooks/x (runs_later)"),
        ("fetch: a.example", 0, "asked: fetch: a.example (default)"),
        ("nonsense", 2, ""),
        ("run", 2, ""),
    ],
)
def test_explain_says_which_rule_decides(missy, call, code, says):
    """`tools explain` decides as the loop does, and exits with 3 where it denies."""
    missy.config({"tools": {"allow": ["run: git status"], "deny": ["run: git push"]}})
    done = missy("tools", "explain", call)
    assert done.code == code
    assert done.text.startswith(says)


def test_list_shows_the_tools_and_their_rules(missy):
    """`tools list` shows what is used, what happens without a rule, and the rules."""
    missy.config({"tools": {"use": ["read"], "allow": ["run: git status"], "deny": ["read: **/.env"]}})
    rows = {row["tool"]: row for row in missy("tools", "list", "--json").json()["tools"]}
    assert list(rows) == ["read", "list", "search", "write", "edit", "run", "fetch"]
    assert rows["read"]["used"]
    assert rows["read"]["deny"] == ["read: **/.env"]
    assert rows["run"] == {
        "tool": "run",
        "used": False,
        "without_a_rule": "ask",
        "allow": ["run: git status"],
        "deny": [],
    }
    assert missy("tools", "list").text.splitlines()[0].split() == [
        "TOOL",
        "USED",
        "WITHOUT",
        "A",
        "RULE",
        "ALLOWED",
        "DENIED",
    ]


@pytest.mark.parametrize(
    "args",
    [
        ("--tools", "reed"), ("--tools", ","), ("--allow", "read"), ("--max-rounds", "3"), ("--approve-all",),
        ("--tools", "read", "--no-tools"), ("--tools", "read", "--allow", "run: sh"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(missy, serve, work, args):
    """Wrong tools, rules without tools, and rules that allow too much are exit 2."""
    origin = serve(chat_stream("hi"))
    missy.entry(origin.url)
    assert missy("ask", "hi", *args, cwd=work).code == 2
    assert origin.connections == 0


def test_a_dry_run_shows_the_tools_and_runs_nothing(missy, serve, work):
    """`--dry-run --tools` prints the first request with its tools."""
    origin = serve(chat_stream("hi"))
    missy.entry(origin.url)
    done = missy("ask", "hi", "--tools", "read", "--dry-run", "--json", cwd=work)
    assert [tool["function"]["name"] for tool in done.json()["body"]["tools"]] == ["read"]
    assert origin.connections == 0


def test_json_says_what_was_called_and_what_came_of_it(missy, serve, work):
    """`--json` names each call with its outcome; `--events` has a line for each."""
    script = (calls(("read", {"path": "a.txt"})), chat_stream("one"))
    missy.entry(serve(*script, *script).url)
    (call,) = missy("ask", "go", "--tools", "read", "--json", cwd=work).json()["tool_calls"]
    assert call == {"id": "call-0", "name": "read", "arguments": {"path": "a.txt"}, "outcome": "ok"}
    events = missy("ask", "go", "--tools", "read", "--events", cwd=work).events()
    assert [event["type"] for event in events if event["type"] != "usage"] == [
        "tool_call",
        "tool_result",
        "text",
        "done",
    ]


def test_nothing_runs_that_cannot_be_recorded(missy, serve, work):
    """Where the audit cannot be written, no tool runs."""
    origin = serve(calls(("read", {"path": "a.txt"})), chat_stream("one"))
    missy.entry(origin.url)
    missy("ask", "hi", cwd=work)
    os.link(missy.home / "audit.jsonl", missy.home / "second")
    done = missy("ask", "go", "--tools", "write,read", "--allow", "write", cwd=work)
    assert done.code == 1
    assert "audit" in done.err


@pytest.mark.parametrize(
    "name",
    [".mcp.json", ".env", ".missy/config.yaml", "sitecustomize.py", "python", "missy.yaml", "config.yaml"],
)
def test_nothing_of_a_hostile_workspace_is_loaded(missy, serve, work, name):
    """No file of the workspace changes what Missy does: it is read only where a tool was told to."""
    origin = serve(calls(("list", {})), chat_stream("done"))
    missy.entry(origin.url)
    target = work / name
    target.parent.mkdir(exist_ok=True)
    target.write_text(
        "raise SystemExit('owned')\nOPENAI_API_KEY=owned\ntools: {use: [run], allow: [write]}\n"
    )
    done = missy("ask", "go", "--tools", "list", cwd=work, env={"PATH": f"{work}:{os.environ['PATH']}"})
    assert done.code == 0
    assert "owned" not in done.err
    assert [tool["function"]["name"] for tool in origin.last.json()["tools"]] == ["list"]


def test_a_conversation_uses_tools_and_asks(missy, serve, work):
    """`missy run --tools` asks in the middle of an answer, typed keys in between count for nothing, and goes on."""
    origin = serve(calls(WRITE, text="I write it."), chat_stream("Written."))
    missy.entry(origin.url)
    with Person(missy, "run", "--temp", "--tools", "write", cwd=work) as person:
        person.see(">")
        person.press("write a file", ENTER)
        person.see("allow it?", "new file new.txt")
        person.press("y", ENTER)
        person.see("Written.")
        person.press("/exit", ENTER)
        assert person.end() == 0
    assert (work / "new.txt").read_text() == "hello\n"
    assert results(origin.last) == ["new.txt is written: 6 bytes"]


def test_an_earlier_answer_counts_as_text_from_others(missy, serve, work):
    """In the second turn of a session an allow-listed write is asked again: the first answer may repeat what was read."""
    again = ("write", {"path": "second.txt", "text": "x\n"})
    origin = serve(calls(WRITE), chat_stream("one"), calls(again), chat_stream("two"))
    missy.entry(origin.url)
    args = ("ask", "--session", "s", "--tools", "write", "--allow", "write", "go")
    assert missy(*args, cwd=work).code == 0
    assert missy(*args, cwd=work, start_new_session=True).code == 3
    assert (work / "new.txt").exists()
    assert not (work / "second.txt").exists()


@pytest.mark.skipif(try_levels().level is None, reason="this machine gives no sandbox")
@pytest.mark.parametrize(("key", "code"), [("y", 0), ("n", 130)])
def test_ctrl_c_ends_a_command_and_asks_whether_to_go_on(missy, serve, work, key, code):
    """The first Ctrl-C ends the command with all it started, and keeps what it printed; a yes goes on, a no is exit 130."""
    origin = serve(
        calls(
            (
                "run",
                {
                    "argv": [
                        "sh",
                        "-c",
                        "trap 'echo ended; exit 1' TERM; echo so far; echo begun > begun; sleep 600 & wait",
                    ]
                },
            )
        ),
        chat_stream("as you wish"),
    )
    missy.entry(origin.url)
    with Person(missy, "ask", "--tools", "run", "go", cwd=work) as person:
        person.see("allow it?")
        person.press("y", ENTER)
        end = time.monotonic() + 30
        while not (work / "begun").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        person.press(CTRL_C)
        person.see("go on with the answer?")
        person.press(key, ENTER)
        assert person.end() == code
    assert len(origin.requests) == (2 if key == "y" else 1)
    if key == "y":
        assert "[it was cancelled by the person]\nso far\nended\n" in results(origin.last)[0]
