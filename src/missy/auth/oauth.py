"""The issuer's side of a login: the address to sign in at, and the calls that exchange, renew, pair and revoke.

Every call goes through the door it is given. It must never follow a redirect, send a token to any address but the
issuer's own, or put a secret into a URL.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from missy._version import __version__
from missy.auth.refusals import (
    TokenRefused,
    blocked,
    exchange_refused,
    is_page,
    read_error,
    read_object,
    renewal_refused,
    unavailable,
)
from missy.errors import BadReply
from missy.secrets.redact import Secret

if TYPE_CHECKING:
    from missy.auth.pkce import Pair
    from missy.net.door import Door, Reply

ISSUER = "https://auth.openai.com"
CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"  # public: the one that subscription clients share
SCOPE = "openid profile email offline_access"
ORIGINATOR = "missy"
DEVICE_LIFE = 15 * 60  # seconds that the issuer gives a device code

TIMEOUT_SECONDS = 30.0
REVOKE_TIMEOUT_SECONDS = 10.0
MAX_REPLY_BYTES = 256 * 1024
MAX_TOKEN_CHARS = 32 * 1024


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the issuer gave; a renewal may leave out what did not change."""

    access: Secret | None
    refresh: Secret | None
    id: Secret | None


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """A pairing under way: the person types `user_code` at `page`; ask every `interval` seconds whether they did."""

    id: Secret
    user_code: str
    interval: float
    page: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A code that can be exchanged, with the verifier and the redirect address that belong to it."""

    code: Secret
    verifier: Secret
    redirect_uri: str


class Issuer:
    """One issuer, reached through `door` on behalf of config entry `entry`.

    Calls raise TokenRefused for good (4), ProviderError and its kin for a failure that may pass (5), PolicyError (3).
    """

    def __init__(self, url: str | None, door: Door, entry: str) -> None:
        self.url = (url or ISSUER).rstrip("/")
        self._door = door
        self._entry = entry

    def authorize_url(self, pair: Pair, state: str, redirect_uri: str) -> str:
        """Return the address to open in a browser. Its fields have the order that the issuer's own client uses."""
        fields = {
            "response_type": "code",
            "client_id": CLIENT_ID,
            "redirect_uri": redirect_uri,
            "code_challenge": pair.challenge,
            "code_challenge_method": "S256",
            "state": state,
            "scope": SCOPE,
            "id_token_add_organizations": "true",
            "codex_cli_simplified_flow": "true",
            "originator": ORIGINATOR,
        }
        return f"{self.url}/oauth/authorize?{urlencode(fields)}"

    def exchange(self, grant: Grant) -> Tokens:
        """Trade a code for a login; all three tokens must come. A code works once, so this is never repeated."""
        fields = {
            "grant_type": "authorization_code",
            "client_id": CLIENT_ID,
            "code": grant.code.reveal(),
            "redirect_uri": grant.redirect_uri,
            "code_verifier": grant.verifier.reveal(),
        }
        kind = "application/x-www-form-urlencoded"
        reply = self._post("/oauth/token", kind, urlencode(fields).encode())
        if reply.status != 200:
            raise exchange_refused(reply)
        tokens = _read_tokens(read_object(reply, "answer to the sign-in"))
        if tokens.access is None or tokens.refresh is None or tokens.id is None:
            raise BadReply(
                "the issuer's answer to the sign-in lacks a token",
                hint="start again: missy auth login",
                status=reply.status,
            )
        return tokens

    def renew(self, refresh: Secret) -> Tokens:
        """Spend a refresh token, which works once, on new tokens. What the answer leaves out stays as it was."""
        fields = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": refresh.reveal()}
        reply = self._post_json("/oauth/token", fields)
        if reply.status != 200:
            raise renewal_refused(reply)
        return _usable_tokens(read_object(reply, "renewed login"))

    def revoke(self, refresh: Secret) -> None:
        """Tell the issuer to forget a refresh token. Raises when it does not say that it did."""
        fields = {"token": refresh.reveal(), "token_type_hint": "refresh_token", "client_id": CLIENT_ID}
        reply = self._post_json("/oauth/revoke", fields, timeout=REVOKE_TIMEOUT_SECONDS)
        if not 200 <= reply.status < 300:
            raise blocked(reply) if is_page(reply) else unavailable(reply, "revoke the login")

    def start_device(self) -> DeviceCode:
        """Begin a pairing. Raises TokenRefused where device codes are not allowed."""
        reply = self._post_json("/api/accounts/deviceauth/usercode", {"client_id": CLIENT_ID})
        if is_page(reply) and reply.status in (403, 503):
            raise blocked(reply)
        if reply.status in (403, 404):
            raise TokenRefused(
                "this issuer or account does not allow device codes",
                hint="allow 'device code authorization for Codex' in ChatGPT's security settings, or log in with --paste",
                status=reply.status,
            )
        if reply.status != 200:
            raise unavailable(reply, "start the pairing")
        fields = read_object(reply, "device code")
        user_code = fields.get("user_code") or fields.get("usercode")
        if not _is_plain(user_code):
            raise BadReply(
                "the issuer's device code is not readable", hint="try again, or log in with --paste"
            )
        return DeviceCode(
            _token(fields, "device_auth_id", needed=True) or Secret(""),
            str(user_code),
            _interval(fields.get("interval")),
            f"{self.url}/codex/device",
        )

    def poll_device(self, device: DeviceCode) -> Grant | str:
        """Ask once whether the code was typed in: the grant if so, else the issuer's word for why not yet.

        Raises TokenRefused when the pairing was denied or ran out.
        """
        fields = {"device_auth_id": device.id.reveal(), "user_code": device.user_code}
        reply = self._post_json("/api/accounts/deviceauth/token", fields)
        if reply.status in (403, 404, 400, 428) and not is_page(reply):
            return _still_pending(reply)
        if not 200 <= reply.status < 300:
            raise blocked(reply) if is_page(reply) else unavailable(reply, "finish the pairing")
        answer = read_object(reply, "answer to the pairing")
        code = _token(answer, "authorization_code", needed=True) or Secret("")
        verifier = _token(answer, "code_verifier", needed=True) or Secret("")
        return Grant(code, verifier, f"{self.url}/deviceauth/callback")

    def _post_json(self, path: str, fields: dict[str, str], *, timeout: float = TIMEOUT_SECONDS) -> Reply:
        return self._post(path, "application/json", json.dumps(fields).encode(), timeout=timeout)

    def _post(self, path: str, kind: str, content: bytes, *, timeout: float = TIMEOUT_SECONDS) -> Reply:
        headers = {
            "content-type": kind,
            "accept": "application/json",
            "originator": ORIGINATOR,
            "user-agent": f"missy/{__version__}",
        }
        return self._door.request(
            "POST",
            self.url + path,
            headers=headers,
            content=content,
            timeout=timeout,
            deadline=timeout * 2,
            entry=self._entry,
            credential="oauth",
            limit=MAX_REPLY_BYTES,
        )


def _still_pending(reply: Reply) -> str:
    """Return the issuer's word for "not yet"; raise TokenRefused for the words that mean never."""
    code, message = read_error(reply)
    if code == "access_denied":
        raise TokenRefused("the pairing was denied in the browser", status=reply.status, code=code)
    if code in ("expired_token", "deviceauth_expired"):
        raise TokenRefused("the device code has expired", status=reply.status, code=code)
    if reply.status == 400 and code not in (
        "authorization_pending",
        "slow_down",
        "deviceauth_authorization_pending",
    ):
        raise TokenRefused(
            f"the issuer refused the pairing: {message or code or 'HTTP 400'}", status=400, code=code
        )
    return code


def _read_tokens(fields: dict[str, Any]) -> Tokens:
    return Tokens(_token(fields, "access_token"), _token(fields, "refresh_token"), _token(fields, "id_token"))


def _usable_tokens(fields: dict[str, Any]) -> Tokens:
    """Return the tokens of a renewal that can be used: the old refresh token is spent, so nothing good is thrown away."""
    found = {
        name: Secret(str(fields[name]).strip())
        for name in ("access_token", "refresh_token", "id_token")
        if isinstance(fields.get(name), str) and _is_plain(fields[name].strip())
    }
    if not found.keys() & {"access_token", "refresh_token"}:
        return _read_tokens(fields)  # nothing to lose: say what is wrong with it
    return Tokens(found.get("access_token"), found.get("refresh_token"), found.get("id_token"))


def _token(fields: dict[str, Any], name: str, *, needed: bool = False) -> Secret | None:
    """Return a token of an answer. Raises BadReply for what could not go into a header or a body as it is."""
    value = fields.get(name)
    if value is None and not needed:
        return None
    if not _is_plain(value):
        raise BadReply(f"the issuer's {name} is not a token", hint="try again: missy auth login")
    return Secret(str(value))


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_TOKEN_CHARS
        and all("!" <= mark <= "~" for mark in value)
    )


def _interval(value: object) -> float:
    """Return the seconds between two questions: the issuer sends a string, or nothing. Never under 1, never over 60."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else 5.0
    except (ValueError, OverflowError):
        seconds = 5.0
    return min(max(seconds, 1.0), 60.0) if seconds == seconds else 5.0  # noqa: PLR0124  (NaN)
