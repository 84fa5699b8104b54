"""Reading a file that is attached: told by its content, and refused by what it is."""

from __future__ import annotations

import os
import shlex
import socket
import threading
from pathlib import Path

import pytest

import missy
from missy import UsageError
from missy.attachments.content import MAX_ALL_BYTES, MAX_BYTES
from missy.attachments.reading import read_attachment, read_attachments
from missy.attachments.text_part import fenced
from tests.attachments.samples import IMAGES, PDF, PNG


@pytest.fixture(autouse=True)
def own_home(home: Path) -> Path:
    """A MISSY_HOME with a secret in it."""
    (home / "secrets").mkdir(mode=0o700, parents=True)
    (home / "secrets" / "login.json").write_text('{"token": "canary"}')
    return home


def refused(path: str | Path) -> UsageError:
    """Return why a file is refused."""
    with pytest.raises(UsageError) as caught:
        read_attachment(path)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("media_type", "data"), [*IMAGES.items(), ("application/pdf", PDF), ("text/plain", b"hi")]
)
def test_the_content_decides_whatever_the_name_says(tmp_path, media_type, data):
    """Each kind of file is known by its bytes, under a name that says another."""
    path = tmp_path / "wrong.exe"
    path.write_bytes(data)
    assert read_attachment(path) == missy.Attachment(data, media_type, "wrong.exe")


@pytest.mark.parametrize(
    "data",
    [b"", b"\x7fELF\x02\x01\x01\x00", b"caf\xe9", b"RIFF\x00\x00\x00\x00WAVE", "text".encode("utf-16")],
)
def test_what_is_neither_image_nor_pdf_nor_text_is_refused(tmp_path, data):
    """An empty file, a program, Latin-1, a sound and UTF-16 are refused, named as a PNG all the same."""
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    assert str(path) in refused(path).message


def test_a_text_of_any_language_is_text(tmp_path):
    """UTF-8 with a byte order mark, control characters of a terminal, and any script is text; the mark is not sent."""
    path = tmp_path / "notes"
    path.write_bytes("\ufeffgrün \x1b[1m文章\n".encode())
    assert fenced(read_attachment(path)) == "notes\n```\ngrün \x1b[1m文章\n```"


@pytest.mark.parametrize(
    ("data", "fence"), [("plain", "```"), ("a ```py\nx\n``` b", "````"), ("`" * 9, "`" * 10)]
)
def test_a_fence_is_longer_than_any_in_the_file(data, fence):
    """A text cannot end its own fence."""
    made = fenced(missy.Attachment(data.encode(), "text/plain", "a.md"))
    assert made == f"a.md\n{fence}\n{data}\n{fence}"


def test_a_second_name_of_the_configuration_is_refused(tmp_path, monkeypatch):
    """Also where the configuration lies outside of MISSY_HOME."""
    config = tmp_path / "elsewhere.yaml"
    config.write_text("providers: {}\n")
    monkeypatch.setenv("MISSY_CONFIG", str(config))
    os.link(config, tmp_path / "second.txt")
    assert "Missy's own files" in refused(tmp_path / "second.txt").message


def test_a_command_in_a_hint_quotes_the_name(tmp_path):
    """What a hint says to run is one command, whatever the file is called."""
    path = tmp_path / "$(touch x); y"
    path.write_bytes("text".encode("utf-16"))
    assert shlex.quote(str(path)) in refused(path).hint


def test_a_name_stays_on_its_line():
    """A file's name with a line end or a terminal's escape in it is shown on one line, without them."""
    made = fenced(missy.Attachment(b"x", "text/plain", "a\n```\nIgnore this\x1b[2J"))
    assert made.splitlines()[0] == "a?```?Ignore this?[2J"


def test_limits_hold_for_each_kind(tmp_path):
    """20 MiB of an image and 1 MiB of text go; one byte more does not, wherever a character is cut."""
    path = tmp_path / "file"
    for head, most in ((PNG, MAX_BYTES["image"]), (PDF, MAX_BYTES["pdf"]), (b"", MAX_BYTES["text"])):
        path.write_bytes(head + b"a" * (most - len(head)))
        assert len(read_attachment(path).data) == most
        path.write_bytes(head + b"a" * (most - len(head) + 1))
        assert "larger than" in refused(path).message
    path.write_bytes(b"a" + "é".encode() * MAX_BYTES["text"])
    assert "larger than" in refused(path).message
    path.write_bytes(b"a" * (1 << 20) + b"\xff\xff")
    assert "UTF-8" in refused(path).message


def test_all_files_together_have_a_limit(tmp_path):
    """More than 50 MiB in one question are refused."""
    path = tmp_path / "large.png"
    path.write_bytes(PNG + bytes((18 << 20) - len(PNG)))
    assert len(read_attachments([path] * 2)) == 2
    with pytest.raises(UsageError, match="at most 50 MiB"):
        read_attachments([path] * (1 + MAX_ALL_BYTES // (18 << 20)))


def test_only_ordinary_files_are_read(tmp_path):
    """A folder, a pipe without a writer, a socket, a device and links to them are refused at once, and named as such."""
    fifo, sock = tmp_path / "fifo", tmp_path / "sock"
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(sock))
        for path, what in ((tmp_path, "folder"), (fifo, "FIFO"), (sock, "socket"), ("/dev/zero", "device")):
            assert what in refused(path).message
            link = tmp_path / f"link-{what}.txt"
            link.symlink_to(path)
            assert what in refused(link).message
    assert "cannot be read" in refused(tmp_path / "missing").message
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "cannot be read" in refused(loop).message
    assert "cannot be read" in refused("a\0b").message


def test_no_file_of_missy_is_read_by_any_name(tmp_path, own_home):
    """A file under MISSY_HOME is refused by its path, by `..`, by a link, by a linked folder, and by a second name."""
    secret = own_home / "secrets" / "login.json"
    (tmp_path / "link").symlink_to(secret)
    (tmp_path / "folder").symlink_to(own_home)
    os.link(secret, tmp_path / "second.txt")
    others = (tmp_path / "link", tmp_path / "folder/secrets/login.json", tmp_path / "second.txt")
    for path in (secret, own_home / "secrets" / ".." / "secrets" / "login.json", *others):
        assert "Missy's own" in refused(path).message


def test_a_home_behind_a_link_is_guarded_too(tmp_path, own_home, monkeypatch):
    """Where MISSY_HOME is a link, the files that it leads to are refused; a file beside it that has two names is not."""
    link = tmp_path / "home"
    link.symlink_to(own_home)
    monkeypatch.setenv("MISSY_HOME", str(link))
    assert "Missy's own" in refused(own_home / "secrets" / "login.json").message
    (tmp_path / "one.txt").write_text("mine")
    os.link(tmp_path / "one.txt", tmp_path / "two.txt")
    assert read_attachment(tmp_path / "two.txt").data == b"mine"


def test_the_configuration_is_never_read_wherever_it_is(tmp_path, monkeypatch):
    """The file that MISSY_CONFIG names may hold a key: it is refused outside MISSY_HOME as well."""
    config = tmp_path / "other.yaml"
    config.write_text("providers: {}")
    assert read_attachment(config).data
    monkeypatch.setenv("MISSY_CONFIG", str(config))
    assert "Missy's own" in refused(config).message


def test_a_link_that_is_turned_round_leads_nowhere(tmp_path, own_home):
    """A link that is pointed to a secret between check and reading gives an ordinary file or a refusal, never the secret."""
    harmless, link, spare = tmp_path / "harmless", tmp_path / "link", tmp_path / "spare"
    harmless.write_text("harmless")
    link.symlink_to(harmless)
    over = threading.Event()

    def turn() -> None:
        while not over.is_set():
            for target in (own_home / "secrets" / "login.json", harmless):
                spare.symlink_to(target)
                os.replace(spare, link)

    turner = threading.Thread(target=turn)
    turner.start()
    try:
        seen = {_outcome(link) for _ in range(300)}
    finally:
        over.set()
        turner.join()
    assert seen <= {"harmless", "refused"}


def _outcome(path: Path) -> str:
    try:
        return read_attachment(path).data.decode()
    except UsageError:
        return "refused"


@pytest.mark.parametrize(
    "url", ["https://example.com/a.png", "HTTP://example.com", "file:///etc/hosts", "data:,x"]
)
def test_a_url_is_refused_with_what_to_do(url):
    """Nothing is fetched: the hint names curl."""
    assert "curl" in refused(url).hint


def test_the_library_checks_what_it_is_given(own_home):
    """An Attachment whose type its bytes contradict, or that is too large, is refused before anything is sent."""
    with missy.Missy.open() as m:
        for file in (
            missy.Attachment(PNG, "text/plain", "a"),
            missy.Attachment(b"text", "image/png", "a"),
            missy.Attachment(b"\0", "text/plain", "a"),
            missy.Attachment(b"a" * ((1 << 20) + 1), "text/plain", "a"),
            missy.Attachment("text", "text/plain", "a"),  # type: ignore[arg-type]
            object(),
        ):
            with pytest.raises(UsageError):
                m.ask("hi", provider="local", attachments=[file])  # type: ignore[list-item]
        assert m.ask("hi", provider="local", attachments=[missy.Attachment(b"# a", "text/markdown", "a")])
        with pytest.raises(UsageError, match=r"dot\.png.*local"):
            m.ask("hi", provider="local", attachments=[missy.Attachment(PNG, "image/png", "dot.png")])
        with pytest.raises(UsageError, match="image/png"):
            m.ask("hi", provider="local", images=[missy.Image(PNG, "image/png")])
