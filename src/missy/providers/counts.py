"""What an answer counts for: its tokens as the endpoint says, its length against the bound, its places. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.errors import BadReply
from missy.events import Usage

if TYPE_CHECKING:
    from decimal import Decimal

MAX_USD = 1_000_000  # of one call; more is no price
MAX_TOKENS = 1_000_000_000  # of one call; more is no count, and sums of them would not fit into 64 bits

MAX_TEXT = 8 << 20  # characters of one answer, including thinking; a non-ASCII character counts as eight

MAX_DEPTH = 200  # levels of nesting of an item that is kept


class Length:
    """The length of one answer so far."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        self.total: int = 0

    def add(self, text: str) -> None:
        """Count a piece. Raises BadReply over MAX_TEXT. Non-ASCII text takes more memory, here and escaped in JSON."""
        self.total += len(text) if text.isascii() else 8 * len(text)
        if self.total > MAX_TEXT:
            raise BadReply(f"the answer is longer than {MAX_TEXT >> 20} million characters")


def place_number(place: object) -> int | None:
    """Return a place in a list, which some servers write as text; None for what is none."""
    if isinstance(place, str) and place.isdecimal() and len(place) < 7:
        return int(place)
    return place if isinstance(place, int) else None


def other_model(asked: str | None, given: str) -> str:
    """Return a notice if another model than the requested one answered; a dated snapshot counts as the same."""
    one, other = (asked or "").lower().rpartition("/")[2], given.lower().rpartition("/")[2]
    if not one or other.startswith(one) or one.startswith(other):
        return ""
    return f"asked for the model {asked}, {given} answered"


def chat_usage(usage: dict[str, Any]) -> Usage:
    """Parse the counts of Chat Completions; one that is missing, null or not a number is None."""
    prompt, completion = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    cached = prompt.get("cached_tokens") if isinstance(prompt, dict) else usage.get("prompt_cache_hit_tokens")
    thought = completion.get("reasoning_tokens") if isinstance(completion, dict) else None
    return Usage(
        input_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")),
        total_tokens=_count(usage.get("total_tokens")),
        cached_tokens=_count(cached),
        reasoning_tokens=_count(thought),
        cache_write_tokens=_cache_writes(usage, prompt),
        cost=_told_cost(usage),
    )


def responses_usage(usage: dict[str, Any]) -> Usage:
    """The same for Responses, which uses other names."""
    given, made = usage.get("input_tokens_details"), usage.get("output_tokens_details")
    return Usage(
        input_tokens=_count(usage.get("input_tokens")),
        output_tokens=_count(usage.get("output_tokens")),
        total_tokens=_count(usage.get("total_tokens")),
        cached_tokens=_count(given.get("cached_tokens")) if isinstance(given, dict) else None,
        reasoning_tokens=_count(made.get("reasoning_tokens")) if isinstance(made, dict) else None,
        cache_write_tokens=_cache_writes(usage, given),
        cost=_told_cost(usage),
    )


def _cache_writes(usage: dict[str, Any], details: object) -> int | None:
    """Return the input tokens that were written to the cache: OpenRouter's, LiteLLM's and Anthropic's names."""
    inside = details if isinstance(details, dict) else {}
    found = (
        inside.get("cache_write_tokens"),
        inside.get("cache_creation_tokens"),
        usage.get("cache_creation_input_tokens"),
    )
    return next((count for count in map(_count, found) if count is not None), None)


def _told_cost(usage: dict[str, Any]) -> Decimal | None:
    """Return the cost that the endpoint tells, in US dollars: `usage.cost` of OpenRouter, an object at Perplexity.

    With a key of one's own at the provider behind it, OpenRouter tells its fee, and the provider's part beside it.
    """
    told = usage.get("cost")
    if isinstance(told, dict):
        told = told.get("total_cost")
    cost = _amount(told)
    details = usage.get("cost_details")
    if cost is None or usage.get("is_byok") is not True or not isinstance(details, dict):
        return cost
    return cost + (_amount(details.get("upstream_inference_cost")) or 0)


def _amount(value: object) -> Decimal | None:
    """Return an amount of money that is a finite number and not negative, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MAX_USD:
        return None
    from decimal import Decimal

    return Decimal(str(value))


def _count(value: object) -> int | None:
    """Return a count of tokens, or None for anything else."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= MAX_TOKENS else None


def size_of(value: Any) -> int:
    """Return the approximate number of characters of a JSON value. Raises BadReply if it is nested too deep."""
    size, level, depth = 0, [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise BadReply("an item of the answer is nested too deep")
        below: list[Any] = []
        for one in level:
            if isinstance(one, str):
                size += len(one)
            elif isinstance(one, dict):
                below += one.values()
                size += sum(map(len, one))
            elif isinstance(one, list):
                below += one
            size += 4
        level = below
    return size


def add_usage(first: Usage, second: Usage) -> Usage:
    """Add two counts up. One that is not known leaves the sum unknown."""
    one, other = first.as_dict(), second.as_dict()
    return Usage(
        **{
            name: None if one[name] is None or other[name] is None else one[name] + other[name]
            for name in one
        }
    )
