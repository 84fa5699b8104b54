"""One sign-in with the browser: a first one, which registers Missy, or a later one of a known registration.

The order is what loses nothing: the id of this machine is saved before the page is shown, an issued client id before
the code is exchanged, and the account only with a verified identity.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from missy.auth.callback import PATH
from missy.auth.loopback import ANY_PORT
from missy.auth.oauth import Grant
from missy.auth.pkce import new_pair, new_state
from missy.auth.sign_in import listen, tell_to_wait
from missy.auth.siwc import store
from missy.auth.siwc.id_token import Keys, verify
from missy.auth.siwc.issuer import ISSUER, REGISTERING, Authorize
from missy.auth.siwc.refusals import denied
from missy.errors import CredentialError, MissyError, ProviderError
from missy.secrets.redact import Secret

if TYPE_CHECKING:
    from missy.auth.callback import CallbackResult
    from missy.auth.inbox import SignInInbox
    from missy.auth.prompter import Prompter
    from missy.auth.siwc.account import Account
    from missy.auth.siwc.id_token import Identity
    from missy.auth.siwc.issuer import Issuer
    from missy.auth.siwc.token_reply import TokenReply

_KEY_TRIES = 3  # for the issuer's keys, since the code is used up by then
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A finished sign-in: whose registration, verified identity, tokens."""

    client_id: str
    identity: Identity
    reply: TokenReply


def sign_in(
    issuer: Issuer,
    prompter: Prompter,
    inbox: SignInInbox,
    *,
    known: Account | None,
    client_id: str | None,
    host_id: str,
    paste: bool,
    consent: bool,
) -> SignedIn:
    """Sign in with a browser, on this machine or another.

    `known` is the account that signs in again, `client_id` a registration without an account yet; without both Missy is
    registered. Raises CredentialError if the person or the issuer refuses, or if another account answers.
    """
    hint = known if known is not None and known.id_token else None
    attempt = Authorize(
        new_pair(),
        new_state(),
        new_state(),
        host_id,
        known.client_id if known else client_id,
        consent,
        hint.id_token if hint else None,
        hint.email if hint else None,
    )
    result, redirect_uri = _browse(attempt, prompter, inbox, paste=paste)
    issued = _issued(result, attempt.client_id)
    if attempt.client_id is None:
        store.save_pending(issued)
    assert result.code is not None
    grant = Grant(result.code, Secret(attempt.pair.verifier), redirect_uri)
    reply = issuer.exchange(issued, grant, time.time())
    try:
        return SignedIn(issued, _verified(issuer, reply, issued, attempt.nonce, known), reply)
    except MissyError:
        give_back(issuer, issued, reply, prompter)
        raise


def _browse(
    attempt: Authorize, prompter: Prompter, inbox: SignInInbox, *, paste: bool
) -> tuple[CallbackResult, str]:
    """Send the person to the sign-in page, and wait for the result."""
    listener = None if paste else listen(attempt.state, prompter, inbox, ANY_PORT)
    try:
        redirect_uri = listener.redirect_uri if listener else f"http://127.0.0.1:{_free_port()}{PATH}"
        hinted = attempt.hinted(redirect_uri)
        if listener is not None and hinted is not None:
            prompter.show_address(attempt.url(redirect_uri), shortcut=listener.forward_once(hinted))
        else:
            prompter.show_address(attempt.url(redirect_uri))
        tell_to_wait(prompter, listener)
        result = inbox.wait(
            attempt.state, pasted_only=listener is None, redirect_uri=redirect_uri, denied=denied
        )
        return result, redirect_uri
    finally:
        if listener is not None:
            listener.close()


def _free_port() -> int:
    """Return a port of this machine that nobody uses, for an address at which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _issued(result: CallbackResult, client_id: str | None) -> str:
    """Return the client id to exchange the code with. Raises CredentialError; nothing is stored then."""
    if result.issuer and result.issuer != ISSUER:
        raise CredentialError(
            "the answer is not from the issuer", hint="start again: missy auth login chatgpt"
        )
    if client_id is not None:
        if result.client_id not in ("", client_id):
            raise CredentialError(
                "the browser answered for another registration of Missy; nothing was changed",
                hint="sign in again, or to add an account: missy auth login chatgpt --new",
            )
        return client_id
    if result.client_id == REGISTERING or not store.CLIENT_ID.fullmatch(result.client_id):
        raise CredentialError(
            "the registration is not complete: the answer names no client id",
            hint="start again, and paste the whole address: missy auth login chatgpt",
        )
    return result.client_id


def _verified(
    issuer: Issuer, reply: TokenReply, client_id: str, nonce: str, known: Account | None
) -> Identity:
    assert reply.id is not None
    keys = Keys(issuer.keys)
    for left in reversed(range(_KEY_TRIES)):
        try:
            return verify(
                reply.id,
                keys,
                client_id=client_id,
                now=reply.received_at,
                nonce=nonce,
                subject=known.subject if known else None,
            )
        except ProviderError as error:  # the issuer's keys, not the token
            if not left:
                error.hint = "nothing was stored; sign in again in a moment: missy auth login chatgpt"
                raise
            time.sleep(_PAUSE_SECONDS)
    raise AssertionError("the last try returns or raises")


def give_back(issuer: Issuer, client_id: str, reply: TokenReply, prompter: Prompter) -> None:
    """Revoke tokens that nobody keeps; if that fails they end by themselves."""
    if reply.refresh is not None:
        try:
            issuer.revoke(client_id, reply.refresh)
        except MissyError as error:
            prompter.notice(f"the new sign-in was not stored, but could not be revoked: {error.message}")
