"""What README.md shows is what is printed: the transcripts that hold neither a date nor a path, run again.

`make readme` runs all of the page, from a fresh copy and with the model.
"""

from __future__ import annotations

import pytest

from tests.readme.page import Page

shown = Page().shown


@pytest.mark.locked  # the headers are those of the package that is installed
def test_the_first_thing_to_see(missy):
    """Keys: what set-up says, who gets none, and the exact request that a dry run shows."""
    key: dict[str, str | None] = {"OPENAI_API_KEY": "sk-only-for-openai"}
    setup = "missy setup --no-prompt --provider groq --model llama-3.3-70b-versatile"
    assert missy(*setup.split()[1:], env=key).err == shown(setup)
    assert missy("setup", "--no-prompt", "--provider", "openai", env=key).code == 0
    ran = missy("ask", "--provider", "groq", "Say hello.", env=key)
    assert f"{ran.err}exit code {ran.code}\n" == shown(
        'missy ask --provider groq "Say hello."; echo "exit code $?"'
    )
    ran = missy(
        "ask",
        "--provider",
        "openai",
        "--dry-run",
        "Say hello.",
        env=key | {"OPENAI_BASE_URL": "https://example.com/v1"},
    )
    dry = 'OPENAI_BASE_URL=https://example.com/v1 missy ask --provider openai --dry-run "Say hello."'
    assert ran.text == shown(dry)


def test_the_third_thing_to_see(missy):
    """The policy: what is refused and why, and what set-up says of an entry that it will refuse."""
    ran = missy("net", "explain", "https://example.com/")
    assert f"{ran.text}exit code {ran.code}\n" == shown(
        'missy net explain https://example.com/; echo "exit code $?"'
    )
    setup = "missy setup --no-prompt --entry metadata --base-url https://169.254.169.254/v1 --model any"
    assert missy(*setup.split()[1:]).err == shown(setup)
    ran = missy("ask", "--provider", "metadata", "Say hello.")
    told = "".join(line for line in ran.err.splitlines(keepends=True) if "config.yaml" not in line)
    assert f"{told}exit code {ran.code}\n" == shown(
        'missy ask --provider metadata "Say hello."; echo "exit code $?"'
    )
