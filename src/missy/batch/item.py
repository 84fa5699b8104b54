"""One row on its way: what it asks, what is reserved for it, and what came of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from missy.batch.money import to_usd

if TYPE_CHECKING:
    from missy.batch.sheet import Slice
    from missy.errors import MissyError
    from missy.events import Done, Usage
    from missy.providers.base import Request


class Item:
    """A row that is asked. `most` is what it can cost, `due` when it may be asked again (monotonic seconds)."""

    __slots__ = (
        "answers",
        "due",
        "hash",
        "id",
        "most",
        "number",
        "paid",
        "request",
        "slice",
        "tokens",
        "tries",
    )

    def __init__(self, number: int, hash_: str, id_: Any, request: Request) -> None:
        self.number: int = number
        self.hash: str = hash_
        self.id: Any = id_
        self.request: Request = request
        self.most: int = 0
        self.tokens: float = 0.0
        self.tries: int = 0
        self.answers: int = 0  # of other rows, when this one failed first
        self.due: float = 0.0
        self.paid: int = 0  # what attempts may have cost that came to nothing, in 1e-9 US dollars
        self.slice: Slice | None = None


def row_out(
    number: int,
    id_: Any,
    *,
    text: str,
    done: Done | None = None,
    model: str | None = None,
    usage: Usage | None = None,
    nano: int | None = None,
    ms: int = 0,
    value: Any = None,
    kind: str = "",
    error: MissyError | None = None,
) -> bytes:
    """Return a row as OUT has it, as JSON. Its text is null unless the answer is whole: then it is `so_far`."""
    finish = done.finish_reason if done else getattr(error, "finish_reason", None)
    row: dict[str, Any] = {"id": id_, "row": number, "text": None if kind else text}
    if kind:
        row["so_far"] = text
    row |= {
        "finish": finish,
        "model": (done.model if done else None) or getattr(error, "model", None) or model,
        "value": value,
        "usage": None if usage is None else counts(usage),
        "cost_usd": None if nano is None else to_usd(nano),
        "ms": ms,
        "error": None,
    }
    if kind:
        from missy.secrets.redact import redact

        message = redact(str(error)) if error is not None else "the model refused"
        row["error"] = {"kind": kind, "status": error.status if error else None, "message": message}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def counts(usage: Usage) -> dict[str, int | None]:
    """Return the counts of an answer as OUT has them."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }
