"""What the `openai` package makes for an endpoint is remembered without a secret, and the file has no say in anything."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from typing import Any

import pytest

from missy.providers.heads import Head, HeadKey, HeadStore, is_plain
from tests.command import SAFETY, Command
from tests.servers import Origin, Request, chat_stream, json_response

KEY = "sk-canary-0123456789"
_ASK = """
import sys
from missy import Missy
with Missy.open() as m:
    m.ask("hi", temperature=0.5).text()
    m.models()
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def sent(request: Request) -> tuple[Any, ...]:
    return request.method, request.path, request.headers, request.body


def without_host(made: tuple[Any, ...]) -> tuple[Any, ...]:
    method, path, headers, body = made
    return method, path, [header for header in headers if header[0].lower() != "host"], body


def ask_in_a_new_process(missy: Command) -> set[str]:
    """Ask once, and list the models; returns the packages that were loaded."""
    done = subprocess.run(
        [sys.executable, "-c", _ASK],
        env=missy.env(),
        capture_output=True,
        text=True,
        check=True,
        timeout=SAFETY,
    )
    return set(done.stdout.split())


@pytest.fixture
def origin(serve) -> Origin:
    return serve(
        lambda request, _: chat_stream("ok") if request.method == "POST" else json_response({"data": []})
    )


@pytest.fixture
def asked(missy: Command, origin: Origin) -> list[tuple[Any, ...]]:
    """The requests of a first process, which loads the package."""
    missy.config(
        {
            "providers": {
                "mine": {
                    "name": "openai",
                    "base_url": origin.url,
                    "model": "m",
                    "api_key": KEY,
                    "headers": {"X-Team": "blue"},
                    "query": {"v": "1"},
                }
            }
        }
    )
    (missy.home / "request-heads.json").unlink(missing_ok=True)
    assert "openai" in ask_in_a_new_process(missy)
    return [sent(request) for request in origin.requests]


def again(missy: Command, origin: Origin) -> list[tuple[Any, ...]]:
    before = len(origin.requests)
    ask_in_a_new_process(missy)
    return [sent(request) for request in origin.requests[before:]]


def test_remembered_and_fresh_requests_are_the_same_to_the_byte(missy, origin, asked):
    """A second process loads neither the package nor pydantic nor httpx2, and sends exactly what the first one sent."""
    before = len(origin.requests)
    loaded = ask_in_a_new_process(missy)
    assert loaded & {"openai", "pydantic", "httpx2"} == set()
    assert [sent(request) for request in origin.requests[before:]] == asked
    assert asked[0][1].endswith("/chat/completions?v=1")
    assert ("Authorization", f"Bearer {KEY}") in [(n.title(), v) for n, v in asked[0][2]]


def test_another_endpoint_needs_no_package_for_the_same_paths(missy, origin, asked, serve):
    """A head has no host: what was remembered for one endpoint serves the next, and each request goes to its own."""
    other = serve(
        lambda request, _: chat_stream("ok") if request.method == "POST" else json_response({"data": []})
    )
    path, before = missy.home / "config.yaml", len(origin.requests)
    path.write_text(path.read_text().replace(origin.url, other.url))
    assert "openai" not in ask_in_a_new_process(missy)
    assert len(origin.requests) == before
    place = other.url.removeprefix("http://").removesuffix("/v1")
    assert [value for r in other.requests for name, value in r.headers if name.lower() == "host"] == [
        place
    ] * 2
    assert [without_host(sent(request)) for request in other.requests] == [
        without_host(made) for made in asked
    ]


def test_the_file_holds_no_secret_and_is_the_owners_alone(missy, origin, asked):
    """Neither the key nor a header's value stands in the file, and nobody else can read it."""
    path = missy.home / "request-heads.json"
    text = path.read_text()
    assert KEY not in text
    assert "blue" not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def tampered(change: str, heads: dict[str, Any]) -> Any:
    """Return the file's content with one kind of change in every head."""
    changed: dict[str, Any] = {}
    for key, (method, target, headers) in heads.items():
        changed[key] = {
            "another path": [method, "/v1/files", headers],
            "another host": [method, "//127.0.0.2:1/v1/chat/completions", headers],
            "a URL": [method, "http://127.0.0.2:1" + target, headers],
            "another method": ["DELETE", target, headers],
            "a header more": [method, target, [*headers, ["X-Evil", "1"]]],
            "a Host": [method, target, [*headers, ["Host", "evil.example"]]],
            "a credential": [method, target, [[n, v or "Bearer sk-other"] for n, v in headers]],
            "no credential": [method, target, [[n, v] for n, v in headers if v is not None]],
            "two credentials": [method, target, [*headers, ["authorization", None]]],
            "a value of ours": [method, target, [[n, "evil" if v else v] for n, v in headers]],
            "a new line": [method, target, [[n, f"{v}\r\nX-Evil: 1" if v else v] for n, v in headers]],
            "numbers": [1, 2, 3],
            "text": "GET",
            "nothing": None,
            "deep": [[[[]]]],
        }[change]
    return changed


@pytest.mark.parametrize(
    "change",
    [
        *(
            "another path",
            "another host",
            "a URL",
            "another method",
            "a header more",
            "a Host",
            "a credential",
        ),
        *(
            "no credential",
            "two credentials",
            "a value of ours",
            "a new line",
            "numbers",
            "text",
            "nothing",
            "deep",
        ),
    ],
)
def test_a_file_that_was_tampered_with_changes_nothing(missy, origin, asked, change):
    """Whatever somebody writes into the file, the next request is the same: method, target, headers, credential."""
    path = missy.home / "request-heads.json"
    note = json.loads(path.read_text())
    path.write_text(json.dumps({**note, "heads": tampered(change, note["heads"])}))
    assert again(missy, origin) == asked


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"heads": []}', "\x00" * 100, '{"made_by": 1, "heads": {"a": 1}}']
)
def test_a_file_that_is_none_is_made_anew(missy, origin, asked, text):
    """A broken file costs the loading of the package once, and nothing else."""
    (missy.home / "request-heads.json").write_text(text)
    assert again(missy, origin) == asked
    assert "openai" not in ask_in_a_new_process(missy)


def test_an_upgrade_is_asked_anew(missy, origin, asked):
    """What another version of the package or of Missy made is not used."""
    path = missy.home / "request-heads.json"
    note = json.loads(path.read_text())
    path.write_text(json.dumps({**note, "made_by": "openai 1.0.0, missy 0.0.1"}))
    assert "openai" in ask_in_a_new_process(missy)
    assert json.loads(path.read_text())["made_by"] == note["made_by"]


def test_a_disk_that_takes_no_note_is_no_reason_to_fail(tmp_path):
    """Without a file the head is kept for the process."""
    store = HeadStore(tmp_path / "there" / "is" / "no" / "such" / "folder" / "heads.json")
    key = HeadKey("POST", "/v1", "/chat/completions", ("Authorization",), True)
    head = Head("POST", "/v1/chat/completions", (("Accept", "*/*"), ("Authorization", None)))
    assert is_plain(key, head)
    (tmp_path / "there").write_text("a file where the folder should be")
    store.keep(key, head)
    assert store.find(key) == head
    assert head.fill({"authorization": "Bearer x"}) == [(b"Accept", b"*/*"), (b"Authorization", b"Bearer x")]
