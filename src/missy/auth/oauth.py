"""Requests to the issuer (OAuth 2.0, RFC 6749): the sign-in URL, and exchange, renewal, pairing and revocation.

Every request goes through the given door. Redirects are not followed, a token is sent only to the issuer's own
address, and no secret is put into a URL.
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
from missy.charset import is_visible_ascii
from missy.errors import BadReply
from missy.secrets.redact import Secret

if TYPE_CHECKING:
    from missy.auth.pkce import Pair
    from missy.net.door import Door, Reply

ISSUER = "https://auth.openai.com"
CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"  # public: the client id that all subscription clients share
SCOPE = "openid profile email offline_access"
ORIGINATOR = "missy"
DEVICE_LIFE = 15 * 60  # seconds until the issuer's device code expires

TIMEOUT_SECONDS = 30.0
REVOKE_TIMEOUT_SECONDS = 10.0
MAX_REPLY_BYTES = 256 * 1024
MAX_TOKEN_CHARS = 32 * 1024


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens from the issuer; a renewal may omit those that did not change."""

    access: Secret | None
    refresh: Secret | None
    id: Secret | None


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """A pairing in progress: the user types `user_code` at `page`; poll every `interval` seconds."""

    id: Secret
    user_code: str
    interval: float
    page: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A code to exchange, with its PKCE verifier and redirect URI."""

    code: Secret
    verifier: Secret
    redirect_uri: str


class Issuer:
    """One issuer, reached through `door` on behalf of config entry `entry`.

    Calls raise TokenRefused for a permanent failure (4), ProviderError and subclasses for a temporary one (5), and
    PolicyError (3).
    """

    def __init__(self, url: str | None, door: Door, entry: str) -> None:
        self.url: str = (url or ISSUER).rstrip("/")
        self._door = door
        self._entry = entry

    def authorize_url(self, pair: Pair, state: str, redirect_uri: str) -> str:
        """Return the URL to open in a browser. Its fields have the same order as in the issuer's own client."""
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
        """Exchange a code for a login; all three tokens are required. A code works once, so there is no retry."""
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
                "the issuer's reply to the sign-in lacks a token",
                hint="start again: missy auth login",
                status=reply.status,
            )
        return tokens

    def renew(self, refresh: Secret) -> Tokens:
        """Exchange a refresh token, which works once, for new tokens. Those missing in the reply stay unchanged."""
        fields = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": refresh.reveal()}
        reply = self._post_json("/oauth/token", fields)
        if reply.status != 200:
            raise renewal_refused(reply)
        return _usable_tokens(read_object(reply, "renewed login"))

    def revoke(self, refresh: Secret) -> None:
        """Revoke a refresh token (RFC 7009). Raises unless the issuer confirms it."""
        fields = {"token": refresh.reveal(), "token_type_hint": "refresh_token", "client_id": CLIENT_ID}
        reply = self._post_json("/oauth/revoke", fields, timeout=REVOKE_TIMEOUT_SECONDS)
        if not 200 <= reply.status < 300:
            raise blocked(reply) if is_page(reply) else unavailable(reply, "revoke the login")

    def start_device(self) -> DeviceCode:
        """Start a pairing. Raises TokenRefused if device codes are not allowed."""
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
            raise BadReply("the issuer's device code is invalid", hint="try again, or log in with --paste")
        return DeviceCode(
            _token(fields, "device_auth_id", needed=True) or Secret(""),
            str(user_code),
            _interval(fields.get("interval")),
            f"{self.url}/codex/device",
        )

    def poll_device(self, device: DeviceCode) -> Grant | str:
        """Poll once: the grant if the code was typed in, else the issuer's error code for "not yet".

        Raises TokenRefused if the pairing was denied or has expired.
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
    """Return the issuer's error code for "not yet"; raise TokenRefused for those that are final."""
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
    """Return the valid tokens of a renewal: the old refresh token is used up, so a valid new one must not be lost."""
    found = {
        name: Secret(str(fields[name]).strip())
        for name in ("access_token", "refresh_token", "id_token")
        if isinstance(fields.get(name), str) and _is_plain(fields[name].strip())
    }
    if not found.keys() & {"access_token", "refresh_token"}:
        return _read_tokens(fields)  # nothing valid to keep: raise the error
    return Tokens(found.get("access_token"), found.get("refresh_token"), found.get("id_token"))


def _token(fields: dict[str, Any], name: str, *, needed: bool = False) -> Secret | None:
    """Return a token of a reply. Raises BadReply for a value that cannot be sent in a header."""
    value = fields.get(name)
    if value is None and not needed:
        return None
    if not _is_plain(value):
        raise BadReply(f"the issuer's {name} is not a token", hint="try again: missy auth login")
    return Secret(str(value))


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TOKEN_CHARS and is_visible_ascii(value)


def _interval(value: object) -> float:
    """Return the polling interval, 1 to 60 seconds; the issuer sends it as a string, or not at all."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else 5.0
    except (ValueError, OverflowError):
        seconds = 5.0
    return min(max(seconds, 1.0), 60.0) if seconds == seconds else 5.0  # noqa: PLR0124  (NaN)
