"""The grammar of rules, and what each of them covers."""

from __future__ import annotations

import time

import pytest

from missy.approval import Action, InvalidRule, parse_rule
from missy.approval.rules import match_path


def run(*argv: str, in_workspace: bool = False) -> Action:
    return Action("run", argv=argv, in_workspace=in_workspace)


@pytest.mark.parametrize(
    ("text", "tool", "pattern", "words"),
    [
        ("read", "read", "", ()),
        (" list ", "list", "", ()),
        ("read: docs/**", "read", "docs/**", ()),
        ("read: ./docs/", "read", "docs", ()),
        ("write:notes.txt", "write", "notes.txt", ()),
        ("run: git status", "run", "", ("git", "status")),
        ("run: grep -n 'two words'", "run", "", ("grep", "-n", "two words")),
        ("run: exactly: make test", "run", "", ("make", "test")),
        ("fetch: Docs.Python.org", "fetch", "docs.python.org", ()),
        ("fetch: docs.python.org:8443", "fetch", "docs.python.org:8443", ()),
        ("fetch: *.python.org", "fetch", "*.python.org", ()),
        ("fetch", "fetch", "", ()),
        ("mcp:time/get_time", "mcp:time/get_time", "", ()),
        ("mcp:time/*", "mcp:time/*", "", ()),
    ],
)
def test_a_rule_is_read(text, tool, pattern, words):
    """One grammar for the configuration, the flags and what the question offers to save."""
    rule = parse_rule(text)
    assert (rule.tool, rule.pattern, rule.words, rule.after_untrusted) == (tool, pattern, words, False)


def test_a_rule_can_say_that_it_holds_after_untrusted_text():
    """`after_untrusted:` in front of a rule waives the fresh yes."""
    rule = parse_rule("after_untrusted: run: git status")
    assert rule.after_untrusted
    assert rule.words == ("git", "status")


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", ":", "reed", "READ", "read:", "read: ", "read: /etc/passwd", "read: ~/x", "read: ../x", "read: a/../b",
        "read: a//b", "read: a/./b", "read: a**/b", "read: a/**b", "read: " + "**/" * 9 + "x", "run", "run:", "run: ''",
        "run: 'open", "run: sh", "run: sh -c x", "run: /bin/sh x", "run: bash x", "run: env x", "run: xargs ls",
        "run: find .", "run: python3 x", "run: python3.11 x", "run: node x", "run: make", "run: ssh host", "run: sudo ls",
        "run: nohup ls", "run: timeout 5 ls", "run: awk x", "run: sed s/a/b/", "run: tar xf x", "run: rsync a b",
        "run: npm test", "run: pip install x", "run: git", "run: git -c a=b status", "run: git --exec-path=. x",
        "run: git rebase", "run: git submodule foreach", "fetch: http://x", "fetch: a b", "fetch: *", "mcp:", "mcp:time",
        "mcp:time/", "mcp:/x", "mcp:a/b*", "mcp:*/x", "mcp:a b/c", "run: ls\x00", "run: ls\u202e", "x" * 2000,
    ],
)  # fmt: skip
def test_what_would_allow_more_than_it_says_is_no_rule(text):
    """A rule that is not understood, or names a program that runs others, is an error and is never skipped."""
    with pytest.raises(InvalidRule):
        parse_rule(text)


@pytest.mark.parametrize("text", ["run", "run: sh", "run: git", "run: sudo ls", "write", "run: find ."])
def test_a_rule_that_denies_may_be_broad(text):
    """What would be too much to allow may be denied."""
    parse_rule(text, allows=False)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("a", "a", True), ("a", "b", False), ("a", "a/b", True), ("a", "ab", False), ("a/b", "a", False),
        ("*", "a", True), ("*", "a/b", True), ("*.py", "x.py", True), ("*.py", "d/x.py", False),
        ("**", ".", True), ("**", "a/b/c", True), ("**/*.py", "x.py", True), ("**/*.py", "a/b/x.py", True),
        ("**/.env", ".env", True), ("**/.env", "a/.env", True), ("**/.env", "a/.env.local", False),
        ("src/**", "src", True), ("src/**", "src/a/b", True), ("src/**", "srcs/a", False),
        ("src/**/t.py", "src/t.py", True), ("src/**/t.py", "src/a/b/t.py", True), ("src/**/t.py", "t.py", False),
        ("a/**/b/**/c", "a/b/c", True), ("a/**/b/**/c", "a/x/b/y/z/c", True), ("a/**/b/**/c", "a/x/y/c", False),
        ("[ab].txt", "a.txt", True), ("[ab].txt", "c.txt", False), ("?.txt", "ab.txt", False), ("A", "a", False),
    ],
)  # fmt: skip
def test_a_path_is_compared_part_by_part(pattern, path, matches):
    """`*` stays within a name, `**` is any number of folders, a folder covers what is in it."""
    assert match_path(pattern, path) is matches


def test_no_pattern_explodes():
    """A hostile path costs the product of the parts at most."""
    begun = time.process_time()
    assert not match_path("/".join(["**", "a*a*a*a"] * 8) + "/end", "/".join(["a" * 100] * 300))
    assert time.process_time() - begun < 20  # the product of the parts; a search of all ways would take years


@pytest.mark.parametrize(
    ("rule", "argv", "allowed"),
    [
        ("run: git status", ("git", "status"), True),
        ("run: git status", ("git", "status", "-s"), True),
        ("run: exactly: git status", ("git", "status"), True),
        ("run: exactly: git status", ("git", "status", "-s"), False),
        ("run: exactly: python3 x.py", ("python3", "x.py"), True),
        ("run: ls", ("ls", "-la"), True),
        ("run: git log", ("git", "log", "--output=x"), False),
        ("run: git log", ("git", "log", "--", "--output=x"), True),
        ("run: git grep", ("git", "grep", "-Ovi", "x"), False),
        ("run: git grep", ("git", "grep", "--open", "x"), False),
        ("run: git diff", ("git", "diff", "--ext-diff"), False),
    ],
)
def test_a_command_is_compared_word_for_word(rule, argv, allowed):
    """The words of a rule are the first words of the command, or all of them."""
    assert parse_rule(rule).allows(run(*argv)) is allowed


@pytest.mark.parametrize(
    ("rule", "path", "allowed"),
    [
        ("write", "notes.txt", True), ("write", ".git/hooks/pre-commit", False), ("write: **", ".git/config", False),
        ("write: .git/**", ".git/hooks/x", False), ("write: .git/hooks/x", ".git/hooks/x", True),
        ("write: *", ".envrc", False), ("write: .envrc", ".envrc", True), ("edit", ".github/workflows/ci.yml", False),
        ("edit: .vscode/*", ".vscode/tasks.json", False), ("write", "sub/.git/config", False),
        ("write", "SUB/.GIT/config", False), ("write", ".idea/x", False), ("write", ".missy/x", False),
        ("write", "sub/sitecustomize.py", False), ("write", "x.pth", False), ("write", ".github/readme.md", True),
        ("read", ".env", False), ("read: **/.env", ".env", False), ("read: .env", ".env", True),
        ("read", "a/key.pem", False), ("read", "id_rsa", False), ("read", "a/.npmrc", False), ("read", "x.py", True),
    ],
)  # fmt: skip
def test_a_general_rule_covers_no_secret_and_nothing_that_runs_later(rule, path, allowed):
    """Hooks, editor tasks, CI files and files that hold secrets need a rule with exactly their path."""
    parsed = parse_rule(rule)
    assert parsed.allows(Action(parsed.tool, path=path)) is allowed


@pytest.mark.parametrize(
    ("rule", "tool", "allowed"),
    [
        ("mcp:time/*", "mcp:time/now", True), ("mcp:time/now", "mcp:time/now", True),
        ("mcp:time/now", "mcp:time/nowhere", False), ("mcp:time/*", "mcp:time2/now", False),
        ("mcp:time/*", "read", False), ("read", "mcp:time/read", False),
    ],
)  # fmt: skip
def test_a_rule_about_a_server_is_about_that_server(rule, tool, allowed):
    """`*` stands for all tools of one server, and for no other server's."""
    assert parse_rule(rule).allows(Action(tool)) is allowed


@pytest.mark.parametrize(
    ("rule", "host", "allowed"),
    [
        ("fetch: a.example", "a.example", True), ("fetch: a.example", "b.a.example", False),
        ("fetch: a.example", "a.example:8443", False), ("fetch: a.example:8443", "a.example:8443", True),
        ("fetch: *.a.example", "b.a.example", True), ("fetch: *.a.example", "a.example", True),
        ("fetch: *.a.example", "ba.example", False), ("fetch", "anything.example", True),
    ],
)  # fmt: skip
def test_a_rule_about_a_host_is_exact(rule, host, allowed):
    """A host stands for itself and port 443."""
    assert parse_rule(rule).allows(Action("fetch", host=host)) is allowed
