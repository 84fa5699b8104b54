"""Errors of the issuer: from a reply to an exception with a hint. Pure: no I/O.

Text from the server is shown only with its secrets masked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from missy.errors import BadReply, CredentialError, LimitError, ProviderError
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from missy.net.door import Reply

AGAIN = "log in again: missy auth login"
MAX_SHOWN_CHARS = 300

# error code -> (what happened, what to do): the issuer's permanent errors
_PERMANENT = {
    "refresh_token_expired": ("the login has expired", AGAIN),
    "refresh_token_reused": (
        "the login was already renewed elsewhere: its refresh token works only once",
        f"{AGAIN} (a copied login file works on one machine only: give each machine its own login)",
    ),
    "refresh_token_invalidated": (
        "the login was revoked: signed out elsewhere, or the account's password or access changed",
        AGAIN,
    ),
    "invalid_grant": ("the issuer no longer accepts this login", AGAIN),
}


class TokenRefused(CredentialError):
    """The issuer refused a code or a token permanently: a retry cannot help. `code` is the issuer's error code."""

    def __init__(self, message: str, *, hint: str = AGAIN, status: int | None = None, code: str = "") -> None:
        super().__init__(message, hint=hint, status=status)
        self.code = code

    def again(self) -> TokenRefused:
        """Return a copy, to be raised again."""
        return TokenRefused(self.message, hint=self.hint, status=self.status, code=self.code)


def read_object(reply: Reply, what: str) -> dict[str, Any]:
    """Return the JSON object of a reply. Raises BadReply for anything else; `what` names the reply in messages."""
    value = _parse(reply.body)
    if not isinstance(value, dict):
        page = " (a web page)" if is_page(reply) else ""
        raise BadReply(
            f"the issuer's {what} is not the JSON object it should be{page}",
            hint="try again; if it happens again, check network.proxy and the entry's issuer",
            status=reply.status,
            request_id=request_id(reply),
        )
    return value


def read_error(reply: Reply) -> tuple[str, str]:
    """Return the code and the message of an error reply in any of its formats, each "" if missing."""
    value = _parse(reply.body)
    if not isinstance(value, dict):
        return "", ""
    inner = value.get("error", value.get("detail", value))
    if isinstance(inner, dict):
        code = inner.get("code") or inner.get("error_code") or inner.get("type")
        message = inner.get("message")
    elif "error" in value:
        code, message = inner, value.get("error_description") or value.get("message")
    else:
        code, message = value.get("code"), inner
    return _show(code), _show(message)


def renewal_refused(reply: Reply) -> Exception:
    """Map a refused renewal: a known code or any 401 is permanent, everything else temporary."""
    code, message = read_error(reply)
    if is_page(reply):
        return blocked(reply)
    if refused := region_refused(reply):
        return refused
    if code in _PERMANENT and reply.status in (400, 401, 403):
        said, hint = _PERMANENT[code]
        return TokenRefused(said, hint=hint, status=reply.status, code=code)
    if reply.status == 401:
        return TokenRefused(f"the issuer refused the login{_quote(message or code)}", status=401, code=code)
    return unavailable(reply, "renew the login")


def exchange_refused(reply: Reply) -> Exception:
    """Map a refused exchange of a code: it was used or has expired, or there is a fault here or at the issuer."""
    code, message = read_error(reply)
    if is_page(reply):
        return blocked(reply)
    if refused := region_refused(reply):
        return refused
    if reply.status in (400, 401, 403):
        return TokenRefused(
            f"the issuer refused the sign-in{_quote(message or code)}",
            hint="the code works once and for a short time: start again with missy auth login",
            status=reply.status,
            code=code,
        )
    return unavailable(reply, "finish the sign-in")


def sign_in_denied(error: str, description: str) -> CredentialError:
    """Map the error that the issuer's callback carried instead of a code."""
    if error == "access_denied" and "missing_codex_entitlement" in description:
        return CredentialError(
            "the sign-in was refused: Codex is not enabled for that workspace",
            hint="choose another workspace, or ask its administrator to enable Codex",
        )
    said = _show(description) or _show(error)
    return CredentialError(f"the sign-in was refused: {said}", hint="start again: missy auth login")


def unavailable(reply: Reply, doing: str) -> ProviderError:
    """Map a temporary failure: a fault of the issuer, or too many requests."""
    from missy.net import waits  # imported here: who only shows a login needs none of it

    code, message = read_error(reply)
    kind = LimitError if reply.status == 429 else ProviderError
    return kind(
        f"the issuer could not {doing}: HTTP {reply.status}{_quote(message or code)}",
        hint="try again in a moment; the stored login is unchanged",
        status=reply.status,
        request_id=request_id(reply),
        code=code or None,
        retry_after=waits.from_headers(reply.headers),
    )


def region_refused(reply: Reply) -> ProviderError | None:
    """Return the error for a reply that refuses the region of this network, or None for any other."""
    from missy.net.error_body import read_error_body
    from missy.net.error_meaning import REGION_HINT, is_region

    body = read_error_body(reply.body.decode("utf-8", "replace"))
    if not is_region(body, reply.status):
        return None
    return ProviderError(
        f"the issuer refuses the region of this network: HTTP {reply.status}{_quote(_show(body.message))}",
        hint=f"{REGION_HINT}; the login is fine",
        status=reply.status,
        request_id=request_id(reply),
        code=_show(body.code) or None,
        lasting=True,
    )


def blocked(reply: Reply) -> ProviderError:
    """Map a web page instead of the API's reply: it comes from a firewall, a proxy or a challenge."""
    guard = "Cloudflare" if "cf-mitigated" in reply.headers or "cf-ray" in reply.headers else "something"
    return ProviderError(
        f"{guard} answered with a web page instead of the issuer: HTTP {reply.status}",
        hint="your network or its address is being blocked: try another network or network.proxy",
        status=reply.status,
        request_id=request_id(reply),
    )


def is_page(reply: Reply) -> bool:
    """Tell whether a reply is a web page."""
    return "html" in reply.headers.get("content-type", "") or reply.body.lstrip()[:1] == b"<"


def request_id(reply: Reply) -> str | None:
    """Return the server's id of this request."""
    for name in ("x-request-id", "x-oai-request-id", "cf-ray"):
        if reply.headers.get(name):
            return reply.headers[name][:128]
    return None


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _show(value: object) -> str:
    return redact(value)[:MAX_SHOWN_CHARS] if isinstance(value, str) else ""


def _quote(text: str) -> str:
    return f": {text}" if text else ""
