"""One account that signed in with ChatGPT: a registration of Missy (`client_id`) for a person and a workspace. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.auth.siwc.issuer import ISSUER, PLAN_SCOPE
from missy.auth.siwc.token_reply import read_moment
from missy.charset import is_visible_ascii
from missy.secrets.redact import Secret

if TYPE_CHECKING:
    from missy.auth.siwc.id_token import Identity
    from missy.auth.siwc.token_reply import TokenReply

NEAR = 5 * 60  # seconds before the end of the access token at which it is renewed
_NONE = Secret("")
_TEXTS = ("label", "subject", "ext_agent_host_id")
_TOKENS = ("access_token", "refresh_token", "id_token")
_TIMES = ("saved_at", "expires_at", "earliest_refresh_at", "refresh_uncertain", "handed_over_at")
_OWN = {
    *_TEXTS,
    *_TOKENS,
    *_TIMES,
    "issuer",
    "email",
    "scopes",
    "pending",
    "ended",
    "consent",
    "plan_enabled",
}
_OWN |= {"token_type"}


class PlanAccess(NamedTuple):
    """What a request needs: the bearer token, and whose plan it is."""

    token: Secret
    account_id: str
    label: str


class BadField(ValueError):
    """A field of the file is missing or wrong."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Renewed tokens whose identity is not verified yet: nothing is sent with them before it is."""

    access_token: Secret
    id_token: Secret
    scopes: tuple[str, ...]
    received_at: float
    expires_at: float | None
    earliest_refresh_at: float | None


@dataclass(frozen=True, slots=True)
class Account:
    """One account. Times are Unix seconds; a token that there is none of is empty.

    `refresh_uncertain` is when a renewal was begun whose outcome is not known; `handed_over_at` when the account was
    exported to another machine; `ended` says why its tokens are gone. `extra` are fields of a newer Missy.
    """

    client_id: str
    label: str
    subject: str
    host_id: str
    email: str | None = None
    access_token: Secret = _NONE
    refresh_token: Secret = _NONE
    id_token: Secret = _NONE
    scopes: tuple[str, ...] = ()
    saved_at: float | None = None
    expires_at: float | None = None
    earliest_refresh_at: float | None = None
    refresh_uncertain: float | None = None
    handed_over_at: float | None = None
    pending: Pending | None = None
    ended: str = ""
    welcomed: bool = False
    extra: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def plan_enabled(self) -> bool:
        """Whether the person allowed Missy to use the plan."""
        return PLAN_SCOPE in self.scopes

    @property
    def signed_in(self) -> bool:
        """Whether there are tokens that this machine may use."""
        return bool(self.access_token) and self.handed_over_at is None

    @property
    def due_at(self) -> float | None:
        """When to renew: five minutes before the end, not before the issuer allows it, and at the end at the latest."""
        if self.expires_at is None:
            return self.earliest_refresh_at
        return min(max(self.expires_at - NEAR, self.earliest_refresh_at or 0), self.expires_at)

    def is_near_expiry(self, now: float) -> bool:
        """Tell whether to renew, or to finish a renewal."""
        due = self.due_at
        return self.pending is not None or (due is not None and due <= now)

    def is_expired(self, now: float) -> bool:
        """Tell whether the access token has certainly expired."""
        return self.expires_at is not None and self.expires_at <= now

    def access(self) -> PlanAccess:
        """Return what a request needs."""
        return PlanAccess(self.access_token, self.client_id, self.label)

    def with_reply(self, reply: TokenReply, identity: Identity | None) -> Account:
        """Return the account with the tokens of a reply, verified where it has an ID token."""
        return replace(
            self,
            email=(identity.email if identity else None) or self.email,
            access_token=reply.access or self.access_token,
            refresh_token=reply.refresh or self.refresh_token,
            id_token=reply.id or self.id_token,
            scopes=self.scopes if reply.scopes is None else reply.scopes,
            saved_at=reply.received_at,
            expires_at=reply.expires_at if reply.access else self.expires_at,
            earliest_refresh_at=reply.earliest_refresh_at,
            refresh_uncertain=None,
            handed_over_at=None,
            pending=None,
            ended="",
        )

    def with_pending(self, reply: TokenReply) -> Account:
        """Return the account with a renewal's tokens set aside. The new refresh token counts: the old one is used up."""
        assert reply.id is not None
        assert reply.access is not None
        pending = Pending(
            reply.access,
            reply.id,
            self.scopes if reply.scopes is None else reply.scopes,
            reply.received_at,
            reply.expires_at,
            reply.earliest_refresh_at,
        )
        refresh = reply.refresh or self.refresh_token
        return replace(self, refresh_token=refresh, pending=pending, refresh_uncertain=None)

    def committed(self, identity: Identity) -> Account:
        """Return the account with the pending tokens in use: their identity is verified."""
        assert self.pending is not None
        return replace(
            self,
            email=identity.email or self.email,
            access_token=self.pending.access_token,
            id_token=self.pending.id_token,
            scopes=self.pending.scopes,
            saved_at=self.pending.received_at,
            expires_at=self.pending.expires_at,
            earliest_refresh_at=self.pending.earliest_refresh_at,
            pending=None,
        )

    def signed_out(self, why: str) -> Account:
        """Return the account without its tokens. The registration stays: the next sign-in uses it again."""
        return replace(
            self,
            access_token=_NONE,
            refresh_token=_NONE,
            id_token=_NONE,
            expires_at=None,
            earliest_refresh_at=None,
            refresh_uncertain=None,
            handed_over_at=None,
            pending=None,
            ended=why,
        )

    def as_fields(self) -> dict[str, Any]:
        """Return what the file holds of it, tokens included."""
        consent = {**_table(self.extra.get("consent")), "welcome_shown": self.welcomed}
        fields = {
            **{name: value for name, value in self.extra.items() if name != "consent"},
            "label": self.label,
            "issuer": ISSUER,
            "subject": self.subject,
            "email": self.email,
            "ext_agent_host_id": self.host_id,
            "token_type": "Bearer",
            "scopes": list(self.scopes),
            "plan_enabled": self.plan_enabled,
            **{name: getattr(self, name).reveal() or None for name in _TOKENS},
            **{name: getattr(self, name) for name in _TIMES},
            "pending": None if self.pending is None else _pending_fields(self.pending),
            "ended": self.ended or None,
            "consent": consent,
        }
        return {name: value for name, value in fields.items() if value is not None}


def read_account(client_id: str, value: object) -> Account:
    """Read an account of the file. Raises BadField."""
    fields = _table(value)
    if not fields:
        raise BadField(f"its account {client_id[:40]!r} is not a JSON object")
    texts = {name: fields.get(name) for name in _TEXTS}
    wrong = next((name for name, text in texts.items() if not isinstance(text, str) or not text), None)
    if wrong or fields.get("issuer") != ISSUER:
        raise BadField(f"the '{wrong or 'issuer'}' of an account is missing or wrong")
    consent = dict(_table(fields.get("consent")))
    welcomed = consent.pop("welcome_shown", None) is True
    pending = fields.get("pending")
    known: dict[str, Any] = {name: _secret(fields, name) for name in _TOKENS}
    known |= {name: read_moment(fields.get(name)) for name in _TIMES}
    return Account(
        client_id,
        str(texts["label"]),
        str(texts["subject"]),
        str(texts["ext_agent_host_id"]),
        email=_text(fields.get("email")),
        **known,
        scopes=_scopes(fields),
        pending=None if pending is None else _read_pending(_table(pending)),
        ended=_text(fields.get("ended")) or "",
        welcomed=welcomed,
        extra={
            **{name: found for name, found in fields.items() if name not in _OWN},
            **({"consent": consent} if consent else {}),
        },
    )


def _pending_fields(pending: Pending) -> dict[str, Any]:
    return {
        "access_token": pending.access_token.reveal(),
        "id_token": pending.id_token.reveal(),
        "scopes": list(pending.scopes),
        "received_at": pending.received_at,
        "expires_at": pending.expires_at,
        "earliest_refresh_at": pending.earliest_refresh_at,
    }


def _read_pending(fields: dict[str, Any]) -> Pending:
    received = read_moment(fields.get("received_at"))
    if received is None:
        raise BadField("the renewal of an account is broken")
    return Pending(
        _secret(fields, "access_token", needed=True),
        _secret(fields, "id_token", needed=True),
        _scopes(fields),
        received,
        read_moment(fields.get("expires_at")),
        read_moment(fields.get("earliest_refresh_at")),
    )


def _secret(fields: dict[str, Any], name: str, *, needed: bool = False) -> Secret:
    value = fields.get(name)
    if value is None and not needed:
        return _NONE
    if not isinstance(value, str) or not value or not is_visible_ascii(value):
        raise BadField(f"the '{name}' of an account is wrong")
    return Secret(value)


def _scopes(fields: dict[str, Any]) -> tuple[str, ...]:
    value = fields.get("scopes")
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
