"""What holds for every sign-in with a browser, whoever the issuer is: each test runs with each kind of login."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.command import Command
from tests.simulator import Fault, Simulator
from tests.simulator.browser import callback_of, get, visit
from tests.simulator.siwc import SiwcSimulator
from tests.simulator.siwc_issuer import TOKEN

pytestmark = pytest.mark.slow


class Anyone:
    """Somebody at a shell with a simulator of one kind of login."""

    def __init__(self, shell: Command, simulator: Any, kind: str, token: str, file: str) -> None:
        self.shell = shell
        self.simulator = simulator
        self.kind = kind
        self.token = token
        self.path: Path = shell.home / "secrets" / file

    @contextmanager
    def signing_in(self, *options: str, **popen: Any) -> Iterator[tuple[subprocess.Popen, str]]:
        """Start a sign-in and give its process and the address that it printed."""
        words = ("auth", "login", self.kind, "--no-open", *options)
        process = self.shell.start(*words, **{"stdin": subprocess.PIPE, **popen})
        try:
            yield process, process.stdout.readline().decode().rstrip("\n")
        finally:
            process.kill()
            process.communicate()

    def log_in(self) -> tuple[int, str, str]:
        with self.signing_in(stdin=subprocess.DEVNULL) as (process, address):
            self.visit(address)
            return end(process)

    def visit(self, address: str) -> None:
        getattr(self.simulator, "visit", visit)(address)

    def callback_of(self, address: str) -> str:
        found: str = getattr(self.simulator, "callback_of", callback_of)(address)
        return found


@pytest.fixture(params=["openai-codex", "chatgpt"])
def anyone(request: pytest.FixtureRequest, missy: Command, tmp_path: Path) -> Iterator[Anyone]:
    if request.param == "chatgpt":
        with SiwcSimulator(tmp_path) as siwc:
            missy.config({"network": siwc.network})
            yield Anyone(missy, siwc, request.param, TOKEN, "chatgpt-accounts.json")
        return
    request.getfixturevalue("callback_ports")
    with Simulator() as simulator:
        missy.config(simulator.config())
        yield Anyone(missy, simulator, request.param, "/oauth/token", "openai-oauth.json")


def end(process: subprocess.Popen, text: bytes | None = None) -> tuple[int, str, str]:
    out, err = process.communicate(text, timeout=60)
    return process.returncode, out.decode(), err.decode()


def redirect_of(address: str) -> str:
    """Return where the sign-in page sends the browser in the end."""
    return parse_qs(urlsplit(address).query)["redirect_uri"][0]


def test_stdin_that_stays_open_does_not_hang_the_end(anyone):
    """After the browser's answer the command ends, even if stdin is still open."""
    with anyone.signing_in() as (process, address):
        anyone.visit(address)
        assert process.wait(60) == 0


def test_paste_without_input_ends(anyone):
    """If stdin is closed, --paste is an error (4) and does not wait."""
    ran = anyone.shell("auth", "login", anyone.kind, "--paste", "--no-open")
    assert (ran.code, "the input ended" in ran.err) == (4, True)


def test_wrong_callbacks_do_not_end_the_wait(anyone):
    """A favicon, a cancel, a forged state and a wrong method are answered; no token request is made for them."""
    with anyone.signing_in(stdin=subprocess.DEVNULL) as (process, address):
        base = redirect_of(address).removesuffix("/auth/callback")
        for path in (
            "/favicon.ico",
            "/cancel",
            "/",
            "/auth/callback?code=ac_x&state=forged",
            "/auth/callback?error=access_denied",
        ):
            assert get(base + path)[0] in (400, 404)
        assert get(anyone.callback_of(address), method="HEAD")[0] == 405
        assert anyone.simulator.count(anyone.token) == 0
        assert process.poll() is None
        anyone.visit(address)
        assert end(process)[0] == 0
    assert anyone.simulator.count(anyone.token) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_wait_quietly(anyone, number, code):
    """Ctrl-C and SIGTERM: no traceback, the port is free, nothing is stored."""
    with anyone.signing_in() as (process, address):
        process.send_signal(number)
        ended, _, err = end(process)
    assert ended == code
    assert "Traceback" not in err
    assert not anyone.path.exists()
    with socket.create_server(("127.0.0.1", urlsplit(redirect_of(address)).port)):
        pass


@pytest.mark.parametrize(
    "fault", [Fault(400, {"error": "invalid_grant"}), Fault(500), Fault(200, {}), Fault(200, b"{", cut=1)]
)
def test_a_failed_exchange_keeps_the_old_login(anyone, fault):
    """The code is sent once, and the login that was there stays."""
    anyone.log_in()
    before = anyone.path.read_bytes()
    anyone.simulator.issuer.faults.add(anyone.token, fault, times=None)
    code, _, err = anyone.log_in()
    assert code == (4 if fault.status == 400 else 5)
    assert "Traceback" not in err
    assert anyone.path.read_bytes() == before
    assert anyone.simulator.count(anyone.token, grant_type="authorization_code") == 2
