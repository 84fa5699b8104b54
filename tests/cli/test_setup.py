"""`missy setup --no-prompt`: what a script gets, and what it cannot do by accident."""

from __future__ import annotations

import pytest

from missy import folders
from missy.auth.login import LOGIN_FILE, new_login, store
from missy.auth.oauth import Tokens
from missy.secrets.redact import Secret
from missy.secrets.vault import Vault
from tests.configuration import load
from tests.servers import json_response
from tests.simulator import Simulator

pytestmark = pytest.mark.slow

KEY = "gsk_CANARY0123456789"
MODELS = json_response({"data": [{"id": "m"}]})


def entry(missy, name="groq"):
    return load(missy.home / "config.yaml").providers[name]


def test_the_reference_is_stored_and_not_the_key(missy):
    """--api-key-env writes `$VAR`; the variable's value is nowhere in MISSY_HOME."""
    done = missy("setup", "--no-prompt", "--provider", "openai", "--entry", "groq", "--base-url",
                 "https://api.groq.com/openai/v1", "--model", "m", "--api-key-env", "MY_KEY",
                 env={"MY_KEY": KEY})  # fmt: skip
    assert (done.code, done.err) == (0, "")
    found = entry(missy)
    assert (found.api_key, found.model, found.base_url) == ("$MY_KEY", "m", "https://api.groq.com/openai/v1")
    for file in missy.home.rglob("*"):
        assert file.is_dir() or KEY.encode() not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0


def test_a_service_is_known_by_its_name(missy):
    """--provider groq is the kind openai with Groq's base URL; a variable that is not set is reported."""
    done = missy(
        "setup", "--no-prompt", "--provider", "groq", "--model", "m", "--api-key-env", "GROQ_API_KEY"
    )
    assert done.code == 0
    assert "export GROQ_API_KEY=" in done.err
    assert entry(missy).endpoint == "https://api.groq.com/openai/v1"


@pytest.mark.parametrize(
    ("store", "says"),
    [(None, "vault://groq"), ("vault", "vault://groq"), ("env", "$GROQ_API_KEY"), ("config", KEY)],
)
def test_a_key_from_stdin_goes_where_store_says(missy, store, says):
    """Into the vault unless another place is named; the file itself gets it with a warning only."""
    options = ["--store", store] if store else []
    done = missy(
        "setup", "--no-prompt", "--provider", "groq", "--api-key-stdin", *options, stdin=f"{KEY}\n".encode()
    )
    assert done.code == 0
    assert KEY not in done.text + done.err
    assert entry(missy).api_key == says
    if says.startswith("vault"):
        assert Vault(missy.home).get("groq").reveal() == KEY
    if store == "config":
        assert "the key is readable in the file itself" in done.err
        assert (missy.home / "config.yaml").stat().st_mode & 0o777 == 0o600
    if store == "env":
        assert "is not kept" in done.err


def test_a_system_keyring_keeps_it_too(missy, tmp_path):
    """--store keyring, where there is one."""
    ring = {"PYTHON_KEYRING_BACKEND": "tests.secrets.ring.FileRing", "RING": str(tmp_path / "ring")}
    ring["PYTHONPATH"] = f"{missy.env()['PYTHONPATH']}:{__file__.rpartition('/tests/')[0]}"
    args = ["setup", "--no-prompt", "--provider", "groq", "--api-key-stdin", "--store", "keyring"]
    assert missy(*args, stdin=KEY.encode(), env=ring).code == 0
    assert entry(missy).api_key == "keyring://groq"
    assert KEY in (tmp_path / "ring").read_text()
    refused = missy(*args, "--entry", "b", stdin=KEY.encode(), env={**ring, "RING_FAULT": "locked"})
    assert refused.code == 4
    assert "b" not in load(missy.home / "config.yaml").providers


def test_it_may_be_offered_to_other_programs(missy, tmp_path):
    """--serve adds the entry to `serve.entries` once, and tells the next step; a login of ChatGPT is never offered."""
    local = ("setup", "--no-prompt", "--provider", "local", "--entry", "small", "--serve")
    done = missy(*local)
    assert done.code == 0, done.err
    assert "missy keys create" in done.text
    assert missy(*local, "--force").code == 0
    assert load(missy.home / "config.yaml").serve.entries == ("small",)
    before = (missy.home / "config.yaml").read_bytes()
    refused = missy("setup", "--no-prompt", "--provider", "openai-codex", "--serve", "--force")
    assert refused.code == 2
    assert "never served" in refused.err
    assert (missy.home / "config.yaml").read_bytes() == before


def test_an_existing_entry_wants_force(missy):
    """Exit 2 and nothing touched; with --force its comments stay and the old file is kept."""
    file = missy.config(
        "providers:\n  groq:  # mine\n    model: old  # why\n    base_url: https://api.groq.com/openai/v1\n    timeout: 9\n"
    )
    before = file.read_bytes()
    args = ["setup", "--no-prompt", "--provider", "groq", "--model", "new", "--api-key-env", "K"]
    done = missy(*args)
    assert (done.code, file.read_bytes()) == (2, before)
    assert "--force" in done.err
    assert missy(*args, "--force", "--default").code == 0
    text = file.read_text()
    assert "groq:  # mine" in text
    assert "# why" in text
    assert (entry(missy).model, entry(missy).timeout, load(file).default_provider) == ("new", 9, "groq")
    assert [kept.read_bytes() for kept in missy.home.glob("config.yaml.bak-*")] == [before]


def test_check_asks_before_anything_is_written(missy, serve):
    """The true path with the true key: a refusal writes nothing and is its exit code; a success writes."""
    server = serve(json_response({"error": {"message": "no"}}, 401), MODELS)
    args = [
        "setup",
        "--no-prompt",
        "--entry",
        "x",
        "--base-url",
        server.url,
        "--model",
        "m",
        "--api-key-stdin",
    ]
    refused = missy(*args, "--check", stdin=KEY.encode())
    assert refused.code == 4
    assert not (missy.home / "config.yaml").exists()
    assert not (missy.home / "secrets").exists()
    done = missy(*args, "--check", stdin=KEY.encode())
    assert done.code == 0
    assert "x answers, 1 model\n" in done.err
    assert server.last.header("authorization") == f"Bearer {KEY}"
    assert entry(missy, "x").api_key == "vault://x"
    assert missy("audit", "verify").code == 0


@pytest.mark.parametrize(
    ("key", "hint"),
    [([], "requires a key: give it with --api-key-env VAR"), (["--api-key-stdin"], "refused the key")],
)
def test_a_refused_check_names_what_to_give(missy, serve, key, hint):
    """Nothing is written when the endpoint wants a key or refuses it: the hint names no entry of the file."""
    server = serve(json_response({"error": {"message": "no"}}, 401))
    args = ["setup", "--no-prompt", "--entry", "x", "--base-url", server.url, "--model", "m", "--check"]
    done = missy.inside(*args, *key, stdin=KEY.encode())
    assert done.code == 4
    assert hint in done.err
    assert "nothing was written" in done.err
    assert "its entry" not in done.err
    assert "missy providers" not in done.err
    assert not (missy.home / "config.yaml").exists()


def test_check_tells_of_a_model_that_is_not_there(missy, serve):
    """It is written as asked, and said."""
    done = missy(
        "setup", "--no-prompt", "--entry", "x", "--base-url", serve(MODELS).url, "--model", "z", "--check"
    )
    assert done.code == 0
    assert "z is not among them" in done.err


def test_what_was_set_up_answers(missy, serve):
    """From nothing to an answer with two commands."""
    from tests.servers import chat_stream

    server = serve(chat_stream("hello"))
    missy("setup", "--no-prompt", "--entry", "x", "--base-url", server.url, "--model", "m")
    assert missy("ask", "hi").text == "hello\n"


def test_codex_without_a_login_is_exit_4(missy):
    """It says how to log in, and writes nothing."""
    done = missy("setup", "--no-prompt", "--provider", "openai-codex")
    assert done.code == 4
    assert "missy auth login" in done.err
    assert not (missy.home / "config.yaml").exists()


def test_codex_with_a_login_is_set_up(missy):
    """The login of the issuer that the entry has."""
    with Simulator() as simulator:
        missy.config(simulator.config())
        issued = simulator.issuer.sign_in()
        parts = (Secret(issued[name]) for name in ("access_token", "refresh_token", "id_token"))
        login = new_login(Tokens(*parts), simulator.issuer_url, 0)
        folders.ensure_dir(missy.home / "secrets")
        store(missy.home / LOGIN_FILE, login)
        args = ["setup", "--no-prompt", "--provider", "openai-codex", "--model", "m", "--force"]
        assert missy(*args).code == 0
        assert entry(missy, "openai-codex").issuer == simulator.issuer_url


def test_the_local_model_needs_nothing(missy):
    """An entry of one line."""
    assert missy("setup", "--no-prompt", "--provider", "local", "--entry", "laptop").code == 0
    assert entry(missy, "laptop").kind == "local"


@pytest.mark.parametrize(
    "args",
    [
        ["--provider", "opena"],
        ["--provider", "azure"],
        ["--provider", "local", "--model", "m"],
        ["--provider", "local", "--api-key-env", "A"],
        ["--entry", "a b"],
        ["--base-url", "nonsense"],
        ["--base-url", "https://me:pass@example.com/v1"],
        ["--model", ""],
        ["--api-key-env", f"sk-{KEY}"],
        ["--api-key-env", KEY.lower()],
        ["--api-key-env", "A", "--api-key-stdin"],
        ["--api-key-env", "A", "--store", "vault"],
        ["--store", "vault"],
        ["--store", "env"],
        ["--store", "drawer"],
        ["--api-key", KEY],
        [f"--api-key={KEY}"],
        ["--key", KEY],
        [KEY],
        ["--api-key-stdin", KEY],
    ],
    ids=lambda args: " ".join(args).replace(KEY, "KEY"),
)
def test_wrong_use_is_exit_2_and_writes_nothing(missy, args):
    """No option takes a key, and none that was given in the wrong place is shown."""
    done = missy("setup", "--no-prompt", *args, stdin=KEY.encode())
    assert done.code == 2
    assert KEY not in done.text + done.err
    assert KEY.lower() not in done.text + done.err
    assert "Traceback" not in done.err
    assert not missy.home.exists()


@pytest.mark.parametrize("data", [b"", b"two words", b"$HOME", b"\xff\xfe", b"a\nb", b"x" * 70000])
def test_stdin_that_is_no_key_is_exit_2(missy, data):
    """Nothing is written, nothing of it shown."""
    done = missy("setup", "--no-prompt", "--provider", "groq", "--api-key-stdin", stdin=data)
    assert done.code == 2
    assert not missy.home.exists()


def test_a_broken_file_is_left_alone(missy):
    """The error names its line."""
    file = missy.config("providers: [")
    done = missy("setup", "--no-prompt", "--provider", "groq")
    assert (done.code, file.read_text()) == (2, "providers: [")


def test_another_file_may_be_named(missy, tmp_path):
    """--config FILE, also one that is not there yet."""
    file = tmp_path / "other.yaml"
    assert (
        missy("--config", str(file), "setup", "--no-prompt", "--provider", "ollama", "--model", "m").code == 0
    )
    assert load(file).providers["ollama"].base_url == "http://localhost:11434/v1"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_host_that_the_policy_refuses_is_told(missy):
    """The entry is written as asked, and the reason with it; --check is exit 3 and writes nothing."""
    args = ["setup", "--no-prompt", "--entry", "lab", "--base-url", "http://10.9.8.7:8000/v1", "--model", "m"]
    assert missy(*args, "--check", env={"LAB_API_KEY": "x"}).code == 3
    assert not (missy.home / "config.yaml").exists()
    done = missy(*args)
    assert done.code == 0
    assert "10.9.8.7 port 8000 is refused" in done.err


def test_the_wizard_names_the_options_as_they_were_typed(missy):
    """Options that the wizard has no use for are named by their own names."""
    done = missy.inside("setup", "--set", "a=b", "--header", "X=y", "--default", "--api-key-stdin")
    assert done.code == 2
    assert "missy: --set, --header, --api-key-stdin, --default: the wizard asks for that itself" in done.err
