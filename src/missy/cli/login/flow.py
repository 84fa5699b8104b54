"""The sign-in as a person sees it: an address to open, a wait that ends well, a question where there is one."""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING

from missy.auth.callback import Answer, NotOurs, read_paste
from missy.auth.loopback import PORTS, Listener, PortsTaken
from missy.auth.oauth import DEVICE_LIFE, Grant, Tokens
from missy.auth.pkce import new_pair, new_state
from missy.auth.refusals import sign_in_denied
from missy.cli.app import emit, notice
from missy.cli.login.stdin_lines import Typed
from missy.errors import CredentialError, ProviderError
from missy.secrets.redact import Secret

if TYPE_CHECKING:
    from missy.auth.oauth import Issuer

WAIT = 5 * 60.0  # seconds that a person has to sign in
_PASTE = "paste the address that the browser ends at, or code#state, here"
_POLL_FAILURES = 5  # in a row, before a pairing gives up


class Desk:
    """Where the answer of a sign-in arrives: from the callback or from the keyboard, whichever is first."""

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[Answer | str | None] = queue.SimpleQueue()
        self._early: str | None = None
        self._ended = False
        self._typed = Typed(self._arrived.put)

    def __enter__(self) -> Desk:  # noqa: PYI034
        return self

    def __exit__(self, *_exc: object) -> None:
        self._typed.close()

    def take(self, answer: Answer) -> None:
        """Put in the answer that the browser brought."""
        self._arrived.put(answer)

    def wait(self, state: str, *, pasted_only: bool, timeout: float = WAIT) -> Secret:
        """Return the code of this sign-in. Raises CredentialError when it was refused or nothing came in time."""
        end = time.monotonic() + timeout
        while True:
            arrived = self._next(end)
            if arrived is None:
                if pasted_only:
                    raise CredentialError("the input ended before an address was pasted", hint=f"{_PASTE}")
                continue
            answer = self._read(arrived, state) if isinstance(arrived, str) else arrived
            if answer is not None and answer.code is None:
                raise sign_in_denied(answer.error, answer.description)
            if answer is not None and answer.code is not None:
                return answer.code

    def agrees(self, question: str, timeout: float = WAIT) -> bool:
        """Ask a question that is answered with yes or no; the end of the input, or silence, is a no."""
        notice(question)
        if self._early is not None:
            return self._early.startswith("y")
        end = time.monotonic() + timeout
        while not self._ended:
            try:
                arrived = self._next(end)
            except CredentialError:
                return False
            if isinstance(arrived, str):
                return arrived.lower() in ("y", "yes")
        return False

    def _next(self, end: float) -> Answer | str | None:
        try:
            arrived = self._arrived.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            raise CredentialError(
                "nobody finished the sign-in in time", hint="start again: missy auth login"
            ) from None
        self._ended = self._ended or arrived is None
        return arrived

    def _read(self, line: str, state: str) -> Answer | None:
        if line.lower() in ("y", "yes", "n", "no"):  # piped in before the question
            self._early = line.lower()
        elif line:
            try:
                return read_paste(line, state)
            except NotOurs as error:
                notice(f"that is not the answer to this sign-in: {error}")
        return None


def sign_in(issuer: Issuer, desk: Desk, *, paste: bool, open_browser: bool, timeout: float = WAIT) -> Tokens:
    """Sign in with a browser, here or elsewhere, and return the tokens. Raises what the issuer and the person do."""
    pair, state = new_pair(), new_state()
    listener = None if paste else _listen(state, desk)
    try:
        redirect_uri = listener.redirect_uri if listener else f"http://127.0.0.1:{PORTS[0]}/auth/callback"
        _show(issuer.authorize_url(pair, state, redirect_uri), open_browser=open_browser)
        port = f"waiting for the browser on port {listener.port}; or " if listener else ""
        notice(f"{port}{_PASTE}:")
        code = desk.wait(state, pasted_only=listener is None, timeout=timeout)
        return issuer.exchange(Grant(code, Secret(pair.verifier), redirect_uri))
    finally:
        if listener is not None:
            listener.close()


def pair_device(issuer: Issuer) -> Tokens:
    """Sign in with a code that is typed in on another device, and return the tokens."""
    notice(
        "device codes must be allowed: ChatGPT > Settings > Security > device code authorization for Codex"
    )
    device = issuer.start_device()
    emit(device.page)
    _flush()
    notice(f"open that address and enter the code {device.user_code} (good for {DEVICE_LIFE // 60} minutes)")
    end, pause, failures = time.monotonic() + DEVICE_LIFE, device.interval, 0
    while time.monotonic() < end:
        time.sleep(pause)
        try:
            found = issuer.poll_device(device)
        except ProviderError:
            failures += 1
            if failures >= _POLL_FAILURES:
                raise
            continue
        failures = 0
        if isinstance(found, Grant):
            return issuer.exchange(found)
        pause += 5 if found == "slow_down" else 0
    raise CredentialError("the device code ran out", hint="start again: missy auth login --device")


def _listen(state: str, desk: Desk) -> Listener | None:
    try:
        return Listener(state, desk.take)
    except PortsTaken as error:
        notice(f"{error.message}; the browser's answer must be pasted")
        return None


def _show(url: str, *, open_browser: bool) -> None:
    """Print the address alone on one line, never wrapped, so that it can be clicked and copied."""
    import os

    from missy.auth import browser

    emit(url)
    _flush()
    if open_browser and not browser.is_headless() and browser.open_page(url):
        notice("a browser was opened on the address above")
    else:
        notice("open the address above in a browser")
    if os.environ.get("SSH_CONNECTION"):
        ports = " ".join(f"-L {port}:127.0.0.1:{port}" for port in PORTS)
        notice(f"over SSH: connect with `ssh {ports} ...`, or paste, or use --device")


def _flush() -> None:
    import sys

    sys.stdout.flush()
