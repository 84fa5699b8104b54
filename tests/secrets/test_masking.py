"""Masking: whole keys of every well-known form, from whatever source, in bounded time; and ordinary words stay."""

from __future__ import annotations

import random
import string
import time
from urllib.parse import quote

import pytest

from missy import masking
from missy.masking import mask
from missy.secrets.redact import Secret

WORD = string.ascii_letters + string.digits
# form -> (how it begins, the letters of the rest, how many)
FORMS = {
    "openai": ("sk-", WORD, 48),
    "openai project": ("sk-proj-", WORD + "_-", 120),
    "openai service": ("sk-svcacct-", WORD + "_-", 60),
    "anthropic": ("sk-ant-api03-", WORD + "_-", 90),
    "openrouter": ("sk-or-v1-", "0123456789abcdef", 64),
    "groq": ("gsk_", WORD, 52),
    "refresh": ("rt_", WORD + "_-", 60),
    "xai": ("xai-", WORD, 80),
    "google": ("AIza", WORD + "_-", 35),
    "google new": ("AQ.", WORD + "_-", 40),
    "huggingface": ("hf_", WORD, 34),
    "github": ("ghp_", WORD, 36),
    "github app": ("ghs_", WORD, 36),
    "github fine": ("github_pat_", WORD + "_", 82),
    "aws": ("AKIA", string.ascii_uppercase + string.digits, 16),
    "aws session": ("ASIA", string.ascii_uppercase + string.digits, 16),
    "bedrock": ("ABSK", WORD + "+/=", 100),
    "perplexity": ("pplx-", WORD, 48),
    "nvidia": ("nvapi-", WORD + "_-", 64),
    "cerebras": ("csk-", WORD, 48),
    "replicate": ("r8_", WORD, 37),
    "fireworks": ("fw_", WORD, 22),
    "gitlab": ("glpat-", WORD + "_-", 20),
    "slack": ("xoxb-", WORD + "-", 40),
    "missy serve": ("mk-", WORD + "_-", 43),
    "stripe": ("sk_live_", WORD, 24),
}
AROUND = [
    "Incorrect API key provided: {}. You can find your API key at https://platform.openai.com/account/api-keys.",
    '{{"error": {{"message": "bad key {}", "param": null}}}}',
    "({})", "key={}&x=1", "'{}'", "{}", "a\t{}\nb", "Authorization: Bearer {}", "https://x.example/?api_key={}",
    "Ungültiger Schlüssel „{}“",
]  # fmt: skip


@pytest.fixture(scope="module")
def made() -> list[str]:
    """Keys of every form, made from a fixed seed."""
    dice = random.Random(20)
    keys = [
        start + "".join(dice.choices(letters, k=count))
        for start, letters, count in FORMS.values()
        for _ in range(8)
    ]
    tokens = [".".join("".join(dice.choices(WORD + "_-", k=n)) for n in (30, 80, 43)) for _ in range(8)]
    return keys + ["eyJ" + token for token in tokens]


@pytest.mark.parametrize("around", AROUND)
def test_a_key_of_a_known_form_is_masked_whole(made, around):
    """In every setting, and whoever's it is: not four letters of it in a row stay beyond how its form begins."""
    for key in made:
        shown = mask(around.format(key))
        body = key[8:]
        assert "***" in shown, key
        assert not any(body[i : i + 6] in shown for i in range(len(body) - 5)), (key, shown)
        assert mask(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Incorrect API key provided: sk-bad", "Incorrect API key provided: ***"),
        ("Incorrect API key provided: sk-fake-key.", "Incorrect API key provided: ***."),
        ("provided: sk-abcd****************wxyz. You", "provided: ***. You"),
        ("Received API Key = sk-...wxyz, hash", "Received API Key = ***, hash"),
        ("Bearer abc123def", "Bearer ***"),
        ("bearer opaquevalue", "bearer ***"),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: ***"),
        ("x-api-key: 0123456789abcdef", "x-api-key: ***"),
        ('{"api_key":"hunter2hunter2"}', '{"api_key":"***"}'),
        ("https://u:p@host/v1", "https://***@host/v1"),
        ("https://h/v1?key=hunter2&b=1", "https://h/v1?key=***&b=1"),
        ("https://h/v1?a=1&sig=hunter2%20#x", "https://h/v1?a=1&sig=***#x"),
        ("GROQ_API_KEY=hunter2hunter2", "GROQ_API_KEY=***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "***-----END RSA PRIVATE KEY-----"),
    ],
)  # fmt: skip
def test_what_is_masked_exactly(text, shown):
    """Echoed keys, shortened ones too; bearer values; URLs; what stands behind a name that says what it is."""
    assert mask(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "export GROQ_API_KEY=... or set api_key in entry 'groq'",
        "providers.groq.api_key: found a number; allowed a key, $ENV_VAR, vault://NAME or keyring://NAME, or null",
        "api_key: $OPENAI_API_KEY", "export GROQ_API_KEY=YOUR-KEY", "api_key: vault://groq", "api_key: null",
        "the endpoint refused the key: check it, and which one is used (missy providers)",
        "missing bearer authentication", "use Bearer tokens", "a risk-free, task-based ask-and-tell",
        "You exceeded your current quota, please check your plan", "max_tokens=4096 is too large",
        "openai-codex", "gpt-4o-mini-2024-07-18", "llama-3.3-70b-versatile", "https://api.groq.com/openai/v1",
        "network: {allowed_hosts: [example.com]}", "req_0123456789abcdef0123456789abcdef", "env:GROQ_API_KEY",
        "azure-eastus2-gpt4o-deployment", "the key from $GROQ_API_KEY contains characters that no key has",
    ],
)  # fmt: skip
def test_ordinary_words_stay(text):
    """Missy's own messages and names of models, hosts and requests are as they were."""
    assert mask(text) == text


def test_the_longest_held_secret_is_masked_first():
    """One secret that is the front of another leaves no half of it, in whatever order they came."""
    for order in (("hunter2", "hunter2-and-more"), ("hunter2-and-more", "hunter2")):
        masking._held.clear()
        for value in order:
            Secret(value)
        assert mask("a hunter2-and-more b hunter2 c") == "a *** b *** c"
    Secret("sk-fake")
    assert mask("no sk-fake-key here") == "no *** here"
    Secret("zz/sk-abcdef.more")  # a form inside a held one
    assert mask("x zz/sk-abcdef.more y") == "x *** y"
    Secret("abcdefgh")
    Secret("efghijkl")
    assert mask("abcdefghijkl") == "***"  # they overlap


HOSTILE = [
    "sk-", "sk-ab ", "eyJ", "eyJabcdefgh.", "bearer ", "Bearer\t\t\t", "authorization:", 'api_key" :', "api_key=",
    "://", "://a@", "://" + "a" * 511, "?key=", "&sig=&", "-----BEGIN ", "-----BEGIN A PRIVATE KEY-----", "AKIA",
    "a", "_", "-", ".", "*", "access_token", "token token ", "sk-...", "x_api_", "authorization: basic ", " ", "\n",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_time_grows_with_the_text_alone(piece):
    """Sixteen times the hostile text takes about sixteen times as long: a quadratic pattern would take 256 times."""

    def cost(length: int) -> float:
        text = piece * (length // len(piece)) + "sk-"
        best = 1e9
        for _ in range(3):
            start = time.process_time()
            mask(text)
            best = min(best, time.process_time() - start)
        return best

    short, long = cost(1 << 14), cost(1 << 18)
    assert long < 80 * max(short, 0.0005)


def test_what_is_random_is_found_where_a_name_belongs():
    """A key that was typed in the place of a name: by its form, or as a long run of letters and digits."""
    for word in (
        "sk-proj-abcdef",
        "gsk_abcdefgh1",
        "0123456789abcdef0123456789abcdef",
        "A1b2C3d4E5f6G7h8I9j0K",
    ):
        assert masking.may_be_secret(word), word
    for word in ("api_key", "base_uri", "azure-eastus2-gpt4o-deployment-two", "a" * 40, "max_retries"):
        assert not masking.may_be_secret(word), word


@pytest.mark.parametrize(
    "spell", [str, lambda key: quote(key, safe=""), lambda key: quote(key, safe="").lower()]
)
def test_a_held_secret_is_masked_as_a_url_spells_it(spell):
    """An endpoint that echoes a key in an address shows no part of it."""
    key = "own~key~of~mine/9=="
    masking.hold(key)
    assert mask(f"no such key: {spell(key)}!") == "no such key: ***!"


def test_a_held_secret_is_masked_as_json_spells_it():
    """With its slashes and quotes escaped, as some endpoints write JSON within JSON."""
    masking.hold('own/key"of\\mine')
    assert mask(r'"own\/key\"of\\mine"') == '"***"'


def test_what_was_no_secret_before_is_masked_once_it_is_one():
    """A text that was found clean is examined again when a secret has come since."""
    text = "host later-a-secret.example"
    assert mask(text) == mask(text) == text
    Secret("later-a-secret")
    assert mask(text) == "host ***.example"
