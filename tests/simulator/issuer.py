"""The issuer: signs people in, hands out tokens that are used once, and takes them back. All state is in memory."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.simulator.faults import Faults
from tests.simulator.server import Request, Response, as_json

CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
REDIRECT = re.compile(r"http://(localhost|127\.0\.0\.1):(\d+)/auth/callback")


@dataclass(frozen=True)
class Account:
    """Whose subscription it is."""

    id: str = "5d2c2a6e-0000-4000-8000-000000000001"
    email: str = "ada@example.com"
    plan: str = "plus"
    fedramp: bool = False


@dataclass
class _Grant:
    account: Account
    challenge: str
    redirect_uri: str
    used: bool = False


@dataclass
class _Pairing:
    user_code: str
    verifier: str = ""
    code: str = ""


@dataclass
class Family:
    """One sign-in and all that came of it: the refresh token and the access token that count now."""

    account: Account
    refresh: str = ""
    access: str = ""
    revoked: bool = False


@dataclass
class Issuer:
    """The switches are its fields; `faults` fails whole requests."""

    account: Account = field(default_factory=Account)
    lifetime: float = 3600.0  # seconds that an access token lives
    ports: tuple[int, ...] = (1455, 1457)  # that the redirect may name
    exp: Any = None  # a value for `exp` in place of the true one; "drop" leaves it out
    omit: frozenset[str] = frozenset()  # fields that a renewal's answer leaves out
    denied: tuple[str, str] | None = None  # error and description in place of a code
    device_pending: int = 1  # questions that are answered "not yet"
    device_word: str = "deviceauth_authorization_unknown"
    device_interval: Any = "1"
    device_code_name: str = "user_code"
    device_enabled: bool = True
    faults: Faults = field(default_factory=Faults)
    url: str = ""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._grants: dict[str, _Grant] = {}
        self._pairings: dict[str, _Pairing] = {}
        self.refresh_tokens: dict[str, Family] = {}
        self.access_tokens: dict[str, Family] = {}
        self.dead: dict[str, str] = {}  # refresh token -> why it is no longer good
        self.renewals = 0

    def answer(self, request: Request) -> Response:
        return self.faults.answer(request, self._truly)

    def _truly(self, request: Request) -> Response:
        table = {
            ("GET", "/oauth/authorize"): self._authorize,
            ("POST", "/oauth/token"): self._token,
            ("POST", "/oauth/revoke"): self._revoke,
            ("POST", "/api/accounts/deviceauth/usercode"): self._user_code,
            ("POST", "/api/accounts/deviceauth/token"): self._device_token,
        }
        found = table.get((request.method, request.path))
        if found is None:
            return as_json({"error": "not_found"}, 404)
        with self._lock:
            return found(request)

    def sign_in(self, account: Account | None = None) -> dict[str, Any]:
        """Sign an account in without a browser and return the tokens, as the exchange would."""
        with self._lock:
            return self._mint(Family(account or self.account))

    @property
    def codes(self) -> list[str]:
        """Every code that was given out."""
        return list(self._grants)

    def expire(self, refresh_token: str, why: str = "refresh_token_expired") -> None:
        """End a refresh token, for one of the issuer's reasons."""
        self.dead[refresh_token] = why

    def _authorize(self, request: Request) -> Response:
        pairs = parse_qsl(request.query, keep_blank_values=True, strict_parsing=True)
        given = dict(pairs)
        redirect = REDIRECT.fullmatch(given.get("redirect_uri", ""))
        wrong = [name for name, good in self._authorize_rules(given).items() if not good]
        if len(given) != len(pairs) or wrong or redirect is None or int(redirect[2]) not in self.ports:
            page = f"<html><body>Invalid authorize request: {html.escape(', '.join(wrong))}</body></html>"
            return Response(400, page.encode(), {"content-type": "text/html"})
        state = given["state"]
        if self.denied is not None:
            fields = {"error": self.denied[0], "error_description": self.denied[1], "state": state}
        else:
            code = _random("ac_")
            self._grants[code] = _Grant(self.account, given["code_challenge"], given["redirect_uri"])
            fields = {"code": code, "scope": given["scope"], "state": state}
        return Response(302, b"", {"location": f"{given['redirect_uri']}?{urlencode(fields)}"})

    def _authorize_rules(self, given: dict[str, str]) -> dict[str, bool]:
        return {
            "response_type": given.get("response_type") == "code",
            "client_id": given.get("client_id") == CLIENT_ID,
            "code_challenge": re.fullmatch(r"[\w-]{43}", given.get("code_challenge", "")) is not None,
            "code_challenge_method": given.get("code_challenge_method") == "S256",
            "state": len(given.get("state", "")) >= 22,
            "scope": {"openid", "offline_access"} <= set(given.get("scope", "").split()),
            "id_token_add_organizations": given.get("id_token_add_organizations") == "true",
            "codex_cli_simplified_flow": given.get("codex_cli_simplified_flow") == "true",
            "originator": bool(given.get("originator")),
        }

    def _token(self, request: Request) -> Response:
        fields = request.fields()
        if fields.get("client_id") != CLIENT_ID:
            return _error(401, "invalid_client", "Unknown client.")
        kinds = {"authorization_code": self._exchange, "refresh_token": self._renew}
        handle = kinds.get(fields.get("grant_type", ""))
        return handle(fields) if handle else _error(400, "unsupported_grant_type", "Unknown grant type.")

    def _exchange(self, fields: dict[str, str]) -> Response:
        grant = self._grants.get(fields.get("code", ""))
        if grant is None or grant.used:
            return _error(400, "invalid_grant", "The code is unknown or was used.")
        grant.used = True
        if fields.get("redirect_uri") != grant.redirect_uri:
            return _error(400, "invalid_grant", "redirect_uri differs.")
        if (
            not 43 <= len(fields.get("code_verifier", "")) <= 128
            or _s256(fields["code_verifier"]) != grant.challenge
        ):
            return _error(400, "invalid_grant", "The verifier does not fit the challenge.")
        return as_json(self._mint(Family(grant.account)))

    def _renew(self, fields: dict[str, str]) -> Response:
        self.renewals += 1
        token = fields.get("refresh_token", "")
        family = self.refresh_tokens.get(token)
        if family is None:
            return _error(401, "refresh_token_invalidated", "Unknown refresh token.")
        if token in self.dead:
            return _error(401, self.dead[token], "Please try signing in again.")
        if family.revoked:
            return _error(401, "refresh_token_invalidated", "Your session has ended.")
        if "refresh_token" not in self.omit:
            self.dead[token] = "refresh_token_reused"
        tokens = self._mint(family, rotate="refresh_token" not in self.omit)
        return as_json({name: value for name, value in tokens.items() if name not in self.omit})

    def _revoke(self, request: Request) -> Response:
        fields = request.fields()
        family = self.refresh_tokens.get(fields.get("token", ""))
        if family is not None:
            family.revoked = True
        return as_json({})

    def _user_code(self, request: Request) -> Response:
        if not self.device_enabled:
            return as_json({"error": "not_found"}, 404)
        if request.fields().get("client_id") != CLIENT_ID:
            return _error(400, "invalid_client", "Unknown client.")
        pairing = _Pairing(f"{_random('').upper()[:4]}-{_random('').upper()[:5]}")
        name = _random("da_")
        self._pairings[name] = pairing
        answer = {
            "device_auth_id": name,
            self.device_code_name: pairing.user_code,
            "interval": self.device_interval,
        }
        return as_json({k: v for k, v in answer.items() if v is not None})

    def _device_token(self, request: Request) -> Response:
        fields = request.fields()
        pairing = self._pairings.get(fields.get("device_auth_id", ""))
        if pairing is None or pairing.user_code != fields.get("user_code"):
            return _error(403, "deviceauth_authorization_unknown", "Device authorization is unknown.")
        if self.device_pending > 0:
            self.device_pending -= 1
            return _error(403, self.device_word, "Please try again.")
        verifier = _random("") * 3
        code = _random("ac_")
        self._grants[code] = _Grant(self.account, _s256(verifier), f"{self.url}/deviceauth/callback")
        return as_json(
            {"authorization_code": code, "code_challenge": _s256(verifier), "code_verifier": verifier}
        )

    def _mint(self, family: Family, *, rotate: bool = True) -> dict[str, Any]:
        if rotate:
            family.refresh = _random("rt_")
            self.refresh_tokens[family.refresh] = family
        family.access = self.jwt(family.account)
        self.access_tokens[family.access] = family
        return {
            "id_token": self.jwt(family.account, email=family.account.email),
            "access_token": family.access,
            "refresh_token": family.refresh,
            "token_type": "Bearer",
            "expires_in": int(self.lifetime),
            "scope": "openid profile email offline_access",
        }

    def jwt(self, account: Account, **claims: Any) -> str:
        """Make a token that says what the true ones say; the signature is of no key."""
        payload = {
            "iss": "https://auth.openai.com",
            "sub": "auth0|never-an-account",
            "jti": _random(""),
            "exp": int(time.time() + self.lifetime) if self.exp is None else self.exp,
            "https://api.openai.com/auth": {
                "chatgpt_account_id": account.id,
                "chatgpt_plan_type": account.plan,
                "chatgpt_user_id": "user-simulated",
                "chatgpt_account_is_fedramp": account.fedramp,
                "organizations": [{"id": "org-never-an-account"}],
            },
            **claims,
        }
        if self.exp == "drop":
            del payload["exp"]
        parts = [json.dumps(part).encode() for part in ({"alg": "RS256", "typ": "JWT"}, payload)]
        return ".".join(
            base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in [*parts, os.urandom(32)]
        )


def _error(status: int, code: str, message: str) -> Response:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return as_json(body, status)


def _random(prefix: str) -> str:
    return prefix + os.urandom(16).hex()


def _s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
