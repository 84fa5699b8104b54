"""Gateways and Azure at set-up: what `setup --no-prompt` writes for them, and what it asks for instead of guessing."""

from __future__ import annotations

import pytest

from tests.configuration import load
from tests.servers import json_response

HEADER = "hdr-canary-83aa12"

SETUPS = [
    (
        ["--provider", "azure", "--set", "resource=mine", "--model", "d", "--api-key-env", "AZURE_OPENAI_API_KEY"],
        {"base_url": "https://mine.openai.azure.com/openai/v1", "api_key_header": "api-key"},
    ),
    (["--provider", "azure", "--base-url", "https://x.cognitiveservices.azure.com/openai/v1", "--model", "d"],
     {"base_url": "https://x.cognitiveservices.azure.com/openai/v1", "api_key_header": "api-key"}),
    (
        ["--provider", "portkey", "--set", "provider=@mine", "--model", "gpt-4o"],
        {"headers": (("x-portkey-api-key", "$PORTKEY_API_KEY"), ("x-portkey-provider", "@mine"))},
    ),
    (
        ["--provider", "cloudflare", "--set", "account=abc123", "--model", "openai/gpt-5-mini"],
        {
            "base_url": "https://gateway.ai.cloudflare.com/v1/abc123/default/compat",
            "headers": (("cf-aig-authorization", "Bearer $CF_AIG_TOKEN"),),
        },
    ),
    (["--provider", "openrouter", "--model", "m"], {"base_url": "https://openrouter.ai/api/v1", "headers": ()}),
    (
        ["--provider", "openrouter", "--set", "referer=https://me.example", "--set", "title=My app", "--model", "m"],
        {"headers": (("HTTP-Referer", "https://me.example"), ("X-Title", "My app"))},
    ),
    (["--provider", "gemini", "--model", "m"],
     {"base_url": "https://generativelanguage.googleapis.com/v1beta/openai"}),
    (["--provider", "claude", "--model", "m"], {"base_url": "https://api.anthropic.com/v1"}),
    (["--entry", "groq", "--model", "m"], {"base_url": "https://api.groq.com/openai/v1"}),
    (
        ["--entry", "gw", "--base-url", "https://gw.example.com/v1", "--model", "m", "--header", "x-tok=$TOK",
         "--query", "api-version=v1", "--api-key-header", "api-key"],
        {"headers": (("x-tok", "$TOK"),), "query": (("api-version", "v1"),), "api_key_header": "api-key"},
    ),
    (
        ["--entry", "gw", "--base-url", "https://gw.example.com/v1", "--model", "m",
         "--header", "x-portkey-provider=openai", "--header", "x-portkey-api-key=$PK"],
        {"headers": (("x-portkey-provider", "openai"), ("x-portkey-api-key", "$PK"))},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("args", "wanted"), SETUPS)
def test_a_preset_writes_what_its_service_wants(missy, args, wanted):
    """`setup --provider NAME`: URL, headers and the key's header of Azure, the gateways and the compatible endpoints."""
    ran = missy("setup", "--no-prompt", *args)
    assert ran.code == 0, ran.err
    (made,) = load(missy.home / "config.yaml").providers.values()
    for name, value in wanted.items():
        assert getattr(made, name) == value
    assert "try it: missy ask" in ran.text


REFUSED = [
    (["--provider", "nope"], "missy presets"),
    (["--entry", "unknown-one", "--model", "m"], "--base-url"),
    (["--provider", "azure", "--model", "d"], "--base-url"),
    (["--provider", "azure", "--set", "resource=x.cognitiveservices.azure.com", "--model", "d"], "--base-url"),
    (["--provider", "portkey", "--model", "m"], "--set provider="),
    (["--provider", "ollama"], "--model"),
    (["--provider", "groq", "--set", "resource=x", "--model", "m"], "no such part"),
    (["--provider", "azure", "--set", "resource=a/b?c", "--model", "m"], "no name of a resource"),
    (["--provider", "openai", "--entry", "groq", "--model", "m"], "https://api.groq.com/openai/v1"),
    (["--entry", "gw", "--base-url", "https://g.example/v1", "--header", f"x-token={HEADER}"], "may be a secret"),
    (["--entry", "gw", "--base-url", "https://g.example/v1", "--header", "x-a=sk-proj-abcdefgh"], "may be a secret"),
    (["--entry", "gw", "--base-url", "https://g.example/v1", "--header", "x-portkey-api-key=open"], "may be a secret"),
]  # fmt: skip


@pytest.mark.parametrize(("args", "says"), REFUSED)
def test_what_setup_cannot_know_is_asked_for(missy, args, says):
    """Exit 2, nothing written, and the option that is missing named; what may be a secret is not shown."""
    ran = missy.inside("setup", "--no-prompt", *args)
    assert ran.code == 2
    assert says in ran.err
    assert not (missy.home / "config.yaml").exists()
    assert HEADER not in ran.err
    assert "sk-proj" not in ran.err


def test_a_header_is_not_carried_to_another_endpoint(missy):
    """`setup --force` with another URL drops the headers, as it drops the key; with the same one it keeps them."""
    missy.entry(
        "https://a.example.com/v1", "gw", headers={"x-token": "$T"}, query={"a": "b"}, api_key_header="k"
    )
    args = ("setup", "--no-prompt", "--entry", "gw", "--model", "n", "--force")
    assert missy(*args).code == 0
    kept = load(missy.home / "config.yaml").providers["gw"]
    assert (kept.model, kept.headers, kept.base_url) == (
        "n",
        (("x-token", "$T"),),
        "https://a.example.com/v1",
    )
    assert missy(*args, "--base-url", "https://b.example.com/v1").code == 0
    moved = load(missy.home / "config.yaml").providers["gw"]
    assert (moved.headers, moved.query, moved.api_key_header) == ((), (), None)


def test_an_entry_that_will_be_refused_is_not_to_be_tried(missy):
    """Written, but it will be refused: that is said last, in the place of a command to try."""
    ran = missy(
        "setup", "--no-prompt", "--entry", "m", "--base-url", "https://169.254.169.254/v1", "--model", "x"
    )
    assert ran.code == 0
    assert "try it" not in ran.text + ran.err
    assert "written, but it will be refused" in ran.err.strip().splitlines()[-1]
    assert ran.err.count("is refused") == 1


@pytest.mark.parametrize(
    ("args", "lacks"),
    [
        (["--provider", "groq", "--model", "m"], "no API key for api.groq.com: export GROQ_API_KEY=..."),
        (
            ["--provider", "azure", "--set", "resource=x", "--model", "m"],
            "no API key for x.openai.azure.com: export AZURE_OPENAI_API_KEY=...",
        ),
        (["--provider", "local"], "the local model is not installed"),
    ],
)
def test_an_entry_that_lacks_something_says_what(missy, args, lacks):
    """Written as it was asked for; what it cannot be used without is named before the command to try."""
    ran = missy("setup", "--no-prompt", *args)
    assert ran.code == 0
    assert f"is not ready yet: {lacks}" in ran.err
    assert "try it" in ran.text


def test_an_entry_named_after_a_service_is_no_other(missy):
    """`groq` without a base_url would ask OpenAI with Groq's key: validate, providers, doctor and ask all refuse it."""
    missy.config("providers:\n  anthropic: {model: claude-x}\n  groq: {model: llama}\n")
    keys = {"GROQ_API_KEY": "gsk_not_for_openai", "ANTHROPIC_API_KEY": "sk-ant-not-for-openai"}
    for command in ("config validate", "providers", "ask hi", "ask hi --provider groq", "doctor"):
        ran = missy(*command.split(), env=keys)
        assert ran.code == 2, command
        said = ran.err + ran.text
        assert "providers.anthropic has no base_url; anthropic's is https://api.anthropic.com/v1" in said
        assert "for-openai" not in said
    assert missy.attempts() == []


LACKING = [
    (
        400,
        "Either x-portkey-config or x-portkey-provider header is required",
        5,
        "--header",
        "headers: {NAME",
    ),
    (401, "Missing required header: X-Team", 4, "--header", "headers: {NAME"),
    (403, "The request has no team: set the X-Team header", 4, "--header", "headers: {NAME"),
    (400, "Missing required query parameter: api-version", 5, "--query", "query: {NAME"),
    (404, "The api-version query parameter is required but was not found", 5, "--query", "query: {NAME"),
    (401, "Missing Authorization header", 4, "requires a key", "api_key"),
    (400, "Header line too long", 5, "see its message", ""),
]


@pytest.mark.parametrize(("status", "says", "code", "option", "key"), LACKING)
def test_who_lacks_a_header_is_told_how_to_send_it(missy, serve, status, says, code, option, key):
    """A server that asks for a header or a parameter: the key of the entry and the option of `setup` are named."""
    missy.entry(serve(json_response({"error": {"message": says}}, status)).url)
    ran = missy.inside("ask", "hi")
    assert ran.code == code
    assert option in ran.err
    assert key in ran.err
