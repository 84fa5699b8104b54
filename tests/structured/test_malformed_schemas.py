"""Schemas that are JSON and no JSON Schema, made at random: none of them is an internal error."""

from __future__ import annotations

import json
from contextlib import suppress

from hypothesis import example, given, settings
from hypothesis import strategies as st

from missy import UsageError
from missy.structured.limits import DIALECTS
from missy.structured.reading import read_schema

KEYWORDS = (
    "type", "enum", "const", "required", "properties", "additionalProperties", "items", "prefixItems", "anyOf", "allOf",
    "oneOf", "not", "if", "format", "pattern", "patternProperties", "minimum", "maxItems", "multipleOf", "title", "$id",
    "$ref", "$dynamicRef", "$recursiveRef", "$recursiveAnchor", "$anchor", "$dynamicAnchor", "$defs", "definitions",
    "dependentSchemas", "dependencies", "unevaluatedProperties", "contains", "propertyNames",
)  # fmt: skip
WORDS = ("object", "array", "string", "date", "#", "#/anyOf/0", "#/$defs/a", "#/items/7", "#a", "a", "(", "")
values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats(allow_nan=False) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from((*KEYWORDS, "a")), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
dialects = st.none() | st.sampled_from([f"https://{name}" for name in sorted(DIALECTS)])
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
CLOSED = {"type": "object", "additionalProperties": False}


@settings(max_examples=400)
@given(st.dictionaries(st.sampled_from(KEYWORDS), values, min_size=1, max_size=5), dialects, st.booleans())
@example({**CLOSED, "$defs": {"a": {"enum": 5}}}, DRAFT_7, False)
@example({**CLOSED, "$defs": {"a": {**CLOSED, "required": [[]]}}}, DRAFT_7, False)
@example({**CLOSED, "definitions": {"a": {"anyOf": 5}}}, None, False)
def test_a_malformed_schema_is_a_usage_error_and_nothing_else(schema, dialect, multi):
    """Whatever stands under a keyword: the schema is read, or refused as wrong use."""
    schema = schema if dialect is None else {"$schema": dialect, **schema}
    with suppress(UsageError):
        assert read_schema(json.dumps(schema), multi=multi).strict in (True, False)
