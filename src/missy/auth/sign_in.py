"""The two ways to sign in: with a browser that is redirected back to this machine, or with a device code."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from missy.auth.inbox import PASTE, SIGN_IN_SECONDS
from missy.auth.loopback import PORTS, Listener, PortsTaken
from missy.auth.oauth import DEVICE_LIFE, Grant, Tokens
from missy.auth.pkce import new_pair, new_state
from missy.errors import CredentialError, ProviderError
from missy.secrets.redact import Secret

if TYPE_CHECKING:
    from missy.auth.inbox import SignInInbox
    from missy.auth.oauth import Issuer
    from missy.auth.prompter import Prompter

_MAX_POLL_FAILURES = 5  # in a row, before a pairing gives up
_SLOW_DOWN_SECONDS = 5  # RFC 8628, section 3.5: `slow_down` adds this to the interval


def sign_in(
    issuer: Issuer,
    prompter: Prompter,
    inbox: SignInInbox,
    *,
    paste: bool,
    timeout: float = SIGN_IN_SECONDS,
) -> Tokens:
    """Sign in with a browser, on this machine or another, and return the tokens.

    `paste`: no port is opened, the user pastes the browser's last address. `timeout` is in seconds.
    Raises CredentialError if the user or the issuer refuses, and the errors of `Issuer.exchange`.
    """
    pair, state = new_pair(), new_state()
    listener = None if paste else listen(state, prompter, inbox, PORTS)
    try:
        redirect_uri = listener.redirect_uri if listener else f"http://127.0.0.1:{PORTS[0]}/auth/callback"
        prompter.show_address(issuer.authorize_url(pair, state, redirect_uri))
        tell_to_wait(prompter, listener)
        code = inbox.wait(state, pasted_only=listener is None, timeout=timeout).code
        assert code is not None
        return issuer.exchange(Grant(code, Secret(pair.verifier), redirect_uri))
    finally:
        if listener is not None:
            listener.close()


def tell_to_wait(prompter: Prompter, listener: Listener | None) -> None:
    """Say how the sign-in goes on."""
    port = f"waiting for the browser on port {listener.port}; or " if listener else ""
    prompter.notice(f"{port}{PASTE}:")


def pair_device(issuer: Issuer, prompter: Prompter) -> Tokens:
    """Sign in with a code that is typed in on another device, and return the tokens.

    Raises CredentialError if it is refused or expires, and ProviderError after several failures in a row.
    """
    prompter.notice(
        "device codes must be allowed: ChatGPT > Settings > Security > device code authorization for Codex"
    )
    device = issuer.start_device()
    prompter.show_code(device.page, device.user_code, DEVICE_LIFE // 60)
    end, pause, failures = time.monotonic() + DEVICE_LIFE, device.interval, 0
    while time.monotonic() < end:
        time.sleep(pause)
        try:
            found = issuer.poll_device(device)
        except ProviderError:
            failures += 1
            if failures >= _MAX_POLL_FAILURES:
                raise
            continue
        failures = 0
        if isinstance(found, Grant):
            return issuer.exchange(found)
        pause += _SLOW_DOWN_SECONDS if found == "slow_down" else 0
    raise CredentialError("the device code has expired", hint="start again: missy auth login --device")


def listen(state: str, prompter: Prompter, inbox: SignInInbox, ports: tuple[int, ...]) -> Listener | None:
    """Start the listener for the browser, or say that every port is taken: then the result is pasted."""
    try:
        return Listener(state, inbox.put, ports)
    except PortsTaken as error:
        prompter.notice(f"{error.message}; paste the browser's last address instead")
        return None
