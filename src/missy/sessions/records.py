"""What is in the store, as values."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Stored:
    """One conversation. `tip` is the turn that it ends with now; `entry` and `model` are what it is to be asked with."""

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
class Attached:
    """A file that went with a prompt. `data` is None where it was not asked for."""

    name: str
    media_type: str
    size: int
    data: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a turn before its request leaves. A `model` that is None was not wished for."""

    prompt: str
    attachments: tuple[Attached, ...] = ()
    entry: str | None = None
    kind: str | None = None
    host: str | None = None
    model: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended: `state` is whole, stopped, cut or failed. What nobody said is None."""

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


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer. `n` is its number in the session, which stays; `active`: it is in the line to the tip."""

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
    attachments: tuple[Attached, ...] = ()


def now_ms() -> int:
    """Return the time as it is stored."""
    return int(time.time() * 1000)


def moment(ms: int) -> str:
    """Return a stored time as JSON has it: UTC, to the millisecond."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03d}Z"
    except (ValueError, OverflowError, OSError):  # a hostile number
        return "1970-01-01T00:00:00.000Z"
