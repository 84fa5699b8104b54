"""Finding a conversation by words: all of them, anywhere inside, in any script and either case.

It reads every text instead of an index: an index would keep words of deleted texts, and cannot split all scripts into words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from unicodedata import normalize

from missy.errors import UsageError
from missy.sessions import tree

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from missy.sessions.store import Store

_AROUND = 40  # characters of a snippet on either side of the first word
_LONGEST = 1000  # characters of all words


@dataclass(frozen=True, slots=True)
class Hit:
    """A match: `turn` is None if only the name matches; `role` is user, assistant or name."""

    session: str
    name: str | None
    turn: int | None
    role: str
    snippet: str
    at_ms: int


def search(store: Store, text: str, limit: int = 20) -> list[Hit]:
    """Return the newest matches: turns whose prompt, answer and session name together contain all words."""
    words = [fold(word) for word in text.split()]
    if not words or len(text) > _LONGEST:
        raise UsageError("there is nothing to search for" if not words else "that is too long to search for")
    with store.read() as db:
        rows = db.execute("SELECT id, name, updated_ms FROM session ORDER BY updated_ms DESC").fetchall()
        names = {id_: (name, fold(name or ""), updated) for id_, name, updated in rows}
        hits = [
            Hit(id_, name, None, "name", snippet(name or "", words), updated)
            for id_, (name, folded, updated) in names.items()
            if folded and all(word in folded for word in words)
        ]
        hits += _in_turns(db, words, names, max(0, limit - len(hits)))
    return hits[:limit]


def _in_turns(
    db: sqlite3.Connection, words: Sequence[str], names: dict[str, tuple[str | None, str, int]], limit: int
) -> list[Hit]:
    hits: list[Hit] = []
    numbers: dict[str, list[int]] = {}
    if not limit:
        return hits
    query = "SELECT id, session, prompt, answer, coalesce(ended_ms, started_ms) FROM turn ORDER BY id DESC"
    for id_, session, prompt, answer, at in db.execute(query):
        asked, said = fold(prompt), fold(answer or "")
        name, folded_name, _ = names.get(session, (None, "", 0))
        left = [word for word in words if word not in asked and word not in said]
        if len(left) == len(words) or not all(word in folded_name for word in left):
            continue
        in_answer = sum(word in said for word in words) > sum(word in asked for word in words)
        if session not in numbers:
            numbers[session] = tree.reach_ids(db, session)
        role, source = ("assistant", answer) if in_answer else ("user", prompt)
        hits.append(Hit(session, name, numbers[session].index(id_) + 1, role, snippet(source, words), at))
        if len(hits) == limit:
            break
    return hits


def fold(text: str) -> str:
    """Return a text for comparison, without differences of case or Unicode normalization."""
    return text.lower() if text.isascii() else normalize("NFC", text.casefold())


def snippet(text: str, words: Sequence[str]) -> str:
    """Return the text around the first matching word, in one line."""
    folded = fold(text)
    places = [(place, word) for word in words if (place := folded.find(word)) >= 0]
    place, word = min(places) if places else (0, "")
    start, end = _original(text, folded, place), _original(text, folded, place + len(word))
    first, last = max(0, start - _AROUND), min(len(text), end + _AROUND)
    shown = " ".join(text[first:last].split())
    return ("…" if first else "") + shown + ("…" if last < len(text) else "")


def _original(text: str, folded: str, place: int) -> int:
    """Map a position in the folded text to the original: `ß` has one character there and two when folded."""
    if len(text) == len(folded):
        return place
    seen = 0
    for index, char in enumerate(text):
        if seen >= place:
            return index
        seen += len(fold(char))
    return len(text)
