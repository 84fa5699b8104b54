"""What an endpoint sealed for itself (encrypted thoughts, say) goes back to that endpoint and to nobody else. Pure.

Sent to another model, account or host it is refused, and would make the conversation unusable from then on; so it is
stamped with its issuer as it comes, and left out where the issuer is another: the text of the turn is sent instead.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from missy.errors import ProviderError
from missy.events import Done, Message, Notice, Replay

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.errors import MissyError
    from missy.events import Event
    from missy.providers.base import Request

# What endpoints say about sealed items that they cannot open, do not know, or miss the rest of.
_ABOUT = (
    r"encrypted[_ ]content|reasoning[_ ](item|details|content)|thought[_ ]?signature|signature.{0,40}thinking|"
    r"item with id|\brs_[0-9A-Za-z]+|without its required"
)
_TOLD = "the endpoint refused what it had sealed of earlier turns: their text alone was sent instead"


class Issuer(NamedTuple):
    """Who sealed it. `account` is None where that is not known; `model` is the one that was asked for."""

    kind: str
    host: str
    account: str | None
    model: str | None


class Replays:
    """Whether sealed items may be sent in this call; `sent` says that the last attempt held some."""

    def __init__(self) -> None:
        self.allowed: bool = True
        self.sent = False
        self._notices: list[Event] = []

    def drop(self, error: MissyError) -> bool:
        """Leave them out from now on, if that may be what the endpoint refused; once."""
        if not isinstance(error, ProviderError) or error.status not in (400, 404, 422):
            return False
        if not self.sent or not self.allowed:
            return False
        if not re.search(_ABOUT, f"{error.code or ''} {error.message}", re.IGNORECASE):
            return False
        self.allowed = False
        self._notices.append(Notice(_TOLD))
        return True

    def told(self) -> list[Event]:
        """Return what is to be said about it, once."""
        notices, self._notices = self._notices, []
        return notices


def own_replays(request: Request, issuer: Callable[[], Issuer], replays: Replays) -> Request:
    """Return the request with what this issuer sealed, and nothing of others; `replays` notes whether it has any."""
    if not any(message.replay for message in request.messages):
        return request
    kept = keep_own(request, issuer() if replays.allowed else None)
    replays.sent = any(message.replay for message in kept.messages)
    return kept


def keep_own(request: Request, issuer: Issuer | None) -> Request:
    """Return the request without what another issuer sealed; None: without any."""
    return request._replace(messages=tuple(_own(message, issuer) for message in request.messages))


def _own(message: Message, issuer: Issuer | None) -> Message:
    replay = message.replay
    if replay is None or (replay.kind, replay.host, replay.account, replay.model) == issuer:
        return message
    return message.__replace__(replay=None)


def stamped(event: Event, issuer: Issuer) -> Event:
    """Say whose the items of an answer are."""
    if not isinstance(event, Done) or not event.replay or isinstance(event.replay, Replay):
        return event
    return event.__replace__(replay=Replay(tuple(event.replay), *issuer))
