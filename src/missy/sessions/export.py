"""A conversation as a document: Markdown with every text unchanged, or JSON. Nothing is escaped for the terminal here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.sessions.listing import dollars, title, usage
from missy.sessions.records import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missy.sessions.records import SessionRecord, Turn

VERSION = 1
_ENDED = {
    "stopped": "stopped: this is how far the answer had come",
    "cut": "cut off: this is how far the answer had come",
    "failed": "failed: no answer came",
    "asking": "not answered yet",
}


def as_json(session: SessionRecord, turns: Sequence[Turn], *, only: int | None = None) -> dict[str, Any]:
    """Return the object of `export --format json` and `show --json`; `only`: with this turn alone.

    Without a name of its own it has its title: that of its first active turn, as in the list.
    """
    first = next((turn for turn in turns if turn.active), None)
    return {
        "version": VERSION,
        "id": session.id,
        "name": session.name or (first and title(first.prompt)) or None,
        "system": session.system,
        "turns": [_turn(turn) for turn in turns if only in (None, turn.n)],
    }


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "n": turn.n,
        "at": moment(turn.started_ms),
        "state": turn.state,
        "prompt": turn.prompt,
        "attachments": [
            {"name": file.name, "media_type": file.media_type, "bytes": file.size}
            for file in turn.attachments
        ],
        "answer": turn.answer,
        "reasoning": turn.reasoning,
        "entry": turn.entry,
        "model": turn.model,
        "finish_reason": turn.finish_reason,
        "usage": usage(turn.in_tok, turn.out_tok, turn.cached_tok, turn.reasoning_tok),
        "cost_usd": dollars(turn.cost_micro),
        **({"cost_estimated": True} if (turn.price_from or "").startswith("~") else {}),
        "request_id": turn.request_id,
        "active": turn.active,
    }


def as_markdown(turns: Sequence[Turn], *, reasoning: bool = False) -> str:
    """Return the turns under headings that say who speaks."""
    return "\n".join(_markdown(turn, reasoning=reasoning) for turn in turns)


def _markdown(turn: Turn, *, reasoning: bool) -> str:
    parts = ["## You", turn.prompt]
    parts += [f"*(attached: {file.name or file.media_type}, {file.size} bytes)*" for file in turn.attachments]
    parts.append(f"## {turn.model or turn.entry or 'Answer'}")
    if reasoning and turn.reasoning:
        parts += ["### Thinking", turn.reasoning, "### Answer"]
    if turn.answer:
        parts.append(turn.answer)
    if turn.state in _ENDED:
        parts.append(f"*({_ENDED[turn.state]})*")
    return "".join(f"{part}\n\n" for part in parts).removesuffix("\n")
