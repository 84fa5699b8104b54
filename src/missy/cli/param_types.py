"""Types of option values: numbers that must be finite, which click's own types do not check."""

from __future__ import annotations

from math import isfinite
from typing import Any

import click


class Number(click.FloatRange):
    """A finite number in a range."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse nan and inf, which pass the range check."""
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


SECONDS = Number(0, 1_000_000, min_open=True)
TEMPERATURE = Number(0, 2)
