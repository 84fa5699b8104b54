"""`missy auth` and `missy usage`, the real command against the simulator."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from missy.audit import Audit
from missy.auth.inbox import SignInInbox
from missy.auth.oauth import Issuer
from missy.auth.sign_in import sign_in
from missy.cli.login.prompter import TerminalPrompter
from missy.errors import CredentialError
from missy.net.door import Door
from missy.policy import Policy, Rules
from tests.command import Command, read_until
from tests.simulator import BACKEND_ROWS, ISSUER_ROWS, Account, Fault, Simulator
from tests.simulator.browser import callback_of, visit

pytestmark = pytest.mark.slow

ADA = Account()
BOB = Account("5d2c2a6e-0000-4000-8000-000000000002", "bob@example.com", "team")
PORTS = (1455, 1457)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as one:
        yield one


@pytest.fixture
def shell(missy: Command, simulator: Simulator, callback_ports: None) -> Command:
    missy.config(simulator.config())
    return missy


def login_path(missy: Command) -> Path:
    return missy.home / "secrets" / "openai-oauth.json"


@contextmanager
def signing_in(
    missy: Command, *options: str, browse: bool = False, **popen
) -> Iterator[tuple[subprocess.Popen, str]]:
    """Start a login and give its process and the address that it printed."""
    flags = options if browse or "--no-open" in options else ("--no-open", *options)
    process = missy.start("auth", "login", *flags, **{"stdin": subprocess.PIPE, **popen})
    try:
        yield process, process.stdout.readline().decode().rstrip("\n")
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen, text: bytes | None = None) -> tuple[int, str, str]:
    out, err = process.communicate(text, timeout=60)
    return process.returncode, out.decode(), err.decode()


def log_in(missy: Command, *options: str) -> tuple[int, str, str]:
    with signing_in(missy, *options, stdin=subprocess.DEVNULL) as (process, address):
        visit(address)
        return end(process)


def status(missy: Command, *options: str) -> dict:
    return missy("auth", "status", "--json", *options).json()[0]


def test_a_login_prints_its_address_alone_and_then_who_it_is(shell, simulator):
    """The address is one line of stdout; afterwards e-mail, plan and account; the file is private."""
    code, out, err = log_in(shell)
    assert code == 0, err
    for said in (ADA.email, "plus", ADA.id):
        assert said in out
    path = login_path(shell)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    row = status(shell)
    assert row.pop("expires_at").endswith("Z")
    assert row == {"entry": "openai-codex", "logged_in": True, "email": ADA.email, "plan": "plus",
                   "account_id": ADA.id, "state": "valid", "limits": None}  # fmt: skip
    secrets = [*simulator.issuer.refresh_tokens, *simulator.issuer.access_tokens]
    for text in (out, err, (shell.home / "audit.jsonl").read_text()):
        assert not [secret for secret in secrets if secret in text]


def test_a_login_under_the_true_names_goes_through_the_proxy_alone(missy, tmp_path, callback_ports):
    """No entry in the config is needed; only the two hosts are asked for; limits and logout work the same way."""
    with Simulator(tls_folder=tmp_path) as simulator:
        network = {"proxy": simulator.proxy_url, "ca_bundle": str(simulator.ca_bundle)}
        missy.config({"network": network})
        with signing_in(missy, stdin=subprocess.DEVNULL) as (process, address):
            assert address.startswith("https://auth.openai.com/oauth/authorize?")
            visit(
                address.replace("https://auth.openai.com", simulator.issuer_origin.url), simulator.ca_bundle
            )
            code, _, err = end(process)
        assert code == 0, err
        assert "now has an entry openai-codex" in err
        assert "add an entry" not in err
        assert status(missy, "--refresh")["limits"]["plan"] == "plus"
        assert missy("auth", "logout").code == 0
        assert set(simulator.proxy.asked) == {"auth.openai.com:443", "chatgpt.com:443"}
        assert {request.headers["host"] for request in simulator.backend_origin.journal} == {"chatgpt.com"}


@pytest.mark.parametrize("form", ["address", "code#state", "query"])
@pytest.mark.parametrize("options", [(), ("--paste",)])
def test_a_paste_finishes_the_login_and_a_wrong_one_does_not(shell, simulator, form, options):
    """What belongs to another sign-in is refused with the reason and the wait goes on; --paste listens on no port."""
    with signing_in(shell, *options) as (process, address):
        if options:
            with socket.create_server(("127.0.0.1", 1455)):
                pass
        back = callback_of(address)
        fields = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
        right = {
            "address": back,
            "code#state": f"{fields['code']}#{fields['state']}",
            "query": urlsplit(back).query,
        }
        wrong = [
            fields["code"],
            f"{fields['code']}#other",
            back.replace(fields["state"], "x" * 43),
            "",
            "hello",
        ]
        code, out, err = end(process, "\n".join([*wrong, right[form], ""]).encode())
    assert code == 0, err
    assert err.count("is not the result of this sign-in") == 4
    assert "a code alone cannot be checked" in err
    assert ADA.email in out
    assert simulator.count("/oauth/token") == 1


@pytest.mark.parametrize(
    ("denied", "said"),
    [
        (("access_denied", "The user said no"), "The user said no"),
        (("access_denied", "missing_codex_entitlement"), "workspace"),
    ],
)
def test_a_refusal_in_the_browser_ends_with_4_and_keeps_the_old_login(shell, simulator, denied, said):
    """The reason is shown; the login that was there is still there."""
    log_in(shell)
    before = login_path(shell).read_bytes()
    simulator.issuer.denied = denied
    code, _, err = log_in(shell)
    assert code == 4
    assert said in err
    assert login_path(shell).read_bytes() == before


def test_nobody_signs_in(simulator, tmp_path, monkeypatch):
    """When the time is up: 4."""
    issuer = Issuer(simulator.issuer_url, Door(Policy(Rules()), Audit(tmp_path / "audit.jsonl")), "codex")
    reader, writer = os.pipe()
    with os.fdopen(reader) as stdin, os.fdopen(writer, "w"):
        monkeypatch.setattr("sys.stdin", stdin)
        prompter = TerminalPrompter(open_browser=False)
        with SignInInbox(prompter) as inbox, pytest.raises(CredentialError, match="in time"):
            sign_in(issuer, prompter, inbox, paste=True, timeout=0.1)


def test_a_second_account_is_asked_about(shell, simulator):
    """No keeps the first login and gives the second back; yes and --yes replace it."""
    log_in(shell)
    first = login_path(shell).read_bytes()
    simulator.issuer.account = BOB
    code, _, err = log_in(shell)  # nobody there to say yes
    assert code == 4
    assert ADA.email in err
    assert BOB.email in err
    with signing_in(shell) as (process, address):
        visit(address)
        read_until(process.stderr, b"[y/N]")
        assert end(process, b"n\n")[0] == 4
    assert login_path(shell).read_bytes() == first
    assert simulator.count("/oauth/revoke") == 2
    with signing_in(shell) as (process, address):
        visit(address)
        read_until(process.stderr, b"[y/N]")
        assert end(process, b"y\n")[0] == 0
    assert status(shell)["email"] == BOB.email
    simulator.issuer.account = ADA
    assert log_in(shell, "--yes")[0] == 0
    assert status(shell)["email"] == ADA.email


def test_the_same_account_is_not_asked_about(shell):
    """Logging in again just replaces the login."""
    log_in(shell)
    before = login_path(shell).read_bytes()
    assert log_in(shell)[0] == 0
    assert login_path(shell).read_bytes() != before


def test_with_one_port_taken_the_other_is_used(shell):
    """The holder of 1455 is sent nothing."""
    with socket.create_server(("127.0.0.1", 1455)) as holder:
        with signing_in(shell, stdin=subprocess.DEVNULL) as (process, address):
            assert "127.0.0.1%3A1457%2F" in address
            visit(address)
            assert end(process)[0] == 0
        holder.setblocking(False)
        with pytest.raises(BlockingIOError):
            holder.accept()


def test_with_both_ports_taken_the_answer_is_pasted(shell):
    """If both ports are taken, a notice says so, and a paste finishes the login."""
    with (
        socket.create_server(("127.0.0.1", 1455)),
        socket.create_server(("127.0.0.1", 1457)),
        signing_in(shell) as (process, address),
    ):
        code, _, err = end(process, callback_of(address).encode() + b"\n")
    assert code == 0
    assert "1455 and 1457 on 127.0.0.1 are in use" in err


def test_a_device_code_logs_in(shell, simulator):
    """The page is the line of stdout, the code is on stderr, the setting is named before; waiting is not an error."""
    with signing_in(shell, "--device") as (process, address):
        assert address == f"{simulator.issuer_url}/codex/device"
        code, out, err = end(process)
    assert code == 0, err
    assert ADA.email in out
    assert err.index("Security") < err.index("enter the code")
    assert simulator.count("/deviceauth/token") == 2


def test_a_denied_device_ends_with_4(shell, simulator):
    """And so does an issuer that has device codes switched off."""
    simulator.issuer.device_word = "access_denied"
    with signing_in(shell, "--device") as (process, _):
        code, _, err = end(process)
    assert (code, "denied" in err) == (4, True)
    simulator.issuer.device_enabled = False
    ran = shell("auth", "login", "--device")
    assert (ran.code, "security settings" in ran.err) == (4, True)


BROWSER = """#!/bin/sh
printf '%s\\n' "$1" > {log}.tmp
env >> {log}.tmp
mv {log}.tmp {log}
echo noise
"""


@pytest.mark.parametrize(
    ("browser", "env", "options", "opened"),
    [
        ("xdg-open", {"DISPLAY": ":9"}, (), True),
        ("xdg-open", {"WAYLAND_DISPLAY": "wayland-9"}, (), True),
        ("xdg-open", {"DISPLAY": ":9"}, ("--no-open",), False),
        ("xdg-open", {}, (), False),
        ("xdg-open", {"WSL_DISTRO_NAME": "Ubuntu"}, (), False),
        ("wslview", {"WSL_DISTRO_NAME": "Ubuntu"}, (), True),
        ("wslview", {"WSL_DISTRO_NAME": "Ubuntu", "SSH_TTY": "/dev/pts/9"}, (), False),
        ("xdg-open", {"DISPLAY": ":9", "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, (), False),
        ("$BROWSER", {}, (), True),
        ("$BROWSER", {}, ("--no-open",), False),
        ("$BROWSER", {"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, (), True),
    ],
)
def test_a_browser_opens_where_there_is_one(shell, tmp_path, monkeypatch, browser, env, options, opened):
    """$BROWSER wherever it is set, else where it would be seen; it inherits no key and cannot write to our output."""
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_TTY", "WSL_DISTRO_NAME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "bin").mkdir()
    script, log = tmp_path / "bin" / browser.strip("$"), tmp_path / "opened"
    script.write_text(BROWSER.format(log=log))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    if browser == "$BROWSER":
        monkeypatch.setenv("BROWSER", str(script))
    monkeypatch.setenv("SOME_API_KEY", "canary-key-000000")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with signing_in(shell, *options, browse=True, stdin=subprocess.DEVNULL) as (process, address):
        limit = time.monotonic() + 60
        while opened and not log.exists() and time.monotonic() < limit:
            time.sleep(0.01)
        visit(address)
        code, out, err = end(process)
    assert code == 0
    assert log.exists() is opened
    assert "noise" not in out + err
    if opened:
        first, _, environment = log.read_text().partition("\n")
        assert first == address
        assert "canary" not in environment
    if "SSH_CONNECTION" in env:
        assert "ssh -L 1455:127.0.0.1:1455" in err


STATES: dict[str, Callable[[Simulator], None]] = {
    "valid": lambda simulator: None,
    "near_expiry": lambda simulator: setattr(simulator.issuer, "lifetime", 100),
    "expired": lambda simulator: setattr(simulator.issuer, "lifetime", -5),
}


@pytest.mark.parametrize("state", STATES)
def test_status_tells_the_state_and_sends_nothing(shell, simulator, state):
    """Status comes only from the file, as JSON and as text; no DNS lookup and no connection."""
    STATES[state](simulator)
    log_in(shell)
    before, sent = login_path(shell).read_bytes(), len(simulator.journal)
    shell.trace.unlink()
    assert status(shell)["state"] == state
    ran = shell("auth", "status")
    assert ADA.email in ran.text
    assert len(simulator.journal) == sent
    assert shell.attempts() == []
    assert login_path(shell).read_bytes() == before


def test_status_without_and_with_a_broken_login(shell):
    """No login and a broken login are distinguished, exit 0; the broken file is named, kept, and replaced by the next login."""
    empty = {
        "logged_in": False,
        "email": None,
        "plan": None,
        "account_id": None,
        "expires_at": None,
        "limits": None,
    }
    assert status(shell) == {"entry": "openai-codex", "state": "none", **empty}
    login_path(shell).parent.mkdir(mode=0o700, exist_ok=True)
    login_path(shell).write_bytes(b'{"issuer": "http')
    login_path(shell).chmod(0o600)
    ran = shell("auth", "status", "--json")
    assert (ran.code, ran.json()) == (0, [{"entry": "openai-codex", "state": "broken", **empty}])
    assert str(login_path(shell)) in ran.err
    assert login_path(shell).read_bytes() == b'{"issuer": "http'
    assert shell("usage").code == 4
    assert log_in(shell)[0] == 0
    assert status(shell)["state"] == "valid"


def test_status_refresh_renews_once_and_shows_the_limits(shell, simulator):
    """A login that has ended is renewed by --refresh, and only by it."""
    simulator.issuer.lifetime = -5
    log_in(shell)
    simulator.issuer.lifetime = 3600
    assert status(shell)["state"] == "expired"
    assert simulator.renewals == 0
    row = status(shell, "--refresh")
    assert (row["state"], simulator.renewals) == ("valid", 1)
    assert row["limits"] == {
        "plan": "plus",
        "limit_reached": False,
        "primary": {"used_percent": 12.5, "window_minutes": 300, "resets_at": 4_000_000_000},
        "secondary": {"used_percent": 40, "window_minutes": 10_080, "resets_at": 4_000_000_000},
        "credits": {"has_credits": False, "unlimited": False, "balance": "0"},
    }


def test_status_refresh_that_fails_still_shows_the_status(shell, simulator):
    """The rows come first, then the error and its code."""
    log_in(shell)
    simulator.backend_faults.add("/backend-api/wham/usage", Fault(500), times=None)
    ran = shell("auth", "status", "--json", "--refresh")
    assert ran.code == 5
    assert (ran.json()[0]["state"], ran.json()[0]["limits"]) == ("valid", None)


def test_usage_shows_both_windows(shell, simulator):
    """In words with local times, and as JSON."""
    log_in(shell)
    ran = shell("usage")
    assert ran.code == 0
    assert "12.5 % used of 5 hours" in ran.text
    assert "40 % used of 7 days" in ran.text
    assert time.strftime("%Y", time.localtime(4_000_000_000)) in ran.text
    row = shell("usage", "--json", "--provider", "openai-codex").json()["limits"][0]
    assert (row["entry"], row["limits"]["primary"]["used_percent"]) == ("openai-codex", 12.5)
    sent = simulator.backend_origin.journal[-1]
    assert sent.headers["chatgpt-account-id"] == ADA.id


def test_usage_on_a_401_renews_once_and_retries_once(shell, simulator):
    """A token that the backend refuses is renewed; a backend that refuses everything is asked twice and no more."""
    log_in(shell)
    simulator.backend_faults.add("/backend-api/wham/usage", Fault(401, {"detail": "no"}))
    assert shell("usage").code == 0
    assert simulator.renewals == 1
    simulator.backend_faults.add("/backend-api/wham/usage", Fault(401, {"detail": "no"}), times=None)
    ran = shell("usage")
    assert ran.code == 4
    assert simulator.renewals == 2
    assert simulator.count("/wham/usage") == 4
    assert status(shell)["state"] == "valid"  # one page's refusal does not end the login


def test_an_issuer_that_the_policy_refuses_is_told_before_the_sign_in(missy):
    """3, on record, and no address to open: its code could never be exchanged."""
    missy.config("providers:\n  sub: {name: openai-codex, issuer: 'http://issuer.example'}\n")
    for way in ("--paste", "--device", "--no-open"):
        done = missy("auth", "login", way)
        assert (done.code, done.text) == (3, "")
        assert "https" in done.err
    lines = [json.loads(line) for line in (missy.home / "audit.jsonl").read_text().splitlines()]
    assert [(line["host"], line["event"]) for line in lines] == [("issuer.example", "refused")] * 3


@pytest.mark.parametrize(
    ("fault", "code"),
    [(Fault(403, b"<html>Just a moment...</html>", {"cf-mitigated": "challenge"}), 5), (Fault(429, {"error": {"message": "slow"}}), 7),
     (Fault(403, {"detail": {"code": "invalid_workspace_selected"}}), 4), (Fault(200, b"[]"), 5), (Fault(302, b"", {"location": "http://127.0.0.1:9/"}), 5)],
)  # fmt: skip
def test_usage_errors_have_their_codes(shell, simulator, fault, code):
    """A firewall's page is not a refused credential; a redirect is not followed; a 403 is not a reason to renew."""
    log_in(shell)
    simulator.backend_faults.add("/backend-api/wham/usage", fault, times=None)
    assert shell("usage").code == code
    assert simulator.renewals == 0


def test_logout_revokes_and_deletes(shell, simulator):
    """The issuer forgets the refresh token; then the file goes; logging out twice is not an error."""
    log_in(shell)
    token = json.loads(login_path(shell).read_bytes())["refresh_token"]
    assert shell("auth", "logout").code == 0
    assert simulator.issuer.refresh_tokens[token].revoked
    assert not login_path(shell).exists()
    ran = shell("auth", "logout")
    assert (ran.code, ran.text.strip()) == (0, "not logged in")
    assert shell("usage").code == 4


@pytest.mark.parametrize("fault", [Fault(500), Fault(403, b"<html>"), Fault(200, b"", cut=0)])
def test_logout_deletes_although_the_revocation_fails(shell, simulator, fault):
    """It says so."""
    log_in(shell)
    simulator.issuer_faults.add("/oauth/revoke", fault, times=None)
    ran = shell("auth", "logout")
    if fault.cut is None:
        assert "could not be revoked" in ran.err
    assert ran.code == 0
    assert not login_path(shell).exists()


def test_logout_deletes_a_broken_login(shell, simulator):
    """What cannot be read cannot be revoked, and that is said."""
    login_path(shell).parent.mkdir(mode=0o700)
    login_path(shell).write_bytes(b"{")
    ran = shell("auth", "logout")
    assert (ran.code, "broken" in ran.err, login_path(shell).exists()) == (0, True, False)
    assert simulator.journal == []


def test_the_entry_must_be_one_with_a_login(shell, simulator):
    """An unknown name, another kind and a choice between two are errors of use (2)."""
    assert shell("auth", "status", "opnai-codex").code == 2
    two = simulator.config() + simulator.config().split("\n", 1)[1].replace("  openai-codex:", "  second:")
    shell.config(two + "  plain:\n    name: openai\n    api_key: sk-000000\n")
    ran = shell("auth", "login", "plain")
    assert (ran.code, "kind openai" in ran.err) == (2, True)
    ran = shell("auth", "login")
    assert (ran.code, "openai-codex, second" in ran.err) == (2, True)
    assert [row["entry"] for row in shell("auth", "status", "--json").json()] == ["openai-codex", "second"]
    assert log_in(shell, "second")[0] == 0
    assert shell("auth", "login", "--device", "--paste", "second").code == 2


def test_a_disabled_entry_is_not_logged_in(shell, simulator):
    """2, before anybody is sent to a browser."""
    shell.config(simulator.config().replace("    issuer", "    enabled: false\n    issuer"))
    for words in (("openai-codex",), ()):
        ran = shell("auth", "login", *words)
        assert (ran.code, ran.text) == (2, "")
    assert simulator.journal == []


def test_no_secret_is_in_what_fifty_failing_runs_with_debug_print(shell, simulator):
    """Tokens and codes are in no output, traceback, audit line or error, whatever fails."""
    simulator.issuer.lifetime = -5
    log_in(shell)
    seen = []
    for fault, _ in ISSUER_ROWS.values():
        for words in (("usage",), ("auth", "status", "--refresh")):
            simulator.issuer_faults.add("/oauth/token", fault)
            ran = shell.inside("--debug", *words)
            assert ran.code in (4, 5, 7), (fault, ran.err)
            seen += [ran.text, ran.err]
    simulator.issuer.lifetime = 3600
    shell.inside("auth", "status", "--refresh")
    for fault, code in BACKEND_ROWS.values():
        simulator.backend_faults.add("/backend-api/wham/usage", fault, times=2)
        ran = shell.inside("--debug", "usage")
        simulator.backend_faults.clear()
        assert ran.code in (code, 4, 5), (fault, ran.err)
        seen += [ran.text, ran.err]
    assert len(seen) >= 100
    everything = "\n".join([*seen, (shell.home / "audit.jsonl").read_text()])
    assert "Traceback" in everything
    secrets = [*simulator.issuer.refresh_tokens, *simulator.issuer.access_tokens, *simulator.issuer.codes]
    assert len(secrets) >= 5
    assert not [secret for secret in secrets if secret in everything]
    for secret in secrets:  # nor a part of one that could be used
        assert secret[-40:] not in everything
