"""Types of option values: numbers that must be finite, which click's own types do not check."""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, Any

import click

from missy.errors import UsageError

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:  # click 8.2 has no parameters there
    _ParamType = click.ParamType

_AGE = re.compile(r"(\d{1,6})([hdw])")
_UNIT_SECONDS = {"h": 3600, "d": 86_400, "w": 604_800}


class Number(click.FloatRange):
    """A finite number in a range."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse nan and inf, which pass the range check."""
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


class Concurrency(_ParamType):
    """A number of requests at a time, or `auto`, which is None."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        return None if value == "auto" else click.IntRange(1, 1024).convert(value, param, ctx)


class Shard(_ParamType):
    """A part of a job: `3/16`."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        found = re.fullmatch(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", value)
        if found is None or int(found[1]) > int(found[2]):
            self.fail(f"{value!r} is no shard: 1/16 is the first of 16, and 16/16 the last.", param, ctx)
        return int(found[1]), int(found[2])


CONCURRENCY = Concurrency()
SHARD = Shard()
SECONDS = Number(0, 1_000_000, min_open=True)
TEMPERATURE = Number(0, 2)
DOLLARS = Number(0, 1_000_000, max_open=True)


def seconds_of_age(text: str) -> int:
    """Read an age such as 30d. Raises UsageError."""
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"'{text}' is no age", hint="write 12h, 30d or 4w")
    return int(found[1]) * _UNIT_SECONDS[found[2]]
