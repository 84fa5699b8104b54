"""How a request is put for which host and model, and what a refusal changes: one table."""

from __future__ import annotations

import pytest

from missy.providers.profile import Profile, choose_profile

OPENAI, OTHER = "api.openai.com", "api.groq.com"


@pytest.mark.parametrize(
    ("host", "model", "refused", "profile"),
    [
        (OPENAI, "gpt-4o", (), Profile()),
        (OPENAI, "o3-mini", (), Profile("developer", "max_completion_tokens")),
        (OPENAI, "gpt-5.1", (), Profile("developer", "max_completion_tokens")),
        ("eu.api.openai.com", "gpt-5.1", (), Profile("developer", "max_completion_tokens")),
        (OPENAI, None, (), Profile()),
        (OTHER, "gpt-5.1", (), Profile()),
        ("api.openai.com.evil.example", "gpt-5.1", (), Profile()),
        (OTHER, "m", ("max_tokens",), Profile("system", "max_completion_tokens")),
        (OPENAI, "o3", ("max_completion_tokens",), Profile("developer", "max_tokens")),
        (OPENAI, "o3", ("max_tokens",), Profile("developer", "max_completion_tokens")),
        (
            OTHER,
            "m",
            ("stream_options", "temperature"),
            Profile(omitted=frozenset({"stream_options", "temperature"})),
        ),
        (
            OTHER,
            "m",
            ("max_tokens", "store"),
            Profile("system", "max_completion_tokens", frozenset({"store"})),
        ),
    ],
)
def test_the_profile_of_an_endpoint(host, model, refused, profile):
    """`developer` and `max_completion_tokens` are for OpenAI's own reasoning models; what was refused is left out."""
    assert choose_profile(host, model, refused) == profile
