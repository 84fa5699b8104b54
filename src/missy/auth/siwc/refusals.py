"""What the issuer's errors mean for a stored sign-in. Pure: no I/O.

The code decides, not the status: OpenAI's page "Errors and recovery" names the codes alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.auth.refusals import (
    TokenRefused,
    blocked,
    is_page,
    read_error,
    region_refused,
    request_id,
    unavailable,
)
from missy.auth.siwc import SETTINGS
from missy.errors import CredentialError

if TYPE_CHECKING:
    from missy.net.door import Reply

# code -> what has happened to the sign-in, for good
_ENDED = {
    "invalid_grant": "the issuer no longer accepts this sign-in",
    "invalid_refresh_token": "the issuer no longer accepts this sign-in",
    "token_expired": "the sign-in has expired",
    "refresh_token_expired": "the sign-in has expired",
    "refresh_token_invalidated": f"the sign-in was revoked, perhaps in {SETTINGS}",
    "refresh_token_reused": "the sign-in was already renewed elsewhere: its refresh token works only once",
}


def renewal_refused(reply: Reply) -> Exception:
    """Map a refused renewal: permanent for the codes that end a sign-in, temporary for everything unknown."""
    code, _ = read_error(reply)
    if is_page(reply):
        return blocked(reply)
    if refused := region_refused(reply):
        return refused
    if code in _ENDED:
        return TokenRefused(
            _ENDED[code], hint="sign in again: missy auth login chatgpt", status=reply.status, code=code
        )
    if code == "invalid_client":
        return CredentialError(
            "the issuer does not know this registration of Missy; the stored sign-in is unchanged",
            hint=f"is Missy still connected in {SETTINGS}? to register again: missy auth login chatgpt --new",
            status=reply.status,
            request_id=request_id(reply),
        )
    return unavailable(reply, "renew the sign-in")


def denied(error: str, description: str) -> CredentialError:
    """Map the error that the callback carried instead of a code."""
    from missy.secrets.redact import redact

    if error == "access_denied":
        return CredentialError(
            "the sign-in was declined in the browser; nothing was changed",
            hint="to use the plan, sign in again; without it, an API key or a local model works: missy setup",
        )
    said = redact(description or error)[:300]
    return CredentialError(f"the sign-in was refused: {said}", hint="start again: missy auth login chatgpt")
