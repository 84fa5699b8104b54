"""What is allowed but not good is said where it matters, once, and not with every command."""

from __future__ import annotations

import pytest

from tests.servers import chat_stream, json_response

REFUSED = "http://10.9.8.7:8000/v1"


@pytest.fixture
def mixed(missy, serve):
    """A good entry at a live server, one that the policy refuses, and one with a key in a file that all can read."""
    origin = serve(
        lambda request, _wire: (
            json_response({"data": [{"id": "m"}]}) if request.method == "GET" else chat_stream("hi")
        )
    )
    entries = {
        "good": {"name": "openai", "model": "m", "base_url": origin.url, "max_retries": 0},
        "bad": {"name": "openai", "model": "m", "base_url": REFUSED, "max_retries": 0},
        "open": {"name": "openai", "model": "m", "base_url": origin.url, "api_key": "sk-canary-012345"},
    }
    missy.config({"default_provider": "good", "providers": entries}).chmod(0o644)
    return missy


ABOUT_BAD, ABOUT_OPEN = "providers.bad: ", "other users can read it"


@pytest.mark.parametrize(
    ("args", "bad", "key"),
    [
        (("ask", "hi"), 0, 0),
        (("ask", "--provider", "good", "hi"), 0, 0),
        (("ask", "--provider", "bad", "hi"), 0, 0),  # the error says it
        (("models", "--provider", "bad"), 0, 0),
        (("providers", "switch", "bad"), 1, 0),
        (("ask", "--provider", "open", "hi"), 0, 1),
        (("models",), 0, 0),
        (("net", "list"), 0, 0),
        (("config", "show"), 0, 0),
        (("audit", "recent"), 0, 0),
        (("providers",), 1, 1),
        (("config", "validate"), 1, 1),
        (("setup", "--no-prompt", "--entry", "new", "--base-url", "http://127.0.0.1:9/v1"), 0, 0),
        (
            ("setup", "--no-prompt", "--entry", "bad2", "--base-url", REFUSED, "--model", "m"),
            0,
            0,
        ),  # said once, and last
    ],
)
def test_a_caution_is_said_where_it_matters_and_once(mixed, args, bad, key):
    """In the listing, the validation and the entry's own use; never with a command about something else."""
    said = mixed(*args).err
    assert said.count("providers.bad") == bad, said
    assert said.count(ABOUT_OPEN) == key, said


@pytest.mark.parametrize("args", [("ask", "hi"), ("ask", "--json", "hi"), ("models",)], ids=" ".join)
def test_a_refusal_is_said_once(mixed, args):
    """The error says what is refused, and what would allow it; no warning before it says the same."""
    ran = mixed(*args, "--provider", "bad")
    assert ran.code == 3
    assert (ran.err + ran.text).count("10.9.8.7 port 8000 is refused") == 1
    assert "to allow it" in ran.err + ran.text


def test_the_doctor_names_the_refused_entry_in_its_walk(mixed):
    """The doctor says it as a check, for the entry that it walks."""
    assert "10.9.8.7" in mixed("doctor", "--provider", "bad").text
    good = mixed("doctor", "--provider", "good")
    assert "10.9.8.7" not in good.text + good.err
