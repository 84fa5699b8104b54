"""`missy auth` with Sign in with ChatGPT, the real command under the true host names, behind the CONNECT proxy."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli.person import ENTER, Person
from tests.command import Command
from tests.simulator import Fault
from tests.simulator.browser import get
from tests.simulator.siwc import SiwcSimulator
from tests.simulator.siwc_issuer import AUTHORIZE, JWKS, PLAN_SCOPE, REVOKE, TOKEN
from tests.simulator.siwc_issuer import Person as Human

pytestmark = pytest.mark.slow

ADA, BOB = Human(), Human("user-bob", "bob@example.com")
USAGE = "https://chatgpt.com/settings/usage"


@pytest.fixture
def siwc(tmp_path) -> Iterator[SiwcSimulator]:
    with SiwcSimulator(tmp_path) as one:
        yield one


@pytest.fixture
def shell(missy: Command, siwc: SiwcSimulator) -> Iterator[Command]:
    """A home that knows the way to the simulator and has no entry. Only the two hosts may be asked for."""
    missy.config({"network": siwc.network})
    yield missy
    assert set(siwc.proxy.asked) <= {"auth.openai.com:443", "api.openai.com:443"}
    assert not [line for line in missy.attempts() if ".com" in line]  # no name is looked up here


@contextmanager
def signing_in(
    missy: Command, *options: str, browse: bool = False, **popen
) -> Iterator[tuple[subprocess.Popen, str]]:
    """Start a sign-in and give its process and the address that it printed."""
    flags = options if browse else ("--no-open", *options)
    process = missy.start("auth", "login", "chatgpt", *flags, **{"stdin": subprocess.PIPE, **popen})
    try:
        yield process, process.stdout.readline().decode().rstrip("\n")
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen, text: bytes | None = None) -> tuple[int, str, str]:
    out, err = process.communicate(text, timeout=60)
    return process.returncode, out.decode(), err.decode()


def log_in(missy: Command, siwc: SiwcSimulator, *options: str) -> tuple[int, str, str]:
    with signing_in(missy, *options, stdin=subprocess.DEVNULL) as (process, address):
        siwc.visit(address)
        return end(process)


def stored(missy: Command, name: str = "accounts") -> dict:
    return json.loads((missy.home / "secrets" / f"chatgpt-{name}.json").read_bytes())


def account(missy: Command) -> dict:
    """The account in use, as the file has it."""
    found = stored(missy)
    return found["accounts"][found["active"]]


def query(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def status(missy: Command) -> dict:
    return missy("auth", "status", "--json").json()[0]


def test_a_first_sign_in_registers_missy_and_a_later_one_does_not(shell, siwc):
    """The name, the host id and a free port of 127.0.0.1; then the issued client id, and the address holds no hint."""
    with signing_in(shell, stdin=subprocess.DEVNULL) as (process, address):
        first = query(address)
        host = stored(shell, "host")["ext_agent_host_id"]  # made and saved before the page is shown
        siwc.visit(address)
        code, out, err = end(process)
    assert code == 0, err
    assert ADA.email in out
    assert (first["client_id"], first["agent_name_hint"]) == ("dynamic_agent_client", "Missy")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/auth/callback", first["redirect_uri"])
    (client_id, (name, sent)) = next(iter(siwc.issuer.clients.items()))
    assert (name, sent) == ("Missy", host)
    with signing_in(shell, stdin=subprocess.DEVNULL) as (process, address):
        later = query(address)
        siwc.visit(address)
        assert end(process)[0] == 0
    assert (later["client_id"], later["ext_agent_host_id"]) == (client_id, host)
    assert {"agent_name_hint", "id_token_hint", "login_hint", "prompt"}.isdisjoint(later)
    assert "eyJ" not in address
    assert later["redirect_uri"] != first["redirect_uri"]
    assert len(siwc.issuer.clients) == 1
    for path in (shell.home / "secrets").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert (shell.home / "secrets").stat().st_mode & 0o777 == 0o700


def test_the_notice_comes_once_and_the_plan_is_named_with_every_answer(shell, siwc):
    """What a person must be told: after the first sign-in with the plan, and while it is used."""
    _, _, err = log_in(shell, siwc)
    assert "You're using your ChatGPT plan" in err
    assert USAGE in err
    assert "now has an entry chatgpt" in err
    assert "You're using" not in log_in(shell, siwc)[2]
    for _ in range(2):
        ran = shell("ask", "hi")
        assert (ran.code, ran.text) == (0, "Hello from the simulator.\n"), ran.err
        assert ran.err == f"missy: Using ChatGPT plan · {USAGE}\n"
    record = (shell.home / "audit.jsonl").read_text()
    secrets = [*siwc.issuer.families, *siwc.issuer.access_tokens, *siwc.issuer.codes]
    for text in (ran.err, ran.text, err, record):
        assert not [secret for secret in secrets if secret in text]
    assert "eyJ" not in record
    assert "authorize" not in record


BROWSER = """#!/bin/sh
printf '%s\\n' "$1" > {log}.tmp
mv {log}.tmp {log}
"""


def test_the_browser_is_named_the_account_and_its_arguments_are_not(shell, siwc, tmp_path, monkeypatch):
    """A later sign-in hints at the account; the token is neither printed nor in the arguments of a program, and given once."""
    log_in(shell, siwc)
    token = account(shell)["id_token"]
    log, script = tmp_path / "opened", tmp_path / "browser"
    script.write_text(BROWSER.format(log=log))
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(script))
    with signing_in(shell, browse=True, stdin=subprocess.DEVNULL) as (process, address):
        limit = time.monotonic() + 60
        while not log.exists() and time.monotonic() < limit:
            time.sleep(0.01)
        opened = log.read_text().strip()
        assert "eyJ" not in opened + address
        code, headers, text = get(opened)
        assert (code, token in headers["location"], "eyJ" in text) == (302, True, False)
        assert query(headers["location"])["id_token_hint"] == token
        assert get(opened)[0] == 404
        siwc.visit(headers["location"])
        code, out, err = end(process)
    assert code == 0
    assert "eyJ" not in out + err
    assert siwc.issuer.hints[-1] == {"id_token_hint": token, "login_hint": ADA.email}


@pytest.mark.parametrize("refresh", [True, False])
def test_a_declined_plan_keeps_the_sign_in(shell, siwc, refresh):
    """With and without a refresh token: signed in, told what to do, no answer; --enable-plan asks again and all is well."""
    siwc.issuer.declines = frozenset({PLAN_SCOPE} if refresh else {PLAN_SCOPE, "offline_access"})
    code, out, err = log_in(shell, siwc)
    assert code == 0, err
    assert "plan use is off" in out
    assert "--enable-plan" in err
    assert "You're using" not in err
    row = status(shell)
    assert (row["logged_in"], row["plan_enabled"], row["email"]) == (True, False, ADA.email)
    ran = shell("ask", "hi")
    assert (ran.code, "--enable-plan" in ran.err, "Using ChatGPT plan" in ran.err) == (4, True, False)
    row = shell("providers", "--json").json()[0]
    assert (row["ready"], "--enable-plan" in row["reason"]) == (False, True)
    doctor = shell("doctor", "--provider", "chatgpt")
    assert (doctor.code, "--enable-plan" in doctor.text) == (4, True)
    assert siwc.count("/v1/responses") == siwc.count("/v1/models") == 0
    siwc.issuer.declines = frozenset()
    with signing_in(shell, "--enable-plan", stdin=subprocess.DEVNULL) as (process, address):
        assert query(address)["prompt"] == "consent"
        siwc.visit(address)
        code, _, err = end(process)
    assert (code, "You're using your ChatGPT plan" in err) == (0, True)
    assert shell("ask", "hi").code == 0
    assert len(siwc.issuer.clients) == 1


def test_another_person_changes_nothing(shell, siwc):
    """The account swap: the browser signs in somebody else, and the stored account stays, byte for byte."""
    log_in(shell, siwc)
    before = (shell.home / "secrets" / "chatgpt-accounts.json").read_bytes()
    siwc.issuer.person = BOB
    code, _, err = log_in(shell, siwc)
    assert (code, "another account signed in" in err) == (4, True)
    assert (shell.home / "secrets" / "chatgpt-accounts.json").read_bytes() == before
    assert siwc.count(REVOKE) == 1  # what was given is given back
    assert shell("ask", "hi").code == 0


WRONG_CALLBACKS = {
    "another registration": ({"client_id": "oaiapp_other"}, 4), "another issuer": ({"iss": "https://evil.example"}, 4),
    "the issuer itself": ({"iss": "https://auth.openai.com"}, 0), "something new": ({"session_state": "x"}, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_CALLBACKS)
def test_what_a_later_callback_may_say_besides(shell, siwc, name):
    """A foreign client id or issuer ends the sign-in and changes nothing; unknown fields are passed over."""
    log_in(shell, siwc)
    before = (shell.home / "secrets" / "chatgpt-accounts.json").read_bytes()
    siwc.issuer.callback, expected = WRONG_CALLBACKS[name]
    assert log_in(shell, siwc)[0] == expected
    if expected:
        assert (shell.home / "secrets" / "chatgpt-accounts.json").read_bytes() == before
        assert siwc.count(TOKEN, grant_type="authorization_code") == 1


@pytest.mark.parametrize("client_id", [None, "dynamic_agent_client", "", "a b", "x" * 201])
def test_a_registration_without_a_client_id_is_not_complete(shell, siwc, client_id):
    """4, nothing is exchanged and nothing is stored but the host id."""
    siwc.issuer.callback = {"client_id": client_id}
    code, _, err = log_in(shell, siwc)
    assert (code, "names no client id" in err) == (4, True)
    assert siwc.count(TOKEN) == 0
    assert not (shell.home / "secrets" / "chatgpt-accounts.json").exists()


FAILURES = {
    "refused": (TOKEN, Fault(400, {"error": "invalid_grant"}), 4), "broken": (TOKEN, Fault(500), 5),
    "no scope": (TOKEN, Fault(200, {"access_token": "a", "id_token": "b", "token_type": "Bearer"}), 5),
    "no token": (TOKEN, Fault(200, {"scope": "openid"}), 5), "keys down": (JWKS, Fault(503), 5),
    "keys gone": (JWKS, Fault(200, {"keys": []}), 4), "a page": (TOKEN, Fault(200, b"<html>hotel</html>"), 5),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
def test_a_sign_in_that_fails_after_the_registration_does_not_register_again(shell, siwc, name):
    """The issued client id is saved before the exchange; the next sign-in uses it, and it is forgotten then."""
    path, fault, expected = FAILURES[name]
    siwc.issuer.faults.add(path, fault, times=None)
    code, _, err = log_in(shell, siwc)
    assert code == expected, err
    assert "Traceback" not in err
    assert stored(shell, "pending")["client_id"] in siwc.issuer.clients
    assert not (shell.home / "secrets" / "chatgpt-accounts.json").exists()
    siwc.issuer.faults.clear()
    assert log_in(shell, siwc)[0] == 0
    assert len(siwc.issuer.clients) == 1
    assert not (shell.home / "secrets" / "chatgpt-pending.json").exists()


@pytest.mark.parametrize(
    "change", [{"claims": {"nonce": "other"}}, {"claims": {"aud": ["x"]}}, {"claims": {"iss": "https://x.example"}},
               {"claims": {"exp": 5}}, {"head": {"alg": "none"}}, {"key": 2}], ids=repr,
)  # fmt: skip
def test_an_id_token_that_is_not_valid_is_no_sign_in(shell, siwc, change):
    """Nothing is stored, and what was given is given back."""
    for name, value in change.items():
        setattr(siwc.issuer, name, value)
    code, _, err = log_in(shell, siwc)
    assert (code, "ID token is not valid" in err) == (4, True)
    assert not (shell.home / "secrets" / "chatgpt-accounts.json").exists()
    assert siwc.count(REVOKE) == 1


@pytest.mark.parametrize("left_out", ["refresh_token", "access_token", "scope"])
def test_a_sign_in_without_all_of_its_tokens_is_none(shell, siwc, left_out):
    """A reply without a token, without its scope, or without the refresh token of that scope is exit 5, and nothing is kept."""
    siwc.issuer.omit = frozenset({left_out})
    code, _, err = log_in(shell, siwc)
    assert code == 5, err
    assert "lacks a" in err
    assert not (shell.home / "secrets" / "chatgpt-accounts.json").exists() or not stored(shell)["accounts"]
    siwc.issuer.omit = frozenset()
    assert log_in(shell, siwc)[0] == 0


def test_a_decline_in_the_browser_is_4_and_nothing_is_exchanged(shell, siwc):
    """The state is checked, the reason told, the other ways named."""
    siwc.issuer.denied = ("access_denied", "The user said no")
    code, _, err = log_in(shell, siwc)
    assert (code, "declined" in err, "missy setup" in err) == (4, True, True)
    assert siwc.count(TOKEN) == 0


def test_a_paste_finishes_a_sign_in_and_a_wrong_one_does_not(shell, siwc):
    """--paste opens no port; the whole address is needed for a registration, with this sign-in's port and state."""
    with signing_in(shell, "--paste") as (process, address):
        port = int(urlsplit(query(address)["redirect_uri"]).port or 0)
        with socket.create_server(("127.0.0.1", port)):
            pass
        back = siwc.callback_of(address)
        fields = query(back)
        wrong = [
            fields["code"], back.replace(f":{port}/", ":1455/"), back.replace("http:", "https:"), f"{back}&code=two",
            back.replace("127.0.0.1", "localhost"), back.replace(fields["state"], "x" * 43), f"{back}&client_id=two", "hello",
        ]  # fmt: skip
        code, out, err = end(process, "\n".join([*wrong, back, ""]).encode())
    assert code == 0, err
    assert err.count("is not the result of this sign-in") == len(wrong)
    assert ADA.email in out
    assert siwc.count(TOKEN) == 1


def test_accounts_are_kept_side_by_side_and_chosen_by_hand(shell, siwc):
    """A second one is not used before `auth use`; the same e-mail gets a label of its own; logging out switches nothing."""
    log_in(shell, siwc)
    siwc.issuer.person = Human("user-ada-at-work", ADA.email)
    code, _, err = log_in(shell, siwc, "--new")
    assert (code, "missy auth use ada@example.com-2" in err) == (0, True)
    first, second = list(stored(shell)["accounts"])
    assert (status(shell)["account_id"], len(siwc.issuer.clients)) == (first, 2)
    assert (
        stored(shell)["accounts"][first]["ext_agent_host_id"]
        == stored(shell)["accounts"][second]["ext_agent_host_id"]
    )
    assert [row["label"] for row in status(shell)["accounts"]] == [ADA.email, f"{ADA.email}-2"]
    assert shell("auth", "use", "nobody@example.com").code == 2
    assert "ada@example.com-2" in shell("auth", "use", "ada@example.com-2").text
    assert status(shell)["account_id"] == second
    assert "ada@example.com-2" in shell("ask", "hi").err  # several: the one in use is named
    assert shell("auth", "logout", "chatgpt").text == "logged out\n"
    assert (status(shell)["logged_in"], stored(shell)["active"]) == (False, second)
    ran = shell("ask", "hi")
    assert (ran.code, "is signed out" in ran.err) == (4, True)
    assert shell("auth", "use", ADA.email).code == 0
    assert shell("ask", "hi").code == 0
    siwc.issuer.person = ADA
    assert log_in(shell, siwc, "--account", ADA.email)[0] == 0
    assert siwc.issuer.hints[-1] == {}  # --no-open: no browser here, no hint


def test_logout_revokes_and_keeps_the_registration(shell, siwc):
    """The tokens are gone from the file, the next sign-in uses the same client id, with no hint at all."""
    log_in(shell, siwc)
    tokens = [account(shell)[name] for name in ("access_token", "refresh_token", "id_token")]
    client_id = stored(shell)["active"]
    assert shell("auth", "logout", "chatgpt").code == 0
    text = (shell.home / "secrets" / "chatgpt-accounts.json").read_text()
    assert not [token for token in tokens if token in text]
    assert siwc.issuer.families[tokens[1]].ended
    assert shell("auth", "logout", "chatgpt").text == "not logged in\n"
    assert log_in(shell, siwc)[0] == 0
    assert stored(shell)["active"] == client_id


@pytest.mark.parametrize("fault", [Fault(500), Fault(200, cut=0)], ids=["500", "cut"])
def test_a_revocation_that_is_not_confirmed_is_said_so(shell, siwc, fault):
    """A few tries, then the tokens are deleted here, and the place to disconnect is named."""
    log_in(shell, siwc)
    siwc.issuer.faults.add(REVOKE, fault, times=None)
    ran = shell("auth", "logout", "chatgpt")
    assert ran.code == 0
    assert "not confirmed" in ran.err
    assert "disconnect Missy" in ran.err
    assert siwc.count(REVOKE) == 3
    assert "refresh_token" not in account(shell)


def test_a_sign_in_moves_to_a_machine_without_a_browser(shell, siwc, tmp_path):
    """It keeps that machine's host id; this one does not use it any more; nothing is printed to a terminal."""
    log_in(shell, siwc)
    exported = shell("auth", "export")
    assert exported.code == 0
    assert "handed over" in exported.err
    assert stored(shell, "host")["ext_agent_host_id"].encode() not in exported.out
    server = Command(tmp_path / "server", shell.trace)
    server.config({"network": siwc.network})
    env = {"MISSY_HOME": str(server.home)}
    assert server("auth", "import", stdin=b"{}", env=env).code == 2
    taken = server("auth", "import", stdin=exported.out, env=env)
    assert (taken.code, taken.text) == (0, f"{ADA.email} is stored here\n"), taken.err
    there = json.loads((server.home / "secrets" / "chatgpt-accounts.json").read_bytes())
    host = json.loads((server.home / "secrets" / "chatgpt-host.json").read_bytes())["ext_agent_host_id"]
    assert next(iter(there["accounts"].values()))["ext_agent_host_id"] == host
    assert host != stored(shell, "host")["ext_agent_host_id"]
    assert server("ask", "hi", env=env).code == 0
    ran = shell("ask", "hi")
    assert (ran.code, "handed over" in ran.err) == (4, True)
    assert shell("auth", "logout", "chatgpt").code == 0
    assert siwc.count(REVOKE) == 0  # it is the other machine's now
    assert server("ask", "hi", env=env).code == 0


def test_an_export_that_does_not_arrive_keeps_the_sign_in(shell, siwc):
    """The reader is gone: this machine goes on."""
    log_in(shell, siwc)
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert shell("auth", "export", stdout=writer).code != 0
    finally:
        os.close(writer)
    assert shell("ask", "hi").code == 0


def test_no_secret_goes_to_a_terminal_and_no_terminal_is_read(shell, siwc):
    """`auth export` wants a pipe, and says how."""
    log_in(shell, siwc)
    leader, follower = os.openpty()
    ran = shell("auth", "export", stdout=follower)
    os.close(follower)
    os.close(leader)
    assert (ran.code, "ssh" in ran.err) == (2, True)
    assert "handed_over_at" not in account(shell)


@pytest.mark.parametrize(
    ("words", "said"),
    [(("auth", "login", "chatgpt", "--device"), "has no --device"), (("auth", "login", "chatgpt", "--yes"), "side by side"),
     (("auth", "login", "openai-codex", "--new"), "takes no --new"), (("auth", "login", "chatgpt", "--new", "--account", "x"), "exclude"),
     (("auth", "logout", "openai-codex", "--account", "x"), "has one account")],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_options_of_the_other_login_are_wrong_use(shell, words, said):
    """2, with the reason; nothing is sent."""
    ran = shell(*words)
    assert (ran.code, said in ran.err) == (2, True), ran.err
    assert not shell.attempts()


def test_an_issuer_that_names_another_origin_is_not_followed(shell, siwc):
    """A discovery document that leads elsewhere ends the sign-in; nothing is sent there."""
    wrong = {"issuer": "https://auth.openai.com", "jwks_uri": "https://evil.example/jwks"}
    siwc.issuer.faults.add("/.well-known/openid-configuration", Fault(200, wrong), times=None)
    code, _, err = log_in(shell, siwc)
    assert (code, "names another origin" in err) == (5, True)


def test_the_sign_in_page_is_strict(siwc):
    """The simulator refuses a page request that lacks a field, has one too many, or another redirect."""
    assert get(siwc.local(f"https://auth.openai.com{AUTHORIZE}?client_id=x"), roots=siwc.ca_bundle)[0] == 400


def test_the_wizard_offers_it_first_and_asks_again_where_the_plan_is_declined(shell, siwc):
    """`Continue with ChatGPT`; no device code; after a declined plan: allow it, or later."""
    siwc.issuer.declines = frozenset({PLAN_SCOPE})
    with Person(shell, "setup", rows=60) as person:
        person.see("Which provider?", "> Continue with ChatGPT")
        for question in ("Which provider?", "Name of the entry: chatgpt", "ChatGPT login:"):
            person.see(question)
            person.press(ENTER)
        assert "a code on another device" not in person.raw.split("ChatGPT login:")[-1]
        person.see("waiting for the browser")
        siwc.visit(re.findall(r"https://auth\.openai\.com/\S+", person.raw)[-1])
        person.see("the plan may not be used", "Allow the use of the plan")
        siwc.issuer.declines = frozenset()
        person.press(ENTER)
        asked = r"https://auth\.openai\.com/\S+prompt=consent"
        person.until(lambda: re.search(asked, person.raw) is not None)
        siwc.visit(re.findall(asked, person.raw)[-1])
        person.see("Check it now?")
        person.press(ENTER)
        for question in ("Which model?", "Set up another entry?", "Is this right?"):
            person.see(question)
            person.press(ENTER)
        assert person.end() == 0
    assert shell("ask", "hi").code == 0


def test_a_bare_login_says_that_there_is_another_way(shell):
    """Without an entry `auth login` is that of openai-codex, as it was, and OpenAI's own way is named."""
    with shell.start("auth", "login", "--paste", "--no-open", stdin=subprocess.DEVNULL) as process:
        _, err = process.communicate(timeout=60)
    assert b"missy auth login chatgpt" in err
