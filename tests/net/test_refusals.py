"""A refusal as the person meets it: its hint is the line that allows it, and its record has the path and no query."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from missy import Missy, PolicyError
from tests.command import Command
from tests.servers import Origin, chat_answer

ALLOW = "to allow it, add to config.yaml: "


@pytest.fixture
def origin(serve) -> Origin:
    return serve(chat_answer("hello"))


def refused(url: str, verb: str = "get", **options: Any) -> PolicyError:
    """Have a lent client ask for `url`, which must be refused."""
    with Missy.open() as missy, pytest.raises(PolicyError) as raised:
        getattr(missy.openai_client(), verb)(url, cast_to=object, **options)
    return raised.value


def last(home: Path) -> dict[str, Any]:
    """Return the newest record."""
    record: dict[str, Any] = json.loads((home / "audit.jsonl").read_text().splitlines()[-1])
    return record


def entry(url: str) -> dict[str, Any]:
    return {
        "providers": {
            "lan": {"name": "openai", "base_url": url, "model": "m", "api_key": "sk-canary-0123456789"}
        }
    }


@pytest.mark.parametrize(
    "url",
    ["http://192.168.7.7:8080/v1", "https://10.1.2.3/v1", "https://[fd00::7]:8443/v1", "http://[fd00::7]/v1"],
)
def test_the_line_in_the_hint_allows_what_was_refused(missy: Command, url):
    """Added as it stands, the YAML of the hint makes the policy allow the same request, and no other address."""
    missy.config(entry(url))
    with Missy.open() as m, pytest.raises(PolicyError) as raised:
        m.ask("hi").text()
    hint = raised.value.hint
    assert hint.startswith(ALLOW)
    missy.config({**entry(url), **yaml.safe_load(hint.removeprefix(ALLOW))})
    with Missy.open() as m:
        assert m.preview("hi").url.startswith(url)
    missy.config({**entry("https://10.9.9.9/v1"), **yaml.safe_load(hint.removeprefix(ALLOW))})
    with Missy.open() as m, pytest.raises(PolicyError):
        m.preview("hi")


def test_where_no_line_would_help_the_hint_says_where_to_look(missy: Command):
    """The address of a cloud's metadata is nobody's own: the hint names the command that shows what is allowed."""
    missy.config(entry("http://169.254.169.254/v1"))
    with Missy.open() as m, pytest.raises(PolicyError) as raised:
        m.ask("hi").text()
    assert raised.value.hint == "see what is allowed: missy net list"


@pytest.mark.parametrize("verb", ["get", "post"])
def test_the_record_of_a_refusal_has_its_path_and_no_query(missy: Command, origin, verb):
    """What was refused can be told from the record: method, host, port and path; a query may hold a secret."""
    missy.entry(origin.url, name="mine")
    refused("https://files.example.com:8443/v1/upload/it?token=canary-1#canary-2", verb)
    record = last(missy.home)
    wanted = {"event": "refused", "method": verb.upper(), "host": "files.example.com", "port": 8443}
    assert {
        **wanted,
        "path": "/v1/upload/it",
        "entry": "mine",
    }.items() <= record.items()
    assert "canary" not in (missy.home / "audit.jsonl").read_text()


def test_the_record_of_a_refused_endpoint_has_its_path(missy: Command):
    """An entry that the policy refuses, before its key is looked for, is on record with the path of its endpoint."""
    missy.config(
        {"providers": {"lan": {"name": "openai", "base_url": "http://192.168.7.7:8080/llm/v1", "model": "m"}}}
    )
    with Missy.open() as m, pytest.raises(PolicyError):
        m.ask("hi").text()
    record = last(missy.home)
    assert (record["event"], record["host"], record["port"]) == ("refused", "192.168.7.7", 8080)
    assert record["path"].startswith("/llm/v1")


def test_a_sent_request_has_its_path_too(missy: Command, origin):
    """The other half, at its beginning and at its end."""
    missy.entry(origin.url)
    with Missy.open() as m:
        m.openai_client().get("/models?token=canary", cast_to=object)
    paths = [
        record["path"]
        for record in map(json.loads, (missy.home / "audit.jsonl").read_text().splitlines())
        if record["method"]
    ]
    assert paths == ["/v1/models", "/v1/models"]
