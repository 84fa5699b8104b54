"""The records of the session store, as immutable values."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One conversation. `tip` is its current last turn; `entry` and `model` are used for the next one."""

    id: str
    name: str | None
    created_ms: int
    updated_ms: int
    tip: int | None
    forked_from: str | None = None
    entry: str | None = None
    model: str | None = None
    system: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file attached to a prompt. `data` is None if the caller did not ask for it."""

    name: str
    media_type: str
    size: int
    data: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TurnStart:
    """What is known of a turn before its request is sent. `model` is None if none was chosen."""

    prompt: str
    attachments: tuple[StoredFile, ...] = ()
    entry: str | None = None
    kind: str | None = None
    host: str | None = None
    model: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended: `state` is whole, stopped, cut or failed. What was not reported is None.

    `answered` says who answered where that is another entry than the one that was asked.
    """

    state: str
    answer: str = ""
    reasoning: str = ""
    model: str | None = None
    account: str | None = None
    finish_reason: str | None = None
    request_id: str | None = None
    replay: dict[str, Any] | None = None
    in_tok: int | None = None
    out_tok: int | None = None
    cached_tok: int | None = None
    reasoning_tok: int | None = None
    cost_micro: int | None = None
    price_from: str | None = None
    answered: TurnStart | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer. `n` is its fixed number in the session; `active`: it is on the path to the tip."""

    n: int
    id: int
    session: str
    parent: int | None
    state: str
    entry: str | None
    kind: str | None
    host: str | None
    account: str | None
    model: str | None
    finish_reason: str | None
    request_id: str | None
    in_tok: int | None
    out_tok: int | None
    cached_tok: int | None
    reasoning_tok: int | None
    cost_micro: int | None
    price_from: str | None
    started_ms: int
    ended_ms: int | None
    options: dict[str, Any]
    prompt: str
    answer: str
    reasoning: str
    replay: dict[str, Any] | None
    active: bool
    attachments: tuple[StoredFile, ...] = ()


def now_ms() -> int:
    """Return the time as it is stored."""
    return int(time.time() * 1000)


def moment(ms: int) -> str:
    """Return a stored time as JSON has it: UTC, to the millisecond."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03d}Z"
    except (ValueError, OverflowError, OSError):  # a hostile number
        return "1970-01-01T00:00:00.000Z"
