"""Bad input at each edge: a clear error, the right exit code, and nothing lost."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess

import pytest

from tests.command import COMMAND, Command
from tests.servers import chat_error, chat_stream

pytestmark = pytest.mark.slow

GOOD = "default_provider: test\nproviders:\n  test:\n    name: openai\n    model: m\n    base_url: %s\n    timeout: 20\n"


def assert_clear(ran, code: int, *words: str) -> None:
    """Check the shape of an error: the code, what happened, what to do, no traceback, nothing on stdout."""
    lines = ran.err.splitlines()
    assert ran.code == code, ran.err
    assert lines[0].startswith("missy: "), ran.err
    assert "internal error" not in ran.err
    assert "Traceback" not in ran.err
    assert len(lines) in {2, 3}, ran.err
    assert lines[1].startswith("  ")
    for word in words:
        assert word in ran.err


# --- the config -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["folder", "fifo", "not-utf8", "binary", "alias-bomb", "deep", "huge", "list", "tab"]
)
def test_a_config_that_cannot_be_read_is_told(kind, missy, serve, home):
    """Whatever kind of file the config is, the error names the file, and the file is left as it was."""
    origin = serve(chat_stream("hello"))
    path = missy.config("")
    contents = {
        "not-utf8": GOOD.encode() + b"# \xff\xfe\n",
        "binary": bytes(range(256)) * 4,
        "alias-bomb": b"a: &a [x]\n"
        + b"".join(b"%c: &%c [*%c,*%c,*%c,*%c]\n" % ((c, c) + (c - 1,) * 4) for c in range(98, 118)),
        "deep": b"[" * 50_000,
        "huge": b"# " + b"x" * (5 << 20),
        "list": b"- providers\n",
        "tab": b"providers:\n\ttest: {}\n",
    }
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path, 0o600)
    else:
        path.write_bytes(contents[kind])
        path.chmod(0o600)
    ran = missy.inside("ask", "hi")
    assert ran.code in {1, 2}
    assert_clear(ran, ran.code, str(path))
    assert origin.connections == 0
    if kind in contents:
        assert path.read_bytes() == contents[kind]


def test_a_half_written_config_is_never_taken_for_another_one(missy, serve):
    """Cut anywhere, the config is either an error with its line, or means what it says; the prompt goes nowhere else."""
    origin = serve(chat_stream("hello"))
    whole = (GOOD % origin.url).encode()
    for cut in range(0, len(whole), 7):
        missy.config("").write_bytes(whole[:cut])
        ran = missy.inside("ask", "hi", "--dry-run")
        assert ran.code in {0, 2, 4}, (cut, ran.err)
        assert "internal error" not in ran.err
    assert origin.connections == 0


def test_an_empty_config_says_what_to_do(missy):
    """A config without entries is like no config."""
    missy.config("")
    assert_clear(missy.inside("ask", "hi"), 2, "missy setup")


# --- the endpoint ---------------------------------------------------------------------------------------------------


def test_a_dead_endpoint_is_named(missy, serve):
    """No connection is exit 5, with host and port."""
    origin = serve(b"")
    origin.close()
    missy.entry(origin.url)
    assert_clear(missy.inside("ask", "hi"), 5, f"127.0.0.1:{origin.port}")


def test_a_wrong_key_is_exit_4_and_is_not_shown(missy, serve):
    """The server's error message is shown; a key in it is masked."""
    key = "sk-canary-0123456789"
    missy.entry(
        serve(chat_error(401, f"Incorrect API key provided: {key}", code="invalid_api_key")).url, api_key=key
    )
    ran = missy.inside("ask", "hi")
    assert_clear(ran, 4, "Incorrect API key", "key")
    assert key not in ran.err


def test_no_such_model_points_at_the_list(missy, serve):
    """A model that the endpoint does not know is exit 5, and the hint is the command that lists them."""
    reply = chat_error(
        404, "The model `gpt-9` does not exist or you do not have access to it.", code="model_not_found"
    )
    missy.entry(serve(reply).url)
    assert_clear(missy.inside("ask", "hi", "--model", "gpt-9"), 5, "gpt-9", "missy models")


# --- the disk -------------------------------------------------------------------------------------------------------


def no_space() -> None:
    """Let every write to a file fail, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_on_a_full_disk_nothing_is_sent_unrecorded(missy, serve):
    """If the audit cannot be written the request is not sent, and the earlier record is not damaged."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    assert missy("ask", "hi").code == 0
    before = (missy.home / "audit.jsonl").read_bytes()
    ran = missy("ask", "hi", preexec_fn=no_space)
    assert_clear(ran, 1, "audit.jsonl")
    assert len(origin.requests) == 1
    assert (missy.home / "audit.jsonl").read_bytes() == before
    assert missy("audit", "verify").code == 0


def test_on_a_full_disk_init_leaves_no_half_config(missy, home):
    """A config that cannot be written completely is not created."""
    ran = missy("init", preexec_fn=no_space)
    assert_clear(ran, 1, str(home))
    assert not (home / "config.yaml").exists()
    assert not [path for path in home.rglob("*") if path.is_file() and path.stat().st_size]
    assert missy("init").code == 0


def test_a_full_disk_behind_stdout_is_told(missy, serve):
    """If an answer cannot be written, the command does not succeed."""
    missy.entry(serve(chat_stream("hello")).url)
    with open("/dev/full", "wb") as full:
        for args in ([], ["--json"]):
            ran = missy("ask", "hi", *args, stdout=full)
            assert_clear(ran, 1)


def obey() -> None:
    """Let permissions hold for root too: without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH from the next exec on."""
    import ctypes

    for capability in (1, 2):
        if ctypes.CDLL(None, use_errno=True).prctl(24, capability, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
            raise PermissionError(ctypes.get_errno(), "root cannot give up its rights here")


@pytest.fixture
def bound():
    """What to start the command with so that file permissions hold for it, whoever runs the tests."""
    if os.getuid() != 0:
        return {}
    try:
        subprocess.run(["true"], preexec_fn=obey, check=True)
    except subprocess.SubprocessError:
        pytest.skip("root cannot give up its rights here")
    return {"preexec_fn": obey}


@pytest.mark.parametrize("recorded", [True, False], ids=["used-before", "fresh"])
def test_a_read_only_home_is_told_and_nothing_is_sent(recorded, bound, missy, serve, home):
    """Where the audit cannot be written nothing leaves the machine; listings still work."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    if recorded:
        assert missy.inside("ask", "hi").code == 0
        (home / "audit.jsonl").chmod(0o400)
    home.chmod(0o500)
    try:
        ran = missy("ask", "hi", **bound)
        assert_clear(ran, 1, str(home))
        assert len(origin.requests) == int(recorded)
        assert missy("providers", **bound).code == 0
    finally:
        home.chmod(0o700)
    assert missy.inside("audit", "verify").code == 0


def test_a_config_that_may_not_be_read_is_never_taken_for_none(bound, missy, serve):
    """Without the right to read it, the config is named; its owner may also give himself the right back."""
    origin = serve(chat_stream("hello"))
    path = missy.entry(origin.url)
    before = path.read_bytes()
    path.chmod(0o000)
    ran = missy("ask", "hi", **bound)
    path.chmod(0o600)
    if ran.code != 0:
        assert ran.code in {1, 2}
        assert_clear(ran, ran.code, str(path))
        assert origin.connections == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("place", ["/proc/missy-test/home", "under-a-file"])
def test_a_home_that_cannot_be_is_told(place, missy, tmp_path):
    """A MISSY_HOME that cannot be made is named by `init` and by nothing worse than an error by the others."""
    if place == "under-a-file":
        (tmp_path / "file").write_text("x")
        place = str(tmp_path / "file" / "home")
    ran = missy("init", env={"MISSY_HOME": place})
    assert_clear(ran, 1, place.removesuffix("/home"))
    ran = missy("providers", env={"MISSY_HOME": place})
    assert "internal error" not in ran.err


# --- stdin, stdout and the command line -----------------------------------------------------------------------------


def test_a_prompt_of_a_megabyte_arrives_whole(missy, serve):
    """A long document on stdin is sent to the last letter."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    document = ("ÅÄÖ €uro line\n" * 64_000)[: 1 << 20]
    ran = missy("ask", "Sum it up:", stdin=document.encode())
    assert (ran.code, ran.text) == (0, "hello\n")
    assert document.strip() in origin.last.json()["messages"][-1]["content"]


def test_stdin_that_is_not_utf8_is_told_and_not_sent(missy, serve):
    """Bytes that are no text are refused, with where they are, rather than sent as something else."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    for args in (["ask"], ["ask", "hi"]):
        assert_clear(missy(*args, stdin=b"good line\nbad \xff\xfe line\n"), 2, "UTF-8")
    assert origin.connections == 0


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte-order-mark"])
def test_the_place_of_a_byte_that_is_no_text_counts_from_the_first_one(mark, missy, serve):
    """Also after a byte order mark, which is no part of the text: the place and the byte are those of the file."""
    missy.entry(serve(chat_stream("hello")).url)
    ran = missy("ask", stdin=mark + b"good \xfe line")
    assert ran.code == 2
    assert f"byte {len(mark) + 5} is 0xfe" in ran.err


def test_an_argument_that_is_not_utf8_is_told(missy, serve):
    """The same for the command line itself."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    assert_clear(missy.inside("ask", os.fsdecode(b"bad \xff")), 2, "UTF-8")
    assert origin.connections == 0


def test_odd_characters_in_the_prompt_are_sent_as_they_are(missy, serve):
    """NUL, a lone CR and characters beyond the first plane do not make it fail and are sent unchanged."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    assert missy.inside("ask", stdin="a\0b\rc 🦀 \u202e d".encode()).code == 0
    assert origin.last.json()["messages"][-1]["content"] == "a\0b\rc 🦀 \u202e d"


def test_stdin_that_cannot_be_read_is_told(missy, serve):
    """A stdin that is closed, or only open for writing, is an error and not a traceback."""
    origin = serve(chat_stream("hello"))
    missy.entry(origin.url)
    for redirect in ("<&-", "0>/dev/null"):
        done = shell(missy, redirect, "ask")
        assert done.returncode in {1, 2}, redirect
        assert done.stderr.startswith("missy: ")
        assert "internal error" not in done.stderr
    assert origin.connections == 0


def shell(missy: Command, redirect: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command from a shell with a redirection."""
    script = f'exec "$@" {redirect}'
    return subprocess.run(
        ["sh", "-c", script, "sh", *COMMAND, *args],
        env=missy.env(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("args", [[], ["--json"], ["--no-stream"]], ids=["plain", "json", "no-stream"])
def test_a_closed_stdout_is_no_traceback(args, missy, serve):
    """Without a stdout, it ends with an error code and without a traceback."""
    missy.entry(serve(chat_stream("hello")).url)
    done = shell(missy, ">&-", "ask", "hi", *args)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr


def test_a_closed_stdin_and_stderr_do_no_harm(missy, serve):
    """A prompt on the command line needs neither."""
    missy.entry(serve(chat_stream("hello")).url)
    for redirect in ("<&-", "2>&-", "<&- 2>&-"):
        done = shell(missy, redirect, "ask", "hi")
        assert (done.returncode, done.stdout) == (0, "hello\n"), redirect


def test_an_unknown_command_and_option_name_the_nearest(missy):
    """A typing mistake is reported with the word that was probably meant, exit 2."""
    ran = missy.inside("provider")
    assert (ran.code, "providers" in ran.err) == (2, True)
    ran = missy.inside("ask", "--modle", "x", "hi")
    assert (ran.code, "--model" in ran.err) == (2, True)
    assert not re.search(r"Traceback|internal error", ran.err)
