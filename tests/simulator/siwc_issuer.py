"""The issuer of Sign in with ChatGPT: registers apps, signs people in, rotates tokens, and signs what it says."""

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
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from tests.simulator.faults import ISSUER_ROWS, Fault, Faults
from tests.simulator.server import Request, Response, as_json

URL = "https://auth.openai.com"
RESOURCE = "https://api.openai.com/v1"
PLAN_SCOPE = "chatgpt.tokens.use.direct"
SCOPES = ("openid", "profile", "email", "offline_access", "resource.invoke", PLAN_SCOPE)
REDIRECT = re.compile(r"http://127\.0\.0\.1:(\d{2,5})/auth/callback")
HOST_ID = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
OPTIONAL = {"agent_name_hint", "id_token_hint", "login_hint", "prompt"}
AUTHORIZE, TOKEN, REVOKE = (f"/api/accounts/{name}" for name in ("authorize", "oauth/token", "oauth/revoke"))
JWKS, DISCOVERY = "/.well-known/jwks.json", "/.well-known/openid-configuration"
EARLIEST = {
    "seconds": lambda moment: int(moment),
    "milliseconds": lambda moment: int(moment * 1000),
    "iso": lambda moment: datetime.fromtimestamp(moment, UTC).isoformat(),
    "digits": lambda moment: str(int(moment)),
    "odd": lambda moment: {"in": 54, "unit": "minutes"},
    "none": lambda moment: None,
}


@dataclass(frozen=True)
class Person:
    """Who signs in."""

    subject: str = "user-ada"
    email: str = "ada@example.com"


@dataclass
class Family:
    """One sign-in and all that came of it: the tokens that count now."""

    person: Person
    client_id: str
    scopes: tuple[str, ...]
    refresh: str = ""
    access: str = ""
    earliest: float = 0.0
    ended: str = ""  # the error code with which its refresh token is refused


@dataclass
class _Grant:
    family: Family
    challenge: str
    redirect_uri: str
    nonce: str
    used: bool = False


@cache
def signing_key(number: int) -> rsa.RSAPrivateKey:
    """One of the issuer's keys; making one takes a while, so all issuers of a process share them."""
    return rsa.generate_private_key(65537, 2048)


@dataclass
class SiwcIssuer:
    """The switches are its fields; `faults` fails whole requests. `clock` is seconds that it is ahead of this machine."""

    person: Person = field(default_factory=Person)
    lifetime: float = 3600.0
    early: float = 360.0  # seconds before the end at which a renewal is allowed
    earliest_form: str = "seconds"
    clock: float = 0.0
    denied: tuple[str, str] | None = None  # error and description in place of a code
    declines: frozenset[str] = frozenset()  # scopes that the person does not allow
    callback: dict[str, str | None] = field(
        default_factory=dict
    )  # fields that the callback has besides, or lacks
    omit: frozenset[str] = frozenset()  # fields that a token reply leaves out
    claims: dict[str, Any] = field(default_factory=dict)  # of the ID token, in place of the true ones
    aud_as_list: bool = True
    nested_errors: bool = True
    key: int = 1  # that signs now
    published: tuple[int, ...] = (1,)  # that the JWKS names
    head: dict[str, Any] = field(default_factory=dict)  # of the ID token, in place of the true one
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._grants: dict[str, _Grant] = {}
        self.clients: dict[
            str, tuple[str, str]
        ] = {}  # client id -> the name hint and the host id it came with
        self.families: dict[str, Family] = {}  # by refresh token
        self.access_tokens: dict[str, Family] = {}
        self.spent: set[str] = set()
        self.hints: list[dict[str, str]] = []  # what each authorize request named of the account

    def now(self) -> float:
        return time.time() + self.clock

    def answer(self, request: Request) -> Response:
        return self.faults.answer(request, self._truly)

    def _truly(self, request: Request) -> Response:
        table = {
            ("GET", AUTHORIZE): self._authorize,
            ("POST", TOKEN): self._token,
            ("POST", REVOKE): self._revoke,
            ("GET", JWKS): self._jwks,
            ("GET", DISCOVERY): self._discovery,
        }
        found = table.get((request.method, request.path))
        if found is None:
            return as_json({"error": "not_found"}, 404)
        with self._lock:
            return found(request)

    @property
    def codes(self) -> list[str]:
        """Every code that was given out."""
        return list(self._grants)

    def sign_in(self, person: Person | None = None, **changes: Any) -> tuple[Family, dict[str, Any]]:
        """Register and sign somebody in without a browser; return the family and the tokens of the exchange."""
        with self._lock:
            client_id = self._register("Missy", "urn:uuid:00000000-0000-4000-8000-000000000000")
            scopes = tuple(one for one in SCOPES if one not in self.declines)
            family = Family(person or self.person, client_id, scopes, **changes)
            return family, self._mint(family)

    def end(self, refresh: str, code: str = "refresh_token_invalidated") -> None:
        """End the sign-in of a refresh token, for one of the issuer's reasons."""
        self.families[refresh].ended = code

    def _discovery(self, _request: Request) -> Response:
        return as_json(
            {
                "issuer": URL, "authorization_endpoint": URL + AUTHORIZE, "token_endpoint": URL + TOKEN,
                "revocation_endpoint": URL + REVOKE, "jwks_uri": URL + JWKS, "grant_types_supported":
                ["authorization_code", "refresh_token"], "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )  # fmt: skip

    def _jwks(self, _request: Request) -> Response:
        return as_json({"keys": [_public(number) for number in self.published]})

    def _register(self, name: str, host_id: str) -> str:
        client_id = f"oaiapp_{os.urandom(12).hex()}"
        self.clients[client_id] = (name, host_id)
        return client_id

    def _authorize(self, request: Request) -> Response:
        pairs = parse_qsl(request.query, keep_blank_values=True, strict_parsing=True)
        given = dict(pairs)
        wrong = [name for name, good in self._authorize_rules(given).items() if not good]
        if len(given) != len(pairs) or wrong:
            page = f"<html><body>Invalid authorize request: {html.escape(', '.join(wrong))}</body></html>"
            return Response(400, page.encode(), {"content-type": "text/html"})
        self.hints.append({name: given[name] for name in OPTIONAL & given.keys()})
        fields: dict[str, str | None] = {"state": given["state"]}
        if self.denied is not None:
            fields |= {"error": self.denied[0], "error_description": self.denied[1]}
        else:
            fields |= self._grant(given)
        fields |= self.callback
        query = urlencode({name: value for name, value in fields.items() if value is not None})
        return Response(302, b"", {"location": f"{given['redirect_uri']}?{query}"})

    def _grant(self, given: dict[str, str]) -> dict[str, str | None]:
        is_new = given["client_id"] == "dynamic_agent_client"
        client_id = given["client_id"]
        if is_new:
            client_id = self._register(given["agent_name_hint"], given["ext_agent_host_id"])
        scopes = tuple(one for one in SCOPES if one not in self.declines)
        code = _random("ac_")
        family = Family(self.person, client_id, scopes)
        self._grants[code] = _Grant(family, given["code_challenge"], given["redirect_uri"], given["nonce"])
        return {"code": code, "scope": " ".join(scopes), **({"client_id": client_id} if is_new else {})}

    def _authorize_rules(self, given: dict[str, str]) -> dict[str, bool]:
        client_id, hint = given.get("client_id", ""), given.get("id_token_hint")
        is_new = client_id == "dynamic_agent_client"
        known = {"client_id", "ext_agent_host_id", "response_type", "redirect_uri", "scope", "resource", "state", "nonce",
                 "code_challenge_method", "code_challenge"}  # fmt: skip
        return {
            "unknown parameter": given.keys() <= known | OPTIONAL,
            "client_id": is_new or client_id in self.clients,
            "agent_name_hint": (given.get("agent_name_hint") == "Missy")
            if is_new
            else "agent_name_hint" not in given,
            "ext_agent_host_id": HOST_ID.fullmatch(given.get("ext_agent_host_id", "")) is not None,
            "response_type": given.get("response_type") == "code",
            "redirect_uri": REDIRECT.fullmatch(given.get("redirect_uri", "")) is not None,
            "scope": given.get("scope", "").split() == list(SCOPES),
            "resource": given.get("resource") == RESOURCE,
            "state": len(given.get("state", "")) >= 22,
            "nonce": len(given.get("nonce", "")) >= 22 and given.get("nonce") != given.get("state"),
            "code_challenge_method": given.get("code_challenge_method") == "S256",
            "code_challenge": re.fullmatch(r"[\w-]{43}", given.get("code_challenge", "")) is not None,
            "id_token_hint": hint is None or (not is_new and hint.count(".") == 2),
            "login_hint": "login_hint" not in given or hint is not None,
            "prompt": given.get("prompt", "consent") == "consent",
        }

    def _token(self, request: Request) -> Response:
        if request.headers.get("content-type") != "application/x-www-form-urlencoded":
            return self._error("invalid_request", "The body is not a form.")
        fields = request.fields()
        if fields.get("client_id") not in self.clients:
            return self._error("invalid_client", "Unknown client.", 401)
        if fields.get("resource") != RESOURCE:
            return self._error("invalid_target", "Wrong resource.")
        kinds = {"authorization_code": self._exchange, "refresh_token": self._renew}
        handle = kinds.get(fields.get("grant_type", ""))
        return handle(fields) if handle else self._error("unsupported_grant_type", "Unknown grant type.")

    def _exchange(self, fields: dict[str, str]) -> Response:
        grant = self._grants.get(fields.get("code", ""))
        if grant is None or grant.used:
            return self._error("invalid_grant", "The code is unknown or was used.")
        grant.used = True
        verifier = fields.get("code_verifier", "")
        right = (
            fields["client_id"] == grant.family.client_id
            and fields.get("redirect_uri") == grant.redirect_uri
            and 43 <= len(verifier) <= 128
            and _s256(verifier) == grant.challenge
        )
        if not right:
            return self._error("invalid_grant", "The request does not fit the code.")
        return as_json(self._mint(grant.family, nonce=grant.nonce))

    def _renew(self, fields: dict[str, str]) -> Response:
        token = fields.get("refresh_token", "")
        family = self.families.get(token)
        if "scope" in fields:
            return self._error("invalid_scope", "A renewal names no scope.")
        if family is None or family.client_id != fields["client_id"]:
            return self._error("invalid_refresh_token", "Unknown refresh token.")
        if token in self.spent:
            return self._error("refresh_token_reused", "The refresh token was used.")
        if family.ended:
            return self._error(family.ended, "Please sign in again.")
        if self.now() < family.earliest:  # a report says so: too early is the end of it
            family.ended = "invalid_grant"
            return self._error("invalid_grant", "Too early.")
        self.spent.add(token)
        return as_json(self._mint(family))

    def _revoke(self, request: Request) -> Response:
        fields = request.fields()
        family = self.families.get(fields.get("token", ""))
        if fields.get("token_type_hint") != "refresh_token" or fields.get("client_id") not in self.clients:
            return self._error("invalid_request", "Not a revocation.")
        if family is not None:
            family.ended = "refresh_token_invalidated"
        return Response(200, b"")

    def _mint(self, family: Family, nonce: str | None = None) -> dict[str, Any]:
        now = self.now()
        family.earliest = now + self.lifetime - self.early
        if "offline_access" in family.scopes:
            family.refresh = _random("rt_")
            self.families[family.refresh] = family
        family.access = self._access_token(family, now)
        self.access_tokens[family.access] = family
        claims = {
            "iss": URL, "sub": family.person.subject, "email": family.person.email, "iat": int(now),
            "aud": [family.client_id] if self.aud_as_list else family.client_id, "exp": int(now + self.lifetime),
            **({"nonce": nonce} if nonce else {}), **self.claims,
        }  # fmt: skip
        reply = {
            "access_token": family.access,
            "refresh_token": family.refresh or None,
            "id_token": self.jwt({name: value for name, value in claims.items() if value is not None}),
            "token_type": "bearer",
            "expires_in": int(self.lifetime),
            "scope": " ".join(family.scopes),
            "earliest_refresh_at": EARLIEST[self.earliest_form](family.earliest),
        }
        return {name: value for name, value in reply.items() if value is not None and name not in self.omit}

    def _access_token(self, family: Family, now: float) -> str:
        return self.jwt(
            {
                "iss": URL, "sub": family.person.subject, "aud": RESOURCE, "client_id": family.client_id,
                "scope": " ".join(family.scopes), "iat": int(now), "nbf": int(now), "exp": int(now + self.lifetime),
                "jti": _random(""), "https://api.openai.com/auth": {"per_user_salt": _random("")},
            }
        )  # fmt: skip

    def jwt(self, claims: dict[str, Any]) -> str:
        """Sign claims with the present key."""
        head = {"alg": "RS256", "typ": "JWT", "kid": f"key-{self.key}", **self.head}
        signed = ".".join(_b64(json.dumps(part).encode()) for part in (head, claims))
        signature = signing_key(self.key).sign(signed.encode(), padding.PKCS1v15(), SHA256())
        return f"{signed}.{_b64(signature)}"

    def _error(self, code: str, message: str, status: int = 400) -> Response:
        if self.nested_errors:
            return as_json({"error": {"code": code, "message": message, "param": None}}, status)
        return as_json({"error": code, "error_description": message}, status)


def _public(number: int) -> dict[str, str]:
    numbers = signing_key(number).public_key().public_numbers()
    parts = {name: _b64(value.to_bytes((value.bit_length() + 7) // 8)) for name, value in
             (("n", numbers.n), ("e", numbers.e))}  # fmt: skip
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": f"key-{number}", **parts}


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _random(prefix: str) -> str:
    return prefix + os.urandom(16).hex()


def _s256(verifier: str) -> str:
    return _b64(hashlib.sha256(verifier.encode()).digest())


def _ended(code: str, status: int = 400, *, flat: bool = False) -> Fault:
    return Fault(status, {"error": code} if flat else {"error": {"code": code, "message": "No."}})


# what POST to the token endpoint with a refresh token can answer -> (fault, is it for good)
SIWC_ISSUER_ROWS: dict[str, tuple[Fault, bool]] = {
    **{code: (_ended(code), True) for code in (
        "invalid_grant", "invalid_refresh_token", "token_expired", "refresh_token_expired", "refresh_token_invalidated",
        "refresh_token_reused",
    )},
    "reused-401": (_ended("refresh_token_reused", 401), True),
    "grant-flat-403": (_ended("invalid_grant", 403, flat=True), True),
    "unknown-401": (_ended("something_new", 401), False),
    "bare-401": (Fault(401, b""), False),
    **{name: row for name, row in ISSUER_ROWS.items() if not row[1]},
}  # fmt: skip
