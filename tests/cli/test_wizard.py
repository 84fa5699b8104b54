"""The wizard, driven by another program at a pseudo-terminal: what is on the screen, and what is written."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from missy.secrets.vault import Vault
from tests.cli.person import CTRL_C, CTRL_D, CTRL_U, DOWN, ENTER, ESC, UP, Person
from tests.command import Command
from tests.configuration import load
from tests.servers import json_response
from tests.simulator import Simulator
from tests.simulator.browser import visit

pytestmark = pytest.mark.slow

SNAPSHOTS = Path(__file__).parent / "snapshots"
REWRITE_SNAPSHOTS = os.environ.get("MISSY_SNAPSHOTS") == "new"
KEY = "gsk_CANARY0123456789"
MODELS = json_response({"data": [{"id": "m-large"}, {"id": "m-small"}, {"id": "other"}]})
Script = list[tuple[str, str]]  # (what the screen shows at a question, the keys that answer it)

# Where the answers lead: each path, the answer to each of its questions given last
COMPATIBLE, GROQ, AZURE, OTHER = DOWN * 3 + ENTER, ENTER, DOWN * 8 + ENTER, UP + ENTER
SERVICE: Script = [
    ("Which provider?", COMPATIBLE),
    ("Which service?", GROQ),
    ("Name of the entry: groq", ENTER),
]
ENVIRONMENT: Script = [
    *SERVICE,
    ("Where should its key be stored?", ENTER),
    ("Name of the variable: GROQ_API_KEY", ENTER),
    ("Model:", f"llama{ENTER}"),
    ("Set up another entry?", ENTER),
    ("Is this right?", ENTER),
]
NETWORK: Script = [
    ("Which provider?", COMPATIBLE),
    ("Which service?", OTHER),
    ("Base URL:", f"http://192.168.7.7:8000/v1{ENTER}"),
    ("Allow it?", UP + ENTER),
]
VAULT: Script = [
    *SERVICE[:2],
    ("Name of the entry: groq", ENTER),
    ("There is an entry 'groq'.", UP + ENTER),
    ("Where should its key be stored?", DOWN + ENTER),
    ("The key (not shown):", KEY + ENTER),
    ("Check it now?", DOWN + ENTER),
    ("Model:", f"llama{ENTER}"),
    ("Set up another entry?", UP + ENTER),
    ("Which provider?", DOWN * 4 + ENTER),
    ("Name of the entry: local", ENTER),
    ("The model is not on this machine yet.", DOWN + ENTER),
    ("Set up another entry?", ENTER),
    ("Which one is the default?", ENTER),
    ("Is this right?", ENTER),
]
LOGIN: Script = [
    ("Which provider?", DOWN * 2 + ENTER),
    ("Name of the entry: openai-codex", ENTER),
    ("ChatGPT login:", DOWN * 2 + ENTER),
]
RESOURCE: Script = [
    ("Which provider?", COMPATIBLE),
    ("Which service?", AZURE),
    ("Host of the resource", ENTER),
]


def failing(url: str) -> Script:
    """The way to a server that refuses the key."""
    return [
        ("Which provider?", COMPATIBLE),
        ("Which service?", OTHER),
        ("Base URL:", url + ENTER),
        ("Name of the entry:", f"{CTRL_U}mine{ENTER}"),
        ("Where should its key be stored?", "vault" + ENTER),
        ("The key (not shown):", KEY + ENTER),
        ("Check it now?", ENTER),
        ("What now?", ""),
    ]


def answer(person: Person, script: Script) -> None:
    """Answer question after question, each once it is there."""
    for question, keys in script:
        person.see(question)
        person.press(keys)


def compare(name: str, text: str) -> None:
    """Compare a screen with its snapshot, which a person has checked; MISSY_SNAPSHOTS=new rewrites it."""
    file = SNAPSHOTS / f"{name}.txt"
    text = re.sub(r"(127\.0\.0\.1|localhost):\d{5}\b", r"\1:PPPPP", text) + "\n"
    if REWRITE_SNAPSHOTS:
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but the record of a look over the network, and the heads that it made."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: data for name, data in found.items() if not name.startswith(("audit.", "request-heads."))}


@pytest.fixture
def groq(missy: Command) -> Command:
    """A home with an entry that the wizard will find."""
    missy.config(
        "# mine\nproviders:\n  groq:  # the fast one\n    name: openai\n    model: old\n"
        "    base_url: https://api.groq.com/openai/v1\n    timeout: 7\n"
    )
    return missy


@pytest.mark.parametrize("columns", [80, 40])
def test_a_service_whose_key_is_in_the_environment(missy, columns):
    """Two minutes, eight questions: the file names the variable; only the service's host becomes reachable."""
    with Person(missy, "setup", columns=columns, rows=40) as person:
        for number, (question, keys) in enumerate(ENVIRONMENT):
            person.see(question, "" if question.endswith(("KEY", "groq", ":")) else "goes back")
            compare(f"environment-{columns}-{number}", person.terminal.text())
            assert not missy.home.exists()
            person.press(keys)
        assert person.end() == 0
        compare(f"environment-{columns}-end", person.terminal.text())
        assert person.modes() == person.before
    config = load(missy.home / "config.yaml")
    assert list(config.providers) == ["groq"]
    entry = config.entry()
    assert (entry.api_key, entry.model) == ("$GROQ_API_KEY", "llama")
    hosts = [row["host"] for row in missy("net", "list", "--json").json()]
    assert hosts == ["api.groq.com"]


def test_the_summary_offers_the_gateway(missy):
    """The last choice of the summary writes the entry, and offers it to other programs."""
    with Person(missy, "setup", rows=40) as person:
        answer(person, ENVIRONMENT[:-1])
        person.see("Is this right?")
        person.press("offer" + ENTER)
        person.see("missy keys create NAME, then missy serve")
        assert person.end() == 0
    assert load(missy.home / "config.yaml").serve.entries == ("groq",)


@pytest.mark.parametrize("columns", [80, 40])
def test_two_entries_in_one_run(groq, columns):
    """An entry is changed with its comment and timeout kept, the key sealed in the vault, the old file kept."""
    before = (groq.home / "config.yaml").read_bytes()
    with Person(groq, "setup", columns=columns, rows=60) as person:
        answer(person, VAULT[:-1])
        person.see("Is this right?", "goes back")
        compare(f"two-{columns}", person.terminal.text())
        assert contents(groq.home) == {"config.yaml": before}
        person.press(ENTER)
        assert person.end() == 0
        assert KEY not in person.raw
    config = load(groq.home / "config.yaml")
    assert list(config.providers) == ["groq", "local"]
    entry = config.providers["groq"]
    assert (entry.api_key, entry.model, entry.timeout) == ("vault://groq", "llama", 7)
    assert Vault(groq.home).get("groq").reveal() == KEY
    text = (groq.home / "config.yaml").read_text()
    assert text.startswith("# mine\n")
    assert "# the fast one" in text
    assert KEY not in text
    assert [p.read_bytes() for p in groq.home.glob("config.yaml.bak-*")] == [before]


@pytest.mark.parametrize("columns", [80, 40])
def test_the_key_is_checked_and_the_model_comes_from_the_live_list(missy, serve, columns):
    """A refused key can be given again; the second one works, and typing finds the model in the list."""
    server = serve(json_response({"error": {"message": "wrong key"}}, 401), MODELS)
    with Person(missy, "setup", columns=columns, rows=60) as person:
        script = failing(server.url)
        answer(person, script)
        person.see("What now?", "goes back")
        compare(f"failed-{columns}", person.terminal.text())
        assert not (missy.home / "config.yaml").exists()
        person.press(DOWN + ENTER)
        answer(person, [("> Missy's vault", f"needs{ENTER}"), ("It needs no key Check it now?", ENTER)])
        person.see("Which model?", "goes back")
        compare(f"model-{columns}", person.terminal.text())
        person.press("small")
        person.see("search: small")
        assert "m-large" not in person.terminal.shown()
        person.press(ENTER)
        answer(person, [("Set up another entry?", ENTER), ("Is this right?", ENTER)])
        assert person.end() == 0
        assert KEY not in person.raw
    entry = load(missy.home / "config.yaml").entry()
    assert (entry.entry, entry.model, entry.api_key, entry.base_url) == ("mine", "m-small", None, server.url)
    first, second = server.requests
    assert first.header("authorization") == f"Bearer {KEY}"
    assert second.header("authorization") is None
    assert not (missy.home / "secrets").exists()


def test_a_long_list_scrolls_in_a_small_window(missy, serve):
    """Three hundred models in twelve rows: what would be taken is always in sight, and what is typed finds it."""
    names = [f"model-{number:03}" for number in range(300)]
    server = serve(json_response({"data": [{"id": name} for name in names]}))
    with Person(missy, "setup", columns=40, rows=12) as person:
        answer(person, [*failing(server.url)[:-1], ("Which model?", DOWN * 20)])
        person.see("> model-020")
        person.press(UP * 21)
        person.see("> (another name)")
        person.press("29")
        screen = person.see("> model-029", "search: 29")
        assert "model-030" not in screen
        person.press("x")
        person.see("no match: 29x")
        person.press(ENTER, "\x7f", DOWN, ENTER)
        person.see("Which model? model-129")
        person.press(CTRL_C)
        assert person.end() == 130


def test_a_gateway_is_asked_for_what_only_the_user_knows(missy):
    """Portkey: which provider is behind it; its own key travels in a header, named and not asked for."""
    portkey = DOWN * 11 + ENTER
    with Person(missy, "setup", rows=60) as person:
        answer(person, [("Which provider?", COMPATIBLE), ("Which service?", portkey)])
        answer(
            person,
            [("Provider behind it", f"a b{ENTER}"), ("! that is no provider", f"{CTRL_U}@mine{ENTER}")],
        )
        answer(person, [("Name of the entry: portkey", ENTER), ("Where should its key be stored?", ENTER)])
        answer(person, [("Check it now?", DOWN + ENTER), ("Model:", f"gpt-4o{ENTER}")])
        answer(person, [("Set up another entry?", ENTER), ("headers: x-portkey-api-key", ENTER)])
        person.see("PORTKEY_API_KEY is not set here")
        assert person.end() == 0
    made = load(missy.home / "config.yaml").providers["portkey"]
    assert made.headers == (("x-portkey-api-key", "$PORTKEY_API_KEY"), ("x-portkey-provider", "@mine"))
    assert (made.base_url, made.api_key) == ("https://api.portkey.ai/v1", None)


def test_every_wrong_answer_is_told_and_asked_again(missy):
    """What is wrong is said, the question comes again with what was typed, and a key is never shown."""
    with Person(missy, "setup", rows=60) as person:
        answer(person, [*RESOURCE[:2], ("Host of the resource", f"two words{ENTER}")])
        answer(person, [("! no base URL", f"{CTRL_U}me.openai.azure.com{ENTER}")])
        answer(person, [("Name of the entry: azure", f" b{ENTER}"), ("! a name has", f"{CTRL_U}az{ENTER}")])
        answer(person, [("Where should its key be stored?", ENTER)])
        answer(person, [("Name of the variable: AZURE_OPENAI_API_KEY", f"{CTRL_U}{KEY.lower()}{ENTER}")])
        answer(
            person,
            [
                ("! that is not the name of a variable", ESC),
                ("Where should its key be stored?", "file" + ENTER),
            ],
        )
        answer(person, [("The key (not shown):", f"two words{ENTER}"), ("! that is text", f"$KEY{ENTER}")])
        answer(person, [("! that is a reference", KEY + ENTER), ("Check it now?", DOWN + ENTER)])
        answer(person, [("Model:", ENTER), ("! not the name of a model", f"dep{ENTER}")])
        answer(person, [("Set up another entry?", UP + ENTER), *NETWORK[:2]])
        for wrong in ("nonsense", "http://example.com/v1", "https://a.example/v1?x=1"):
            answer(person, [("Base URL:", f"{CTRL_U}{wrong}{ENTER}"), (f"Base URL: {wrong} ! ", "")])
        answer(person, [("Base URL:", f"{CTRL_U}http://10.1.2.3:8000/v1{ENTER}"), ("Allow it?", ENTER)])
        answer(person, [("Base URL:", f"{CTRL_U}http://10.1.2.3:8000/v1{ENTER}"), ("Allow it?", UP + ENTER)])
        answer(person, [("Name of the entry: 10.1.2.3", f"{CTRL_U}az{ENTER}")])
        answer(person, [("! 'az' is already set up in this run", f"{CTRL_U}lab{ENTER}")])
        answer(
            person, [("Where should its key be stored?", ENTER), ("Name of the variable: LAB_API_KEY", ENTER)]
        )
        answer(person, [("Model:", f"x{ENTER}"), ("Set up another entry?", ENTER)])
        answer(person, [("Which one is the default?", ENTER), ("Is this right?", ENTER)])
        assert person.end() == 0
        text = person.terminal.text()
        shown = " ".join(text.split())
        assert "the key will be readable in the file" in shown
        assert "http://10.1.2.3:8000" in shown
        assert "allowed_cidrs: 10.1.2.3/32" in shown
        assert KEY not in person.raw
    config = load(missy.home / "config.yaml")
    assert (config.default, config.network.allowed_cidrs) == ("az", ("10.1.2.3/32",))
    assert config.providers["az"].base_url == "https://me.openai.azure.com/openai/v1"
    assert config.providers["az"].api_key == KEY
    assert (missy.home / "config.yaml").stat().st_mode & 0o777 == 0o600


def test_back_leads_through_all_questions_to_the_first(missy):
    """Esc asks the question before again, up to the first; "no, back" at the summary does the same."""
    with Person(missy, "setup", rows=60) as person:
        answer(person, ENVIRONMENT[:-1])
        answer(person, [("Is this right?", DOWN + ENTER)])
        for question, _ in reversed(ENVIRONMENT[1:-1]):
            person.see(question)
            person.press(ESC)
        person.see(ENVIRONMENT[0][0])
        person.press(ESC)  # before the first there is none
        answer(person, ENVIRONMENT[:-1])
        answer(person, [("Is this right?", DOWN * 2 + ENTER)])
        assert person.end() == 0
        assert "Nothing was written." in person.terminal.text()
    assert not missy.home.exists()


ENDS: dict[str, Callable[[str], Script]] = {
    **{question: (lambda _url, end=end: ENVIRONMENT[:end]) for end, (question, _) in enumerate(ENVIRONMENT)},
    **{question: (lambda _url, end=end: VAULT[:end]) for end, (question, _) in enumerate(VAULT)},
    **{question: (lambda _url, end=end: NETWORK[:end]) for end, (question, _) in enumerate(NETWORK)},
    "ChatGPT login:": lambda _url: LOGIN[:-1],
    "Host of the resource": lambda _url: RESOURCE[:-1],
    "What now?": lambda url: failing(url)[:-1],
    "Which model?": lambda url: failing(url)[:-1],
}


@pytest.mark.parametrize("question", ENDS)
def test_ctrl_c_at_any_question_leaves_nothing_behind(groq, serve, question):
    """Exit 130, quietly; the files are as they were, and so is the terminal."""
    reply = MODELS if question == "Which model?" else json_response({}, 401)
    script = ENDS[question](serve(reply).url)
    if "There is an entry" not in str(script) + question:
        (groq.home / "config.yaml").unlink()
    before = contents(groq.home)
    with Person(groq, "setup", rows=60) as person:
        answer(person, [*script, (question, CTRL_C)])
        assert person.end() == 130
        assert "Traceback" not in person.raw
        assert person.modes() == person.before
        assert KEY not in person.raw
    assert contents(groq.home) == before


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda person: person.press(CTRL_D), 130),
        (lambda person: person.signal(signal.SIGINT), 130),
        (lambda person: person.signal(signal.SIGTERM), 143),
        (lambda person: person.signal(signal.SIGHUP), 129),
    ],
    ids=["end of input", "SIGINT", "SIGTERM", "SIGHUP"],
)
@pytest.mark.parametrize("question", ["Name of the entry: groq", "Where should its key be stored?"])
def test_signals_and_the_end_of_the_input_end_it_too(missy, act, code, question):
    """Whatever ends it, the terminal is left as it was found."""
    with Person(missy, "setup") as person:
        answer(person, [step for step in ENVIRONMENT if step[0] in {"Which provider?", "Which service?"}])
        if question.startswith("Where"):
            answer(person, [SERVICE[2]])
        person.see(question)
        act(person)
        assert person.end() == code
        assert person.modes() == person.before
    assert not missy.home.exists()


def test_what_is_typed_too_early_is_not_shown(missy):
    """A key that was pasted before its question came is taken, and never on the screen."""
    with Person(missy, "setup", rows=60) as person:
        person.see("Which provider?")
        keys = "".join(keys for _, keys in SERVICE) + DOWN + ENTER + KEY + ENTER + DOWN + ENTER
        person.press(keys)
        person.see("Model:")
        assert KEY not in person.raw
        person.press(CTRL_C)
        assert person.end() == 130


def test_a_login_is_a_part_of_it(missy, callback_ports):
    """The browser's login runs inside the wizard; then the account's own list of models is there to choose from."""
    with Simulator() as simulator:
        missy.config(simulator.config())
        with Person(missy, "setup", rows=60, columns=200, env={"BROWSER": "true", "DISPLAY": None}) as person:
            answer(person, [*LOGIN[:2], ("There is an entry", UP + ENTER), ("ChatGPT login:", ENTER)])
            person.see("waiting for the browser")
            address = re.search(r"http://127\.0\.0\.1\S+/oauth/authorize\S+", person.raw)
            assert address
            visit(address[0])
            answer(person, [("Check it now?", ENTER)])
            person.see("Which model?", "the account's own default")
            person.press(ENTER)
            answer(person, [("Set up another entry?", ENTER), ("Is this right?", ENTER)])
            assert person.end() == 0
        entry = load(missy.home / "config.yaml").entry("openai-codex")
        assert (entry.issuer, entry.endpoint, entry.model) == (simulator.issuer_url, simulator.base_url, None)
        assert missy("auth", "status", "--json").json()[0]["state"] == "valid"


@pytest.mark.parametrize(
    ("args", "env"),
    [([], {}), ([], {"TERM": "dumb"}), (["--entry", "x"], {})],
    ids=["no terminal", "dumb", "options"],
)
def test_where_it_cannot_run_it_says_what_can(missy, args, env):
    """Without a terminal, or with a script's options, exit 2 and --no-prompt named; nothing is written."""
    if env:
        with Person(missy, "setup", env=env) as person:
            assert person.end() == 2
            assert "--no-prompt" in person.terminal.text()
    else:
        done = missy("setup", *args)
        assert (done.code, "--no-prompt" in done.err, done.out) == (2, True, b"")
    assert not missy.home.exists()


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads a process's signals from /proc")
@pytest.mark.parametrize("pause", [0, 0.01, 0.03, 0.06, 0.1, 0.15])
def test_ctrl_c_while_it_loads_ends_it(missy, pause):
    """Ctrl-C counts from the first moment, even if the parent process had it ignored: 130, and nothing written."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Person(missy, "setup") as person:
            while person.process.poll() is None and _ignores_sigint(person.process.pid):
                person._read(0.002)
            person._read(pause)  # wherever that is, while it loads or at its first question
            person.press(CTRL_C)
            assert person.end() == 130
            assert "Traceback" not in person.raw
            assert person.modes() == person.before
    finally:
        signal.signal(signal.SIGINT, before)
    assert not (missy.home / "config.yaml").exists()


def _ignores_sigint(pid: int) -> bool:
    """Tell whether a process has SIGINT ignored now."""
    (line,) = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigIgn:")
    ]
    return bool(int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1)


def test_a_server_that_wants_a_key_after_all(missy, serve):
    """After a 401 the choice begins at a place for a key, and an empty line is reported in the wizard's words."""
    server = serve(json_response({"error": {"message": "no key"}}, 401))
    with Person(missy, "setup", rows=40) as person:
        answer(
            person,
            [
                ("Which provider?", COMPATIBLE),
                ("Which service?", OTHER),
                ("Base URL:", server.url + ENTER),
                ("Name of the entry:", f"{CTRL_U}mine{ENTER}"),
                ("> It needs no key", ENTER),
                ("Check it now?", ENTER),
                ("What now?", DOWN + ENTER),
                ("> The environment", DOWN + ENTER),
                ("The key (not shown):", ENTER),
                ('! nothing was typed; Esc goes back to "It needs no key"', CTRL_C),
            ],
        )
        assert person.end() == 130


def test_a_base_url_without_its_v1_is_mended(missy, serve):
    """Where BASE/v1 lists models and BASE does not, the wizard offers it, and writes what was taken."""

    def reply(request, _wire):
        if request.path == "/v1/models":
            return json_response({"data": [{"id": "m-large"}]})
        return json_response({"error": {"message": "unknown path"}}, 404)

    server = serve(reply)
    origin = server.url.removesuffix("/v1")
    with Person(missy, "setup", rows=40) as person:
        answer(
            person,
            [
                ("Which provider?", COMPATIBLE),
                ("Which service?", OTHER),
                ("Base URL:", origin + ENTER),
                ("Name of the entry:", f"{CTRL_U}mine{ENTER}"),
                ("> It needs no key", ENTER),
                ("Check it now?", ENTER),
                (f"Take {origin}/v1?", ENTER),
                ("> m-large", ENTER),
                ("Set up another entry?", ENTER),
                ("Is this right?", ENTER),
            ],
        )
        assert person.end() == 0
    assert load(missy.home / "config.yaml").providers["mine"].base_url == f"{origin}/v1"
