"""The options that `missy batch run` and `missy batch submit` share: what is asked of each row."""

from __future__ import annotations

from typing import Any

import click

from missy.cli.param_types import TEMPERATURE

COUNT = click.IntRange(1)

_OPTIONS = (
    click.option(
        "--out", "-o", metavar="OUT", help="A .jsonl, .csv or .parquet file; default: stdout, as JSON Lines."
    ),
    click.option("--provider", "-p", metavar="ENTRY", help="The entry to ask, and no other."),
    click.option("--model", "-m", metavar="M", help="The model, instead of the entry's."),
    click.option(
        "--column", metavar="NAME", help="The column that holds the prompt; default: prompt, or messages."
    ),
    click.option(
        "--template", metavar="T", help="The prompt, with {column} for a value and {{ for a brace; or @FILE."
    ),
    click.option(
        "--id", "id_", metavar="COL", help="The column that names a row in OUT; default: id, if there is one."
    ),
    click.option("--job", metavar="NAME", help="The name of the job; default: that of IN."),
    click.option("--system", "-s", metavar="TEXT", help="Instructions that come before each prompt."),
    click.option(
        "--schema", metavar="SCHEMA", help="What each answer must fit: a file, JSON, or 'name str, age int'."
    ),
    click.option("--max-tokens", metavar="N", type=COUNT, help="The longest answer, in tokens."),
    click.option("--temperature", metavar="T", type=TEMPERATURE, help="0 to 2."),
    click.option("--limit", metavar="N", type=COUNT, help="The first N rows alone."),
)


def row_options(function: Any) -> Any:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
