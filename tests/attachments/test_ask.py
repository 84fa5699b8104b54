"""`missy ask --attach`: what goes out, what is refused before anything does, and what is said and recorded of it."""

from __future__ import annotations

import json

import pytest

import missy as library
from tests.attachments.samples import IMAGES, PDF, PNG, data_url
from tests.servers import chat_stream

CANARY = "canaryzq7xvk"


@pytest.fixture
def files(tmp_path):
    """One file of each kind."""
    (tmp_path / "notes.md").write_text(f"# {CANARY}\n```\ncode\n```\n")
    (tmp_path / "dot.png").write_bytes(PNG)
    (tmp_path / "paper.pdf").write_bytes(PDF)
    return {path.name: str(path) for path in tmp_path.iterdir() if path.is_file()}


@pytest.fixture
def origin(serve, missy):
    """The server of an entry that accepts everything."""
    one = serve(chat_stream("seen"))
    missy.entry(one.url, accepts=["image", "pdf"])
    return one


def attach(files, *names):
    """Return the options that attach these files."""
    return [word for name in names for word in ("--attach", files[name])]


def test_each_kind_goes_out_as_its_part(missy, origin, files):
    """Text goes with its name in a fence, images and PDF as data URLs, in the order given, after the prompt."""
    ran = missy.inside("ask", "look", *attach(files, "notes.md", "dot.png", "paper.pdf"), "--json")
    assert ran.code == 0
    prompt, text, image, pdf = origin.last.json()["messages"][-1]["content"]
    assert prompt == {"type": "text", "text": "look"}
    assert text == {"type": "text", "text": f"notes.md\n````\n# {CANARY}\n```\ncode\n```\n````"}
    assert image == {"type": "image_url", "image_url": {"url": data_url("image/png", PNG)}}
    file = {"filename": "paper.pdf", "file_data": data_url("application/pdf", PDF)}
    assert pdf == {"type": "file", "file": file}
    assert ran.json()["attachments"] == [
        {"name": "notes.md", "media_type": "text/plain", "bytes": len(f"# {CANARY}\n```\ncode\n```\n")},
        {"name": "dot.png", "media_type": "image/png", "bytes": len(PNG)},
        {"name": "paper.pdf", "media_type": "application/pdf", "bytes": len(PDF)},
    ]


def test_text_alone_goes_as_one_string(missy, origin, files):
    """Where all is text the content stays a string: many servers refuse a list of parts."""
    missy.inside("ask", "look", *attach(files, "notes.md"))
    text = f"notes.md\n````\n# {CANARY}\n```\ncode\n```\n````"
    assert origin.last.json()["messages"][-1]["content"] == f"look\n\n{text}"


def test_pdf_goes_to_nobody_who_did_not_say_so(missy, serve, files):
    """An endpoint that is not OpenAI's gets no PDF, an entry with `accepts: []` no image: exit 2, no connection."""
    origin = serve(chat_stream("seen"))
    missy.entry(origin.url)
    ran = missy.inside("ask", "look", *attach(files, "paper.pdf"))
    assert ran.code == 2
    assert "paper.pdf" in ran.err
    assert "pdftotext paper.pdf - | missy ask" in ran.err
    assert missy.inside("ask", "look", *attach(files, "dot.png")).code == 0
    before = origin.connections
    missy.entry(origin.url, accepts=[])
    assert missy.inside("ask", "look", *attach(files, "dot.png")).code == 2
    assert missy.inside("ask", "look", *attach(files, "notes.md")).code == 0
    assert len(origin.requests) == 2
    assert origin.connections - before == 1


@pytest.mark.parametrize(
    ("entry", "accepted"),
    [
        ({"name": "openai"}, True),
        ({"name": "openai", "base_url": "https://eu.api.openai.com/v1"}, True),
        ({"name": "openai", "base_url": "https://api.openai.com.example.org/v1"}, False),
        ({"name": "openai", "base_url": "https://api.groq.com/openai/v1"}, False),
        ({"name": "openai-codex"}, True),
        ({"name": "local"}, False),
    ],
)
def test_who_gets_pdf_by_default(missy, entry, accepted):
    """api.openai.com, its regions and openai-codex accept PDF; others do not."""
    missy.config({"providers": {"x": entry}})
    with library.Missy.open() as m:
        assert ("pdf" in m.entry("x").accepted) == accepted


def test_a_refused_file_opens_no_connection(missy, origin, tmp_path, home):
    """A folder, a URL, an unknown kind of file and Missy's own are exit 2, in --json too; the server hears of nothing."""
    (tmp_path / "blob").write_bytes(bytes(range(256)))
    for path in (
        str(tmp_path),
        "https://example.com/a.png",
        str(tmp_path / "blob"),
        str(home / "config.yaml"),
    ):
        assert missy.inside("ask", "hi", "--attach", path).code == 2
        ran = missy.inside("ask", "hi", "--attach", path, "--json")
        assert (ran.code, ran.json()["error"]["type"]) == (2, "usage")
    assert origin.connections == 0
    assert missy.attempts() == []


def test_the_local_model_is_sent_no_image(missy, files):
    """An image for the model on this machine is refused by its name, before the model is started."""
    ran = missy.inside("ask", "--provider", "local", "look", *attach(files, "dot.png"))
    assert ran.code == 2
    assert "dot.png" in ran.err
    assert "local" in ran.err


def test_a_dry_run_and_the_audit_say_what_goes_along(missy, origin, files):
    """--dry-run shows name, type and size; the record has type and size, and neither name nor content."""
    options = attach(files, "notes.md", "dot.png")
    shown = missy.inside("ask", "look", *options, "--dry-run").text
    assert f"# attachment: dot.png, image/png, {len(PNG)} bytes" in shown
    listed = missy.inside("ask", "look", *options, "--dry-run", "--json").json()["attachments"]
    assert [file["media_type"] for file in listed] == ["text/plain", "image/png"]
    assert origin.connections == 0
    missy.inside("ask", "look", *options)
    rows = missy.inside("audit", "recent", "--json").json()
    request = next(row for row in rows if row["event"] == "request")
    size = len(f"# {CANARY}\n```\ncode\n```\n")
    assert request["attachments"] == f"text/plain {size}, image/png {len(PNG)}"
    record = (missy.home / "audit.jsonl").read_text()
    assert CANARY not in record
    assert "notes.md" not in record
    assert missy.inside("audit", "verify").code == 0


def test_a_large_text_is_told_before_it_goes(missy, origin, tmp_path):
    """Above 400 kB of text in all, one line says how much; below it, nothing."""
    path = tmp_path / "log"
    path.write_text("word " * 40_000)
    assert missy.inside("ask", "sum up", "--attach", str(path)).err == ""
    ran = missy.inside("ask", "sum up", *["--attach", str(path)] * 3)
    assert "600 kB" in ran.err
    assert ran.text == "seen\n"


def test_a_session_sends_its_files_again(missy, origin, files):
    """What was attached is stored, and sent again with its question in each later turn, byte for byte."""
    missy.inside("ask", "--session", "s", "look", *attach(files, "notes.md", "dot.png", "paper.pdf"))
    first = origin.last.json()["messages"][-1]
    assert missy.inside("ask", "--session", "s", "again").code == 0
    assert origin.last.json()["messages"][0] == first
    turn = missy.inside("sessions", "show", "s", "--json").json()["turns"][0]
    assert [file["name"] for file in turn["attachments"]] == ["notes.md", "dot.png", "paper.pdf"]
    rows = missy.inside("audit", "recent", "--json").json()
    assert all("application/pdf" in row["attachments"] for row in rows if row["event"] == "request")


def test_the_library_takes_attachments(missy, origin):
    """`m.ask` and `s.ask` take Attachments, sync and async; a session's `retry` sends them again."""
    import asyncio

    files = [library.Attachment(PNG, "image/png"), library.Attachment(b"hello", "text/plain", "a.txt")]

    def parts():
        return [part["type"] for part in origin.last.json()["messages"][-1]["content"]]

    with library.Missy.open() as m:
        assert m.ask("look", attachments=files).text() == "seen"
        assert parts() == ["text", "image_url", "text"]
        talk = m.session("s")
        talk.ask("look", attachments=files).text()
        assert parts() == ["text", "image_url", "text"]
        assert talk.retry().text() == "seen"
        assert parts() == ["text", "image_url", "text"]

    async def again():
        async with library.AsyncMissy.open() as m:
            await m.ask("look", attachments=files).text()
            talk = await m.session("s")
            await talk.ask("look", attachments=files[:1]).text()

    asyncio.run(again())
    assert parts() == ["text", "image_url"]


def test_all_images_are_sent_as_what_they_are(missy, origin, tmp_path):
    """PNG, JPEG, GIF and WebP go out with the type of their bytes, under any name."""
    options = []
    for number, data in enumerate(IMAGES.values()):
        (tmp_path / f"{number}.txt").write_bytes(data)
        options += ["--attach", str(tmp_path / f"{number}.txt")]
    assert missy.inside("ask", "hi", *options).code == 0
    content = origin.last.json()["messages"][-1]["content"][1:]
    assert [part["image_url"]["url"] for part in content] == [data_url(*pair) for pair in IMAGES.items()]
    assert json.dumps(content).count("base64") == 4
