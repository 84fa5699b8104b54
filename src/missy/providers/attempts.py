"""Retries: the next key of the pool, parameters to omit, and backoff. Pure except for random jitter.

A call is never sent again after any part of its answer was output.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from missy.errors import ConnectionFailed, CredentialError, LimitError, MissyError, ProviderError
from missy.providers.replays import Replays

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from missy.events import Event
    from missy.net.limits import Clock
    from missy.secrets.resolve import Credential

FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.25, 8.0  # seconds
# Optional parameters that some endpoints refuse; a call works without them.
OPTIONAL_PARAMS = (
    "max_tokens",
    "max_completion_tokens",
    "stream_options",
    "temperature",
    "reasoning_effort",
    "store",
    "parallel_tool_calls",
    "tool_choice",
    "response_format",
    "text",  # where the Responses format has it
    "prompt_cache_key",
)
# Other words that name a parameter in an error message; `text` alone could be any text.
_OTHER_WORDS = {
    "response_format": r"(?i)\bresponse_format\b|(json|response)[_ -]?schema|structured[_ -]outputs?",
    "text": r"(?i)\btext\.format\b|\bresponse_format\b|(json|response)[_ -]?schema|structured[_ -]outputs?",
}
# The error is about one schema, not about the endpoint: another schema may be accepted.
_THIS_SCHEMA = (
    r"invalid (json[_ ]?)?schema|invalid_json_schema|schema conversion"
    r"|unknown name|(parse|convert)[^.]{0,40}schema"
)
# Optional fields of the messages that some endpoints refuse.
OPTIONAL_MESSAGE_FIELDS = ("reasoning_content", "reasoning_details", "reasoning")
_LIMITS = ("max_tokens", "max_completion_tokens")
# The user must correct a value that is out of range; omitting it would hide that.
_OUT_OF_RANGE = (
    r"between|range|at most|at least|less than|greater than|<=|>=|too large|too high|maximum|minimum"
)


class Credentials(Protocol):
    """The source of credentials for the attempts of a call."""

    @property
    def current(self) -> Credential:
        """The credential to use now."""

    def next(self, error: MissyError) -> bool:
        """Switch to another credential after `error`. Returns False if none could help. May block."""


class KeyPool:
    """The keys of an entry: the next one is used when one is refused or out of quota."""

    def __init__(self, credentials: Sequence[Credential]) -> None:
        self._left = list(credentials)
        self._current = self._left.pop(0)

    @property
    def current(self) -> Credential:
        """The key to use now."""
        return self._current

    def next(self, error: MissyError) -> bool:
        """Switch to the next key."""
        if not isinstance(error, (CredentialError, LimitError)) or not self._left:
            return False
        self._current = self._left.pop(0)
        return True


class Attempts:
    """The state of one call across its attempts: `credential` and `omitted` apply to the next one."""

    def __init__(
        self, credentials: Credentials, *, max_retries: int, clock: Clock, omitted: Collection[str]
    ) -> None:
        self.credentials = credentials
        self._retries_left = max_retries
        self._clock = clock
        self._patience = clock.timeout  # seconds that all waits together may take at most
        self.omitted: frozenset[str] = frozenset(omitted)
        self.newly_omitted: frozenset[str] = frozenset()
        self._only_now: frozenset[str] = frozenset()
        self.replays: Replays = Replays()
        self.cache_key: str | None = None
        self._tries = 0
        self.output_started = False  # some part of the answer was output

    @property
    def credential(self) -> Credential:
        """The credential to use now."""
        return self.credentials.current

    def told(self) -> list[Event]:
        """Return what the user should know of the way here, once."""
        return self.replays.told()

    def next_delay(self, error: MissyError, *, sent: Collection[str], output_started: bool) -> float:
        """Return the seconds to wait before the next attempt, or raise `error` if there is none.

        `sent` are the parameters of the body; `output_started`: some part of the answer was output.
        """
        if output_started:
            raise error
        if self._drop_replays(error, sent) or self._leave_out(error, sent) or self.credentials.next(error):
            return 0.0
        if not is_passing(error) or self._retries_left == 0:
            raise error
        wait = self._wait(error)
        left = self._clock.total_remaining()
        if wait > self._patience or (left is not None and wait >= left):
            raise error
        self._retries_left -= 1
        self._patience -= wait
        return wait

    def _drop_replays(self, error: MissyError, sent: Collection[str]) -> bool:
        """Leave out what was sealed of earlier turns. A field that is named is left out by itself, and remembered."""
        if isinstance(error, ProviderError) and _blamed(error, sent) in OPTIONAL_MESSAGE_FIELDS:
            return False
        return self.replays.drop(error)

    def _leave_out(self, error: MissyError, sent: Collection[str]) -> bool:
        """Omit a parameter that a 400 or 422 names; for the length limit, switch to its other name."""
        if not isinstance(error, ProviderError) or error.status not in (400, 422):
            return False
        name = _blamed(error, sent)
        if name is None:
            return False
        if name in self.omitted or (name in _LIMITS and self.omitted & set(_LIMITS)):
            return False
        has_range = name not in _LIMITS and name not in _OTHER_WORDS
        if has_range and re.search(_OUT_OF_RANGE, error.message, re.IGNORECASE):
            return False
        self.omitted |= {name}
        if name in _OTHER_WORDS and re.search(_THIS_SCHEMA, f"{error.code} {error.message}", re.IGNORECASE):
            self._only_now |= {name}
        else:
            self.newly_omitted |= {name}
        return True

    @property
    def lasting(self) -> frozenset[str]:
        """What this endpoint refuses whatever is asked."""
        return self.omitted - self._only_now

    def _wait(self, error: MissyError) -> float:
        asked = error.retry_after if isinstance(error, ProviderError) else None
        if asked is not None:
            return asked
        self._tries += 1
        longest = min(FIRST_BACKOFF_SECONDS * 2 ** (self._tries - 1), MAX_BACKOFF_SECONDS)
        import random  # only a retry needs it

        return float(longest * random.uniform(0.5, 1.0))  # noqa: S311 jitter, not a secret


def _blamed(error: ProviderError, sent: Collection[str]) -> str | None:
    """Return the parameter that an error names as wrong, in its `param` field or else first in its message."""
    found = [name for name in (*OPTIONAL_PARAMS, *OPTIONAL_MESSAGE_FIELDS) if _is_sent(name, sent)]
    for name in error.params:
        if name in found:
            return name
    named = [
        (m.start(), name)
        for name in found
        if (m := re.search(_OTHER_WORDS.get(name, rf"\b{name}\b"), error.message))
    ]
    return min(named)[1] if named else None


def _is_sent(name: str, sent: Collection[str]) -> bool:
    if name not in OPTIONAL_MESSAGE_FIELDS:
        return name in sent
    messages = sent.get("messages", ()) if isinstance(sent, dict) else ()
    return any(name in message for message in messages)


def _is_quota(code: str | None) -> bool:
    from missy.net.error_words import QUOTA

    return code in QUOTA


def is_passing(error: MissyError) -> bool:
    """Tell whether a retry may help. A timeout is not retried: the user has set how long to wait."""
    if isinstance(error, ConnectionFailed):
        return True
    if isinstance(error, LimitError):
        return error.status == 429 and not error.lasting and not _is_quota(error.code)
    if not isinstance(error, ProviderError) or error.status is None:
        return False
    if (
        error.lasting
        or "validation error" in error.message
        or (error.code or "").startswith("invalid_request")
    ):
        return False  # a client error with a 5xx status
    return error.status in (408, 409) or error.status >= 500
