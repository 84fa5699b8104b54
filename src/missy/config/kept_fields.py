"""The keys of the sections `audit` and `batch`."""

from __future__ import annotations

from typing import Any

from missy.config import values
from missy.config.fields import Field

MAX_SEGMENT_MB = 65_536
MAX_SEGMENTS = 1_000_000


def _within(most: int) -> values.Check:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise values.Wrong(values.shown(value))
        return value

    return check


AUDIT = (
    Field(
        "segment_mb",
        _within(MAX_SEGMENT_MB),
        f"a whole number from 1 to {MAX_SEGMENT_MB}",
        {"type": "integer", "minimum": 1, "maximum": MAX_SEGMENT_MB},
        "The record begins another file when it has so many MiB.",
    ),
    Field(
        "keep",
        values.optional(_within(MAX_SEGMENTS)),
        f"a whole number from 1 to {MAX_SEGMENTS}, or null",
        {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_SEGMENTS},
        "How many ended files of the record stay; null: all.",
    ),
)

BATCH = (
    Field(
        "keep_days",
        values.optional(values.days),
        f"a whole number of days, 1 to {values.MAX_DAYS}, or null",
        {"type": ["integer", "null"], "minimum": 1, "maximum": values.MAX_DAYS},
        "Delete jobs of bulk work that were last run longer ago; null: never.",
    ),
)
