"""What the tools for files reach, and what they leave as it was."""

from __future__ import annotations

import os
import socket
import threading
import time

import pytest

from missy import UsageError
from missy.toolbox.base import ToolFailed
from missy.toolbox.files import List, Read, Search
from missy.toolbox.results import ResultStore
from missy.toolbox.workspace import Workspace
from missy.toolbox.written import Written
from tests.local.wheels import children
from tests.toolbox.conftest import calls

CANARY = "canary-7f3a"


@pytest.fixture
def outside(tmp_path, workspace):
    """A secret beside the workspace, and every kind of link to it from inside."""
    secret = tmp_path / "secret.txt"
    secret.write_text(CANARY)
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "x").write_text(CANARY)
    (workspace / "sub").mkdir()
    os.symlink(secret, workspace / "link")
    os.symlink("../secret.txt", workspace / "rel")
    os.symlink("link", workspace / "chain")
    os.symlink(tmp_path, workspace / "up")
    os.symlink("..", workspace / "dots")
    os.symlink("../..", workspace / "sub" / "dots")
    os.symlink("/", workspace / "root")
    os.symlink("/proc/self/root", workspace / "magic")
    os.symlink(f"/proc/self/cwd/{secret}", workspace / "cwd")
    os.symlink("loop", workspace / "loop")
    os.symlink("nowhere", workspace / "dangling")
    os.mkfifo(workspace / "fifo")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(workspace / "sock"))
    return secret


def hostile(secret) -> list[str]:
    return [
        "../secret.txt", "./../secret.txt", "sub/../../secret.txt", "sub/../../../../../../etc/passwd", "..", "../", "sub/../..",
        str(secret), "/etc/passwd", "//etc/passwd", "/proc/self/environ", "/proc/self/root/etc/passwd", "/dev/zero", "/dev/stdin",
        "link", "rel", "chain", "up/secret.txt", "up", "dots/secret.txt", "dots/dir/x", "sub/dots/secret.txt", "root/etc/passwd",
        "magic/etc/passwd", "magic", "cwd", "loop", "dangling", "fifo", "sock", "", "\0", "a.txt\0../../secret.txt", "a" * 5000,
        "../work/../secret.txt", "sub/./../../secret.txt", "\ud800", "~/x", "file:///etc/passwd", "sub/../link", "....//secret.txt",
        "..\\secret.txt", "%2e%2e/secret.txt", "a.txt/../../secret.txt",
    ]  # fmt: skip


def handlers(workspace):
    opened = Workspace(str(workspace))
    written = Written()
    return opened, (Read(opened, ResultStore("test"), written), List(opened), Search(opened))


def test_no_hostile_path_leads_out(outside, workspace, home):
    """40 names that lead out, through links, dots, magic links and odd files: none of them gives anything of the outside."""
    names = hostile(outside)
    assert len(names) >= 40
    opened, (read, listing, search) = handlers(workspace)
    for name in names:
        for tool, arguments in (
            (read, {"path": name}),
            (listing, {"path": name, "depth": 3}),
            (search, {"pattern": CANARY[:6], "path": name}),
        ):
            with pytest.raises(ToolFailed) as raised:
                prepared = tool.prepare(arguments)
                try:
                    prepared.run()
                finally:
                    prepared.close()
            assert CANARY not in str(raised.value)
    opened.close()


def test_no_hostile_path_is_written(outside, workspace, use, tmp_path):
    """The same names, written and edited with a yes to every question: nothing outside changes or appears."""
    before = sorted(str(path) for path in tmp_path.iterdir())
    for name in hostile(outside):
        if name.isprintable() and name != "~/x":
            use(calls(("write", {"path": name, "text": "owned"})), use=["write"], approve=lambda _: True)
    assert outside.read_text() == CANARY
    assert (tmp_path / "dir" / "x").read_text() == CANARY
    assert sorted(str(path) for path in tmp_path.iterdir() if path.name != "trace") == [
        path for path in before if not path.endswith("trace")
    ]


def test_a_link_that_changes_all_the_time_leads_nowhere(workspace, tmp_path, home):
    """A name that is a file and a link to a secret by turns, 1,000 times: no read sees the secret."""
    secret = tmp_path / "secret.txt"
    secret.write_text(CANARY)
    (workspace / "real").write_text("harmless\n")
    (workspace / "d").mkdir()
    (workspace / "d" / "secret.txt").write_text("harmless\n")
    stop = threading.Event()

    def swap() -> None:
        here, there = workspace / "n", workspace / "m"
        while not stop.is_set():
            for target, name in ((secret, here), ("real", here), (tmp_path, there), ("d", there)):
                os.symlink(target, workspace / "t")
                os.rename(workspace / "t", name)

    thread = threading.Thread(target=swap)
    thread.start()
    seen = []
    try:
        opened, (read, _, _) = handlers(workspace)
        for number in range(1000):
            try:
                prepared = read.prepare({"path": "n" if number % 2 else "m/secret.txt"})
                try:
                    seen.append(prepared.run().text)
                    assert prepared.action.path in ("real", "d/secret.txt")
                finally:
                    prepared.close()
            except ToolFailed as error:
                seen.append(str(error))
    finally:
        stop.set()
        thread.join()
    os.remove(workspace / "n")
    os.symlink("real", workspace / "n")
    assert "harmless" in read.prepare({"path": "n"}).run().text
    opened.close()
    assert len(seen) == 1000
    assert not any(CANARY in one for one in seen)


def test_links_inside_of_the_workspace_are_followed_and_named_by_their_target(use, workspace):
    """A rule decides on the real path: a link to .env is .env."""
    (workspace / ".env").write_text("KEY=x\n")
    (workspace / "notes.txt").symlink_to(".env")
    (workspace / "sub").mkdir()
    (workspace / "alias.txt").symlink_to("a.txt")
    told = use(
        calls(
            ("read", {"path": "notes.txt"}),
            ("read", {"path": "sub/../alias.txt"}),
            ("read", {"path": "sub/../.env"}),
        )
    )
    assert "KEY" not in told[0] + told[2]
    assert "one" in told[1]


@pytest.mark.parametrize("place", ["/", "~", "home", "above"])
def test_what_holds_everything_is_no_workspace(place, home, tmp_path):
    """Neither / nor the home folder, nor a folder that holds it, nor MISSY_HOME can be the workspace."""
    home.mkdir()
    path = {"/": "/", "~": str(home.parent), "home": str(home), "above": str(tmp_path)}[place]
    with pytest.raises(UsageError):
        Workspace(path)


def test_missys_own_files_are_out_of_reach(use, tmp_path, home, monkeypatch):
    """MISSY_HOME in the workspace can neither be read, nor listed, nor searched, nor written."""
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    home.mkdir(mode=0o700)
    (home / "canary").write_text(CANARY)
    told = use(
        calls(
            ("read", {"path": "missy/canary"}),
            ("list", {"depth": 3}),
            ("search", {"pattern": "canary-"}),
            ("list", {"path": "missy"}),
            ("write", {"path": "missy/x", "text": "y"}),
        ),
        workspace=str(home.parent),
        use=["read", "list", "search", "write"],
        approve=yes,
    )
    assert not any(CANARY in one or "canary\n" in one for one in told)
    assert "missy" not in told[1]
    assert not (home / "x").exists()


def test_binary_files_are_named_not_shown(use, workspace):
    """The model is told the size and the kind of what is no text."""
    (workspace / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 100)
    (workspace / "x.bin").write_bytes(b"a\0b")
    told = use(calls(("read", {"path": "p.png"}), ("read", {"path": "x.bin"})))
    assert told == ["p.png is binary, 108 bytes, image/png", "x.bin is binary, 3 bytes, unknown type"]


def test_a_listing_follows_gitignore(use, workspace):
    """What git would ignore is left out, nested files and exceptions included."""
    (workspace / ".gitignore").write_text("*.log\nbuild/\n")
    (workspace / "x.log").write_text("")
    (workspace / "build").mkdir()
    (workspace / "sub").mkdir()
    (workspace / "sub" / ".gitignore").write_text("!keep.log\n")
    (workspace / "sub" / "keep.log").write_text("ab")
    (workspace / "sub" / "drop.log").write_text("")
    (told,) = use(calls(("list", {"depth": 2})))
    lines = told.split("\n")[1:]
    assert lines == [
        ".gitignore  13 bytes",
        "a.txt  14 bytes",
        "sub/",
        "sub/.gitignore  10 bytes",
        "sub/keep.log  2 bytes",
    ]


@pytest.mark.parametrize(
    "pattern", ["[z-a]", "!", "\\", "*a" * 30 + "*b", "**/a/" * 30 + "b", "[[:foo:]]x", "[a--b]"]
)
def test_a_pattern_that_cannot_be_matched_is_left_out_alone(use, workspace, pattern):
    """A .gitignore of anybody's workspace ends no answer and takes no time; its other patterns apply."""
    (workspace / ".gitignore").write_text(f"{pattern}\n*.log\n")
    (workspace / "x.log").write_text("")
    (workspace / ("a" * 200)).write_text("")
    deep = workspace / "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"
    deep.mkdir(parents=True)
    (deep / "c").write_text("find me\n")
    told = use(calls(("list", {}), ("search", {"pattern": "find me"})))
    assert [line.split("  ")[0] for line in told[0].split("\n")[1:]] == [
        ".gitignore",
        "a/",
        "a.txt",
        "a" * 200,
    ]
    assert told[1].endswith("/c:1: find me")


def test_a_search_leaves_secrets_and_binaries_out(use, workspace):
    """Lines come with path and number; the names of secrets are not searched."""
    (workspace / ".env").write_text("find me\n")
    (workspace / "b.bin").write_bytes(b"find me\0")
    (workspace / "c.py").write_text("x\nfind me (and [more])\n")
    told = use(
        calls(("search", {"pattern": "find me"}), ("search", {"pattern": "and [more]", "glob": "*.py"}))
    )
    assert [one.split("\n")[1:] for one in told] == [["c.py:2: find me (and [more])"]] * 2
    assert use(calls(("search", {"pattern": "zzz"})))[0].endswith("(nothing was found)")


def test_a_search_is_literal_unless_a_regular_expression_is_asked_for(use, workspace):
    """`regex` matches line by line in a process of its own; what is no expression is told."""
    (workspace / "c.py").write_bytes("x\r\nfn1(ü)\r\nfn(1)\r\n".encode())
    told = use(
        calls(
            ("search", {"pattern": "fn\\d"}),
            ("search", {"pattern": "^fn\\d.*\\)$", "regex": True}),
            ("search", {"pattern": "^(one|three)$", "regex": True, "path": "a.txt"}),
            ("search", {"pattern": "fn(", "regex": True}),
            ("search", {"pattern": "x", "regex": "yes"}),
        )
    )
    assert told[0].endswith("(nothing was found)")
    assert told[1].split("\n")[1:] == ["c.py:2: fn1(ü)"]
    assert told[2].split("\n")[1:] == ["a.txt:1: one", "a.txt:3: three"]
    assert "is no regular expression: " in told[3]
    assert "regex must be true or false" in told[4]


@pytest.mark.slow
def test_a_regular_expression_that_takes_for_ever_is_ended(use, workspace):
    """An expression whose time grows without bound is ended after 5 seconds, and the model is told; nothing of it is left."""
    (workspace / "long").write_text("a" * 60 + "!\n")
    before = children(os.getpid())
    (told,) = use(calls(("search", {"pattern": "^(a+)+$", "regex": True})))
    assert "took more than 5 seconds" in told
    assert children(os.getpid()) == before


# --- write, edit, undo -------------------------------------------------------------------------------


def yes(_question):
    return True


def test_an_edit_keeps_line_ends_mark_and_mode(use, workspace):
    """CRLF, a byte order mark and the mode of a file stay; a hard link outside keeps the old content."""
    file = workspace / "c.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n")
    file.chmod(0o754)
    os.link(file, workspace.parent / "other")
    use(calls(("edit", {"path": "c.txt", "old": "one\ntwo", "new": "1\n2\n3"})), use=["edit"], approve=yes)
    assert file.read_bytes() == b"\xef\xbb\xbf1\r\n2\r\n3\r\n"
    assert file.stat().st_mode & 0o777 == 0o754
    assert (workspace.parent / "other").read_bytes() == b"\xef\xbb\xbfone\r\ntwo\r\n"
    assert sorted(os.listdir(workspace)) == ["a.txt", "c.txt"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"path": "a.txt", "old": "zzz", "new": "x"}, "occurs 0 times"),
        ({"path": "a.txt", "old": "o", "new": "x"}, "occurs 2 times"),
        ({"path": "a.txt", "old": "o", "new": "x", "count": 3}, "occurs 2 times"),
        ({"path": "a.txt", "old": "", "new": "x"}, "old is empty"),
        ({"path": "a.txt", "old": "one", "new": "one"}, "equal"),
        ({"path": "nope", "old": "a", "new": "b"}, "there is no nope"),
    ],
)
def test_an_edit_that_is_not_exact_changes_nothing(use, workspace, arguments, says):
    """The old text must be there exactly as often as was said."""
    assert says in use(calls(("edit", arguments)), use=["edit"], approve=yes)[0]
    assert (workspace / "a.txt").read_text() == "one\ntwo\nthree\n"


def test_two_edits_of_one_file_in_one_round_are_both_made(use, workspace):
    """What this run itself wrote a moment ago is no change by somebody else."""
    wanted = [
        ("edit", {"path": "a.txt", "old": "one", "new": "1"}),
        ("edit", {"path": "a.txt", "old": "two", "new": "2"}),
    ]
    use(calls(*wanted), use=["edit"], approve=yes)
    assert (workspace / "a.txt").read_text() == "1\n2\nthree\n"


def test_a_file_that_changed_since_it_was_read_is_not_overwritten(use, workspace):
    """Neither between the read and the write, nor while the question was open."""

    def meanwhile(_question):
        (workspace / "a.txt").write_text("somebody else\n")
        return True

    told = use(
        calls(("read", {"path": "a.txt"})), calls(("write", {"path": "a.txt", "text": "mine"})),
        calls(("write", {"path": "a.txt", "text": "mine"})), use=["read", "write"], approve=meanwhile,
    )  # fmt: skip
    assert "changed by somebody else just now" in told[1]
    assert "read it again" in told[2]
    assert (workspace / "a.txt").read_text() == "somebody else\n"


def test_the_question_shows_the_difference(use):
    """A unified diff for a file that is there, all of the text for a new one, and the rule that can be saved."""
    asked = []

    def ask(question):
        asked.append(question)
        return False

    told = use(
        calls(("edit", {"path": "a.txt", "old": "two", "new": "2"}), ("write", {"path": "new/b", "text": "x\n"})),
        use=["edit", "write"], approve=ask,
    )  # fmt: skip
    assert told == ["the person said no; it was not run"] * 2
    assert asked[0].preview == "--- a.txt\n+++ a.txt\n@@ -1,4 +1,4 @@\n one\n-two\n+2\n three\n "
    assert asked[1].preview == "new file new/b\n+x\n+"
    assert [one.rule for one in asked] == ["edit: a.txt", "write: new/b"]


def test_folders_are_made_for_a_new_file(use, workspace):
    """A new file may lie in new folders, which are made only after the yes."""
    use(calls(("write", {"path": "p/q/r.txt", "text": "deep"})), use=["write"], approve=yes)
    assert (workspace / "p/q/r.txt").read_text() == "deep"


def test_undo_takes_changes_back_one_by_one(use, workspace, missy):
    """`missy tools undo` restores what was there, removes what was not, and refuses what was changed since."""
    use(
        calls(("write", {"path": "a.txt", "text": "A"}), ("write", {"path": "b.txt", "text": "B"})),
        use=["write"], approve=yes,
    )  # fmt: skip
    assert missy("tools", "undo", "--list").text.splitlines() == [f"{workspace}/a.txt", f"{workspace}/b.txt"]
    (workspace / "b.txt").write_text("by hand")
    assert missy("tools", "undo").code == 2
    assert missy("tools", "undo", "--force").code == 0
    assert not (workspace / "b.txt").exists()
    assert missy("tools", "undo").code == 0
    assert (workspace / "a.txt").read_text() == "one\ntwo\nthree\n"
    assert missy("tools", "undo").code == 2


def test_undo_follows_no_link_out_of_the_workspace(use, workspace, missy, tmp_path):
    """A folder that was replaced by a link after the change: nothing is written where it leads, not even with --force."""
    use(calls(("write", {"path": "sub/x", "text": "new"})), use=["write"], approve=yes)
    (workspace / "sub").rename(tmp_path / "elsewhere")
    (workspace / "sub").symlink_to(tmp_path / "elsewhere")
    for options in ((), ("--force",)):
        ran = missy("tools", "undo", *options)
        assert ran.code == 2
        assert "leads elsewhere by a link" in ran.err
    assert (tmp_path / "elsewhere" / "x").read_text() == "new"


def test_a_written_file_does_not_taint_and_a_read_one_does(use, workspace):
    """A rule holds until text that this run did not write was read."""
    rule = {"allow": ["write"], "use": ["read", "write"]}
    told = use(
        calls(("write", {"path": "b", "text": "x"})), calls(("read", {"path": "b"})), calls(("write", {"path": "c", "text": "x"})),
        calls(("read", {"path": "a.txt"})), calls(("write", {"path": "d", "text": "x"})), **rule,
    )  # fmt: skip
    assert "b is written" in told[0]
    assert "c is written" in told[2]
    assert "nobody to ask" in told[4]
    assert not (workspace / "d").exists()


def test_a_hostile_gitignore_costs_nothing(use, workspace):
    """Patterns that would take for ever to compare are left out; the others hold."""
    (workspace / ".gitignore").write_text("*a" * 40 + "b\n" + "**/" * 20 + "x\n*.log\n")
    (workspace / ("a" * 250)).write_text("")
    (workspace / "x.log").write_text("")
    begun = time.process_time()
    (told,) = use(calls(("list", {})))
    assert time.process_time() - begun < 5
    assert "x.log" not in told
    assert "a" * 250 in told
