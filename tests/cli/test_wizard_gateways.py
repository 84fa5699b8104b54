"""The wizard before a server that wants more than a key: what it refuses with is asked for, and nothing else is written."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.person import CTRL_U, DOWN, ENTER, UP, Person
from tests.configuration import load
from tests.servers import chat_stream, json_response

pytestmark = pytest.mark.slow

SECRET = "team-canary-7a31"
EXTRA = DOWN * 3 + ENTER


def _wants(request: Any, _wire: Any) -> bytes:
    """Answer who names a version, sends the team's header, and the key as `api-key` alone."""
    path, _, query = request.path.partition("?")
    if request.header("x-team") != SECRET:
        return json_response({"error": {"message": "Header x-team is required"}}, 400)
    if query != "api-version=2024-10-21":
        return json_response({"error": {"message": "Missing required query parameter: api-version"}}, 400)
    if request.header("api-key") != "k-1" or request.header("authorization") is not None:
        return json_response({"error": {"message": "Access denied"}}, 401)
    if path.endswith("/models"):
        return json_response({"data": [{"id": "tiny"}]})
    return chat_stream("hello")


def test_what_a_server_wants_besides_is_asked_for(missy, serve):
    """A header from the environment, a parameter and the key's header, one after the other, each with a live check."""
    server = serve(_wants)
    with Person(missy, "setup", rows=60, env={"TEAM": SECRET, "GW_KEY": "k-1"}) as person:
        for question, keys in [
            ("Which provider?", DOWN * 3 + ENTER),
            ("Which service?", UP + ENTER),
            ("Base URL:", server.url + ENTER),
            ("Name of the entry:", f"{CTRL_U}gw{ENTER}"),
            ("Where should its key be stored?", "env" + ENTER),
            ("Name of the variable:", f"{CTRL_U}GW_KEY{ENTER}"),
            ("Check it now?", ENTER),
            ("x-team is required", ""),
            ("What now?", EXTRA),
            ("What does it need?", ENTER),
            ("Header (NAME=VALUE):", f"host=x{ENTER}"),
            ("it follows from base_url", f"{CTRL_U}x-team-token=blue{ENTER}"),
            ("may be a secret", f"{CTRL_U}x-team=$TEAM{ENTER}"),
            ("x-team=$TEAM Check it now?", ENTER),
            ("query parameter: api-version", ""),
            ("What now?", EXTRA),
            ("What does it need?", DOWN + ENTER),
            ("Parameter (NAME=VALUE):", f"api-version=2024-10-21{ENTER}"),
            ("api-version=2024-10-21 Check it now?", ENTER),
            ("Access denied", ""),
            ("What now?", EXTRA),
            ("What does it need?", DOWN * 2 + ENTER),
            ("Name of the header:", ENTER),
            ("api-key Check it now?", ENTER),
            ("Which model?", ENTER),
            ("Set up another entry?", ENTER),
            ("query: api-version", ""),
            ("Is this right?", ENTER),
        ]:
            person.see(question)
            assert not (missy.home / "config.yaml").exists()
            person.press(keys)
        assert person.end() == 0
        assert SECRET not in person.raw
    entry = load(missy.home / "config.yaml").entry()
    assert entry.headers == (("x-team", "$TEAM"),)
    assert entry.query == (("api-version", "2024-10-21"),)
    assert entry.api_key_header == "api-key"
    assert missy("ask", "hi", env={"TEAM": SECRET, "GW_KEY": "k-1"}).code == 0


def test_a_gateways_own_key_is_not_sent_as_the_providers(missy):
    """Portkey's key goes in its header; with Enter alone it is not offered as the bearer key too, set as it may be."""
    with Person(missy, "setup", rows=60, env={"PORTKEY_API_KEY": SECRET}) as person:
        for question, keys in [
            ("Which provider?", DOWN * 3 + ENTER),
            ("Which service?", "portkey"),
            ("search: portkey", ENTER),
            ("Provider behind it", f"{CTRL_U}openai{ENTER}"),
            ("Name of the entry:", ENTER),
            ("Where should its key be stored?", ENTER),
            ("Check it now?", DOWN + ENTER),
            ("Model:", f"m{ENTER}"),
            ("Set up another entry?", ENTER),
            ("Is this right?", ENTER),
        ]:
            person.see(question)
            person.press(keys)
        assert person.end() == 0
    entry = load(missy.home / "config.yaml").entry()
    assert entry.api_key is None
    assert entry.headers == (("x-portkey-api-key", "$PORTKEY_API_KEY"), ("x-portkey-provider", "openai"))
