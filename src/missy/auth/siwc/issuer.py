"""Requests to the issuer of Sign in with ChatGPT (OAuth 2.0, RFC 6749; OpenAI's pages "Sign in" and "Token reference").

Every request goes through the given door, no redirect is followed, and only the issuer's own origin is asked. A URL that
holds a token is never shown: see `Authorize.hinted`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from missy._version import __version__
from missy.auth.refusals import (
    blocked,
    exchange_refused,
    is_page,
    read_object,
    unavailable,
)
from missy.auth.siwc.refusals import renewal_refused
from missy.auth.siwc.token_reply import TokenReply, read_reply
from missy.errors import BadReply, ProviderError

if TYPE_CHECKING:
    from missy.auth.oauth import Grant
    from missy.auth.pkce import Pair
    from missy.net.door import Door, Reply
    from missy.secrets.redact import Secret

ISSUER = "https://auth.openai.com"
AUTHORIZE_URL = f"{ISSUER}/api/accounts/authorize"
TOKEN_URL = f"{ISSUER}/api/accounts/oauth/token"
REVOCATION_URL = f"{ISSUER}/api/accounts/oauth/revoke"
JWKS_URL = f"{ISSUER}/.well-known/jwks.json"
DISCOVERY_URL = f"{ISSUER}/.well-known/openid-configuration"
RESOURCE = "https://api.openai.com/v1"
REGISTERING = "dynamic_agent_client"  # the client id of a first registration; never stored
AGENT_NAME = "Missy"
PLAN_SCOPE = "chatgpt.tokens.use.direct"
SCOPE = f"openid profile email offline_access resource.invoke {PLAN_SCOPE}"

TIMEOUT_SECONDS = 30.0
MAX_REPLY_BYTES = 256 * 1024


class Authorize(NamedTuple):
    """One attempt to sign in. Without `client_id` Missy is registered in the user's account.

    `id_token` and `email` are those of the account that signs in again; `consent` asks for the plan's permission again.
    """

    pair: Pair
    state: str
    nonce: str
    host_id: str
    client_id: str | None = None
    consent: bool = False
    id_token: Secret | None = None
    email: str | None = None

    def url(self, redirect_uri: str) -> str:
        """Return the address of the sign-in page, without a hint at the account: it may be shown."""
        return f"{AUTHORIZE_URL}?{urlencode(self._query(redirect_uri))}"

    def hinted(self, redirect_uri: str) -> str | None:
        """Return the address that names the account too, None if there is no token to name it. It is a secret."""
        if self.id_token is None:
            return None
        hints = {
            "id_token_hint": self.id_token.reveal(),
            **({"login_hint": self.email} if self.email else {}),
        }
        return f"{AUTHORIZE_URL}?{urlencode(self._query(redirect_uri) | hints)}"

    def _query(self, redirect_uri: str) -> dict[str, str]:
        return {
            "client_id": self.client_id or REGISTERING,
            **({} if self.client_id else {"agent_name_hint": AGENT_NAME}),
            "ext_agent_host_id": self.host_id,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "scope": SCOPE,
            "resource": RESOURCE,
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": self.pair.challenge,
            "code_challenge_method": "S256",
            **({"prompt": "consent"} if self.consent else {}),
        }


class Endpoints(NamedTuple):
    """What the issuer's discovery document names, besides the constants."""

    jwks: str
    revocation: str


class Issuer:
    """The issuer, reached through `door` on behalf of config entry `entry`.

    Calls raise TokenRefused for a permanent failure (4), ProviderError and subclasses for a temporary one (5), and
    PolicyError (3).
    """

    def __init__(self, door: Door, entry: str) -> None:
        self._door = door
        self._entry = entry
        self._endpoints: Endpoints | None = None

    def require(self) -> None:
        """Raise PolicyError, on record, if the policy refuses the issuer: before a person signs in there in vain."""
        from missy.net.gate import Attribution
        from missy.net.limits import Clock

        self._door.gate.require(TOKEN_URL, Attribution(Clock(1.0), entry=self._entry, credential="oauth"))

    def exchange(self, client_id: str, grant: Grant, now: float) -> TokenReply:
        """Exchange a code, which works once, for tokens. `now` is in Unix seconds."""
        fields = {
            "grant_type": "authorization_code",
            "client_id": client_id,
            "code": grant.code.reveal(),
            "code_verifier": grant.verifier.reveal(),
            "redirect_uri": grant.redirect_uri,
            "resource": RESOURCE,
        }
        reply = self._post(TOKEN_URL, fields)
        if reply.status != 200:
            raise exchange_refused(reply)
        found = read_reply(read_object(reply, "answer to the sign-in"), now)
        if found.access is None or found.id is None or found.scopes is None:
            raise BadReply(
                "the issuer's reply to the sign-in lacks a token or its scope", hint="sign in again"
            )
        if "offline_access" in found.scopes and found.refresh is None:
            raise BadReply("the issuer's reply to the sign-in lacks a refresh token", hint="sign in again")
        return found

    def renew(self, client_id: str, refresh: Secret, now: float) -> TokenReply:
        """Exchange a refresh token, which works once, for new tokens. What the reply omits stays unchanged."""
        fields = {
            "grant_type": "refresh_token",
            "client_id": client_id,
            "refresh_token": refresh.reveal(),
            "resource": RESOURCE,
        }
        reply = self._post(TOKEN_URL, fields)
        if reply.status != 200:
            raise renewal_refused(reply)
        found = read_reply(read_object(reply, "renewed sign-in"), now, lenient=True)
        if found.access is None and found.refresh is None:
            raise BadReply("the issuer's renewed sign-in has no token", hint="try again in a moment")
        return found

    def revoke(self, client_id: str, refresh: Secret) -> None:
        """Revoke a refresh token (RFC 7009). Raises ProviderError unless the issuer confirms it."""
        fields = {"token": refresh.reveal(), "token_type_hint": "refresh_token", "client_id": client_id}
        reply = self._post(self.endpoints().revocation, fields)
        if not 200 <= reply.status < 300:
            raise blocked(reply) if is_page(reply) else unavailable(reply, "revoke the sign-in")

    def keys(self) -> list[dict[str, object]]:
        """Return the issuer's public keys (JWKS, RFC 7517) as they are now. Raises ProviderError."""
        keys = self._get(self.endpoints().jwks, "list of keys").get("keys")
        if not isinstance(keys, list):
            raise BadReply("the issuer's list of keys has no keys", hint="try again in a moment")
        return [key for key in keys if isinstance(key, dict)]

    def endpoints(self) -> Endpoints:
        """Return the addresses in the discovery document, or the known ones while it cannot be had.

        Raises BadReply if one is not on the issuer's own origin.
        """
        if self._endpoints is None:
            try:
                found = self._get(DISCOVERY_URL, "description of itself")
            except ProviderError:
                return Endpoints(JWKS_URL, REVOCATION_URL)
            names = ("authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint")
            wrong = [name for name in names if not str(found.get(name, "")).startswith(f"{ISSUER}/")]
            if found.get("issuer") != ISSUER or wrong:
                raise BadReply(
                    f"the issuer's description of itself names another origin: {', '.join(wrong) or 'issuer'}",
                    hint="nothing was sent there; try again later, or from another network",
                )
            self._endpoints = Endpoints(str(found["jwks_uri"]), str(found["revocation_endpoint"]))
        return self._endpoints

    def _get(self, url: str, what: str) -> dict[str, object]:
        reply = self._request("GET", url, None)
        if is_page(reply):
            raise blocked(reply)
        if reply.status != 200:
            raise unavailable(reply, f"give its {what}")
        return read_object(reply, what)

    def _post(self, url: str, fields: dict[str, str]) -> Reply:
        return self._request("POST", url, urlencode(fields).encode())

    def _request(self, method: str, url: str, content: bytes | None) -> Reply:
        headers = {"accept": "application/json", "user-agent": f"missy/{__version__}"}
        if content is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
        return self._door.request(
            method,
            url,
            headers=headers,
            content=content,
            timeout=TIMEOUT_SECONDS,
            deadline=TIMEOUT_SECONDS * 2,
            entry=self._entry,
            credential="oauth",
            limit=MAX_REPLY_BYTES,
        )
