"""The keys of a role."""

from __future__ import annotations

from missy.config import values
from missy.config.field import TEXT_OR_NULL, Field

ROLE = (
    Field(
        "system",
        values.optional(values.prose),
        f"a text of at most {values.MAX_PROSE} characters, or null",
        {"type": ["string", "null"], "minLength": 1, "maxLength": values.MAX_PROSE},
        "The instructions for the model; sent as they are, nothing in them is run or expanded.",
    ),
    Field(
        "provider",
        values.optional(values.text),
        "the name of an entry, or null",
        TEXT_OR_NULL,
        "The entry that the role asks; null: as without the role.",
    ),
    Field(
        "model",
        values.optional(values.text),
        "the name of a model, or null",
        TEXT_OR_NULL,
        "The model; null: the entry's.",
    ),
    Field(
        "temperature",
        values.optional(values.temperature),
        "a number from 0 to 2, or null",
        {"type": ["number", "null"], "minimum": 0, "maximum": 2},
        "The temperature; null: not sent.",
    ),
)
