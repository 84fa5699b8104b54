"""The decision over every combination: rules, taint, terminal."""

from __future__ import annotations

import itertools

import pytest

from missy.approval import Action, Approvals, Grant, Taint, decide, parse_rule
from missy.approval.protected import runs_later

STATUS = Action("run", argv=("git", "status"))
CLEAN, READ, BOTH = (
    Taint(),
    Taint(untrusted=True, source="x"),
    Taint(untrusted=True, private=True, source="x"),
)
ACTIONS = [
    Action("read", path="a.py"),
    Action("read", path=".env"),
    Action("list", path="."),
    Action("search", path="."),
    Action("write", path="a.txt"),
    Action("write", path=".git/hooks/post-checkout"),
    Action("edit", path=".envrc"),
    STATUS,
    Action("run", argv=("./x",), in_workspace=True),
    Action("fetch", host="a.example", url="https://a.example/"),
    Action("fetch", host="a.example", url="https://a.example/?q=secret", sends=True),
    Action("fetch", host="a.example", url="https://a.example/", in_prompt=True),
    Action("mcp:time/now"),
    Action("mcp:mail/send", sends=True),
    Action("mcp:mail/send", sends=True, trusted=True),
]
GENERAL = tuple(
    parse_rule(text)
    for text in (
        "read",
        "list",
        "search",
        "write",
        "edit",
        "run: git status",
        "fetch",
        "mcp:time/*",
        "mcp:mail/*",
    )
)


def rules(*texts: str, **more) -> Approvals:
    return Approvals(tuple(map(parse_rule, texts)), **more)


@pytest.mark.parametrize(
    ("action", "verdict"),
    [
        (Action("read", path="a.py"), "allow"),
        (Action("read", path=".env"), "ask"),
        (Action("list", path="."), "allow"),
        (Action("search", path="src"), "allow"),
        (Action("write", path="a"), "ask"),
        (Action("edit", path="a"), "ask"),
        (STATUS, "ask"),
        (Action("fetch", host="a.example"), "ask"),
        (Action("mcp:time/now"), "ask"),
        (Action("write", path=".git/config"), "deny"),
    ],
)
def test_without_a_rule_only_looking_at_the_workspace_is_allowed(action, verdict):
    """Everything else is asked, and what runs later is denied."""
    assert decide(Approvals(), action).verdict == verdict


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.words)
@pytest.mark.parametrize("taint", [CLEAN, READ, BOTH], ids=lambda taint: taint.word)
def test_a_rule_that_denies_wins_over_everything(action, taint):
    """Whatever allows an action, a rule that denies it comes first."""
    name = action.tool
    deny = (parse_rule(name, allows=False),)
    all_yes = Approvals(GENERAL, deny, (Grant(parse_rule("read"), BOTH),), all=True)
    assert decide(all_yes, action, taint).verdict == "deny"


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.words)
@pytest.mark.parametrize("taint", [CLEAN, READ, BOTH], ids=lambda taint: taint.word)
@pytest.mark.parametrize("allow", [(), GENERAL], ids=["no rules", "general rules"])
def test_a_question_without_a_person_is_a_denial(action, taint, allow):
    """What would be asked is denied where there is nobody to ask, and where nothing may be asked; nothing else changes."""
    asked = decide(Approvals(allow), action, taint)
    for approvals, rule in (
        (Approvals(allow, person=False), "not_a_tty"),
        (Approvals(allow, may_ask=False), "approve: never"),
        (Approvals(allow, may_ask=False, person=False), "approve: never"),
    ):
        found = decide(approvals, action, taint)
        assert found.verdict == ("deny" if asked.verdict == "ask" else asked.verdict)
        if asked.verdict == "ask":
            assert found.rule == rule


@pytest.mark.parametrize(
    ("action", "clean", "read", "both"),
    [
        (Action("write", path="a.txt"), "allow", "ask", "ask"),
        (Action("edit", path="a.txt"), "allow", "ask", "ask"),
        (STATUS, "allow", "ask", "ask"),
        (Action("fetch", host="a.example"), "allow", "ask", "ask"),
        (Action("fetch", host="a.example", in_prompt=True), "allow", "allow", "allow"),
        (Action("fetch", host="a.example", in_prompt=True, sends=True), "allow", "allow", "ask"),
        (Action("mcp:time/now"), "allow", "ask", "ask"),
        (Action("mcp:time/now", trusted=True), "allow", "allow", "allow"),
        (Action("mcp:mail/send", trusted=True, sends=True), "allow", "allow", "ask"),
        (Action("read", path="a.py"), "allow", "allow", "allow"),
    ],
)
def test_after_text_from_others_a_rule_is_not_enough(action, clean, read, both):
    """An allow-listed action needs a fresh yes once untrusted text came, and one that can leak once private data came too."""
    approvals = Approvals(GENERAL)
    assert [decide(approvals, action, taint).verdict for taint in (CLEAN, READ, BOTH)] == [clean, read, both]


def test_an_exact_rule_and_a_waiver_hold_after_untrusted_text():
    """`run: exactly:` still holds after untrusted text, and so does what says `after_untrusted:`."""
    assert decide(rules("run: exactly: git status"), STATUS, BOTH).verdict == "allow"
    assert decide(rules("after_untrusted: run: git status"), STATUS, BOTH).verdict == "allow"
    assert decide(rules("run: git status"), STATUS, BOTH).verdict == "ask"


def test_a_yes_for_the_run_holds_until_more_has_come():
    """What was allowed for the run is asked again when the run was tainted since; a yes after that holds on."""
    early = Approvals(grants=(Grant(parse_rule("run: git status"), CLEAN),))
    late = Approvals(grants=(Grant(parse_rule("run: git status"), BOTH),))
    assert [decide(early, STATUS, taint).verdict for taint in (CLEAN, READ, BOTH)] == ["allow", "ask", "ask"]
    assert [decide(late, STATUS, taint).verdict for taint in (CLEAN, READ, BOTH)] == [
        "allow",
        "allow",
        "allow",
    ]
    assert decide(late, Action("run", argv=("git", "push"))).verdict == "ask"


def test_approve_all_answers_questions_and_no_more():
    """--approve-all answers what would be asked; what is denied stays denied."""
    approvals = Approvals(deny=(parse_rule("run: git push", allows=False),), all=True, person=False)
    assert decide(approvals, STATUS, BOTH).verdict == "allow"
    assert decide(approvals, Action("run", argv=("git", "push", "-f")), BOTH).verdict == "deny"
    assert decide(approvals, Action("write", path=".git/hooks/x"), BOTH).verdict == "deny"


LATER = [
    ".git/hooks/pre-commit", ".git/config", ".git/info/attributes", "sub/.git/config", ".envrc", "a/.envrc", ".vscode/tasks.json",
    ".vscode/settings.json", ".idea/workspace.xml", ".missy/config.yaml", ".github/workflows/ci.yml", ".gitlab-ci.yml",
    ".circleci/config.yml", ".husky/pre-push", ".pre-commit-config.yaml", ".mcp.json", "sitecustomize.py", ".GIT/config",
    ".devcontainer/devcontainer.json", "x.pth", ".gitattributes", ".gitmodules", ".bashrc", "Jenkinsfile",
]  # fmt: skip


@pytest.mark.parametrize("path", LATER)
@pytest.mark.parametrize("tool", ["write", "edit"])
def test_what_runs_later_is_written_by_an_exact_rule_alone(tool, path):
    """Neither general rules, nor grants, nor --approve-all, nor a yes write a hook: only a rule with its path."""
    assert runs_later(path)
    action = Action(tool, path=path)
    broad = tuple(parse_rule(f"{tool}{rest}") for rest in ("", ": **", ": *", ": .*/**"))
    for approvals in (
        Approvals(broad),
        Approvals(grants=tuple(Grant(rule, BOTH) for rule in broad)),
        Approvals(broad, all=True),
        Approvals(),
    ):
        for taint in (CLEAN, READ, BOTH):
            assert decide(approvals, action, taint).verdict == "deny"
    assert decide(rules(f"{tool}: {path}"), action).verdict == "allow"


# 60 ways to look like `git status`: none of them is what the rule says.
VARIANTS: list[tuple[str, ...]] = [
    ("git",), ("git", "-c", "alias.status=!sh", "status"), ("git", "--exec-path=.", "status"), ("git", "-C", "/", "status"),
    ("git", "--git-dir=/x", "status"), ("git", "--work-tree=/", "status"), ("git", "-p", "status"), ("git", "--paginate", "status"),
    ("git", "--config-env=a=b", "status"), ("git", "stat"), ("git", "statuses"), ("git", "STATUS"), ("Git", "status"),
    ("GIT", "status"), ("git ", "status"), (" git", "status"), ("git", " status"), ("git", "status "), ("git status",),
    ("git", "status;id"), ("git", "status\n"), ("git\n", "status"), ("git", "", "status"), ("", "git", "status"),
    ("/usr/bin/git", "status"), ("./git", "status"), ("../git", "status"), ("bin/git", "status"), ("git/", "status"),
    ("sh", "-c", "git status"), ("bash", "-c", "git status"), ("env", "git", "status"), ("env", "-S", "git status"),
    ("xargs", "git", "status"), ("nohup", "git", "status"), ("timeout", "5", "git", "status"), ("sudo", "git", "status"),
    ("time", "git", "status"), ("nice", "git", "status"), ("setsid", "git", "status"), ("busybox", "sh"), ("eval", "git status"),
    ("exec", "git", "status"), ("command", "git", "status"), ("stdbuf", "-o0", "git", "status"), ("strace", "git", "status"),
    ("script", "-c", "git status"), ("find", ".", "-exec", "git", "status", ";"), ("git.exe", "status"), ("gi\\t", "status"),
    ("g'i't", "status"), ("$(git)", "status"), ("`git`", "status"), ("gít", "status"), ("git\u200b", "status"),
    ("ɡit", "status"), ("git", "\u202estatus"), ("git", "status", "-c", "core.fsmonitor=./x"), ("git", "status", "--exec=./x"),
    ("git", "--", "status"), ("git", "-cstatus"), ("git", "push"), ("git", "--version"), ("GIT_DIR=/x", "git", "status"),
]  # fmt: skip


@pytest.mark.parametrize("argv", VARIANTS, ids=" ".join)
def test_nothing_that_looks_like_an_allowed_command_runs_unasked(argv):
    """60 variants around an allowed `git status`: each is asked."""
    assert len(VARIANTS) >= 60
    approvals = rules("run: git status")
    assert decide(approvals, Action("run", argv=argv)).verdict == "ask"
    assert decide(approvals, STATUS).verdict == "allow"


def test_a_program_in_the_workspace_is_asked_even_with_a_rule():
    """A file called git in the workspace is not the git of the rule."""
    assert decide(rules("run: git status"), STATUS._replace(in_workspace=True)).verdict == "ask"
    assert (
        decide(rules("run: exactly: ./x"), Action("run", argv=("./x",), in_workspace=True)).verdict == "ask"
    )


@pytest.mark.parametrize("names", list(itertools.product((False, True), repeat=4)))
def test_taint_only_grows(names):
    """Nothing takes taint away, and its first source is the one that is named."""
    one, two, three, four = names
    before = Taint(one, two, "first" if one else "")
    after = before.after(untrusted=three, private=four, source="second")
    assert before.within(after)
    assert after.untrusted == (one or three)
    assert after.private == (two or four)
    assert after.source == ("first" if one else "second" if three else "")
