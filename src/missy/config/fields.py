"""The keys at the top of the file, and those of an entry, as a table; see missy.config.field."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.config import extras, values
from missy.config.field import FLAG, TEXT_OR_NULL, TEXTS, URL_OR_NULL, Field, Schema, above_zero, whole
from missy.config.kind_spec import Kinds, default_kind

if TYPE_CHECKING:
    import re

ACCEPTS = ("image", "pdf")
SECTIONS = (
    "default_provider",
    "providers",
    "roles",
    "budget",
    "sessions",
    "run",
    "audit",
    "batch",
    "network",
    "tools",
    "serve",
    "mcp",
)


def _pairs(name: re.Pattern[str], longest: int) -> Schema:
    return {
        "type": ["object", "null"],
        "propertyNames": {"pattern": f"^{name.pattern}$"},
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": longest},
    }


_AMOUNT: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": values.MAX_PRICE}
_PRICE: Schema = {
    "type": ["object", "null"],
    "additionalProperties": False,
    "properties": dict.fromkeys(values.PRICES, _AMOUNT),
}


_SECONDS = f"a number of seconds above 0, at most {values.MAX_SECONDS}"
_HOST = "a list of host, host:port or [v6]:port"
_PAIRS = "a mapping of names to text, $ENV_VAR, vault://NAME or keyring://NAME"
_KEY = "a key, $ENV_VAR, vault://NAME or keyring://NAME"

DEFAULT_PROVIDER = Field(
    "default_provider",
    values.optional(values.text),
    "the name of an entry, or null",
    TEXT_OR_NULL,
    "The entry to use when none is named; null: the first enabled one.",
)

# what is in braces is the kinds' to say
_ENTRY = (
    Field("api_key", values.optional(values.key), f"{_KEY}, or null", TEXT_OR_NULL, "The credential."),
    Field(
        "api_keys",
        values.many(values.key),
        f"a list; each item {_KEY}",
        TEXTS,
        "A pool, tried in order when a key is refused or out of quota.",
    ),
    Field(
        "base_url",
        values.optional(values.url),
        "an http(s) URL without user name, query and fragment, or null",
        URL_OR_NULL,
        "The endpoint. null: the kind's own, {base_url} for {default}.",
    ),
    Field(
        "headers",
        extras.headers,
        _PAIRS,
        _pairs(extras.HEADER_NAME, extras.MAX_VALUE_CHARS),
        "Additional HTTP headers, sent only to this endpoint.",
    ),
    Field(
        "query",
        extras.query,
        _PAIRS,
        _pairs(extras.QUERY_NAME, extras.MAX_VALUE_CHARS),
        "Parameters for the query string of every call, for example Azure's api-version.",
    ),
    Field(
        "api_key_header",
        values.optional(extras.api_key_header),
        "the name of a header, or null",
        {"type": ["string", "null"], "pattern": f"^{extras.HEADER_NAME.pattern}$"},
        "The header that carries the bare key (Azure: api-key). null: Authorization: Bearer.",
    ),
    Field(
        "issuer",
        values.optional(values.url),
        "an http(s) URL without user name, query and fragment, or null",
        URL_OR_NULL,
        "Who logs in. null: {issuer}.",
    ),
    Field(
        "timeout",
        values.seconds,
        _SECONDS,
        above_zero(values.MAX_SECONDS),
        "Idle timeout in seconds: for connecting, and without any data from the endpoint (comments count).",
    ),
    Field(
        "patience",
        values.optional(values.seconds),
        f"{_SECONDS}, or null",
        above_zero(values.MAX_SECONDS, "null"),
        "Seconds without progress: text, thinking or a call; null: 10 times timeout.",
    ),
    Field(
        "deadline",
        values.optional(values.seconds),
        f"{_SECONDS}, or null",
        above_zero(values.MAX_SECONDS, "null"),
        "Seconds for the whole answer; null: no limit.",
    ),
    Field(
        "max_retries",
        values.whole(values.MAX_RETRIES, 0),
        f"a whole number from 0 to {values.MAX_RETRIES}",
        whole(values.MAX_RETRIES, least=0),
        "How often a failed request is sent again.",
    ),
    Field("enabled", values.flag, "true or false", FLAG, "Whether the entry may be used."),
    Field(
        "accepts",
        values.optional(values.many(values.one_of(ACCEPTS))),
        f"a list of {', '.join(ACCEPTS)}, or null",
        {"type": ["array", "null"], "items": {"enum": list(ACCEPTS)}},
        "The kinds of files that may be sent besides text. null: images, and PDF at {default}'s own endpoint.",
    ),
    Field(
        "fallback",
        values.many(values.text),
        "a list of names of entries",
        TEXTS,
        "Entries to try instead, in order.",
    ),
    Field(
        "model_path",
        values.optional(values.text),
        "the path of a GGUF file, or null",
        TEXT_OR_NULL,
        "Another model file. A relative path starts at the file's folder.",
    ),
    Field(
        "price",
        values.price,
        f"{{input, cached_input, output}}: numbers from 0 to {values.MAX_PRICE}, or null",
        _PRICE,
        "US dollars for a million tokens, in place of the known price; cached_input null: as input.",
    ),
)


def entry_fields(kinds: Kinds) -> tuple[Field, ...]:
    """Return the keys of an entry, which can be of one of these kinds."""
    default, names = default_kind(kinds), list(kinds)
    issuer = next((spec.issuer for spec in kinds.values() if spec.issuer), "none")
    kind = Field(
        "name",
        values.optional(values.one_of(kinds)),
        " | ".join(names),
        {"enum": [*names, None]},
        f"The kind. Default: the entry's own name if that is a kind, else {default.name}.",
    )
    model = Field(
        "model",
        values.optional(values.text),
        "the name of a model, or null",
        TEXT_OR_NULL,
        f"The model. null: {default.model} for kind {default.name}, else what the kind itself chooses.",
    )
    known = {"default": default.name, "base_url": default.base_url, "issuer": issuer}
    others = (field._replace(about=field.about.format_map(known)) for field in _ENTRY)
    return (kind, model, *others)
