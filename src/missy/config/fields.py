"""The table of every key: its check, what is allowed, its text.

Validation and the JSON Schema (`json_schema`) are both read off it. The defaults stand in missy.config.schema, once.
One file, since it is one table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from missy.config import extras, values
from missy.config.kind_spec import Kinds, default_kind
from missy.config.presets import PRESETS
from missy.config.schema import SAVES

if TYPE_CHECKING:
    import re

    from missy.config.values import Check

ACCEPTS = ("image", "pdf")
_Schema = dict[str, Any]
_TEXT: _Schema = {"type": "string", "minLength": 1}
_TEXT_OR_NULL: _Schema = {"type": ["string", "null"], "minLength": 1}
_URL_OR_NULL: _Schema = {"type": ["string", "null"], "format": "uri", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"}
_FLAG: _Schema = {"type": "boolean"}


def _list(items: _Schema) -> _Schema:
    return {"type": ["array", "null"], "items": items}


def _pairs(name: re.Pattern[str], longest: int) -> _Schema:
    return {
        "type": ["object", "null"],
        "propertyNames": {"pattern": f"^{name.pattern}$"},
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": longest},
    }


_AMOUNT: _Schema = {"type": ["number", "null"], "minimum": 0, "maximum": values.MAX_PRICE}
_PRICE: _Schema = {
    "type": ["object", "null"],
    "additionalProperties": False,
    "properties": dict.fromkeys(values.PRICES, _AMOUNT),
}


def _above_zero(most: int, *types: str) -> _Schema:
    return {"type": ["number", *types], "exclusiveMinimum": 0, "maximum": most}


@dataclass(frozen=True, slots=True)
class Field:
    """One key: its `check`, the `allowed` values in words, its JSON Schema, and what it is for."""

    name: str
    check: Check
    allowed: str
    schema: _Schema
    about: str


_SECONDS = f"a number of seconds above 0, at most {values.MAX_SECONDS}"
_HOST = "a list of host, host:port or [v6]:port"
_PAIRS = "a mapping of names to text, $ENV_VAR, vault://NAME or keyring://NAME"
_KEY = "a key, $ENV_VAR, vault://NAME or keyring://NAME"

DEFAULT_PROVIDER = Field(
    "default_provider",
    values.optional(values.text),
    "the name of an entry, or null",
    _TEXT_OR_NULL,
    "The entry to use when none is named; null: the first enabled one.",
)

# what is in braces is the kinds' to say
_ENTRY = (
    Field("api_key", values.optional(values.key), f"{_KEY}, or null", _TEXT_OR_NULL, "The credential."),
    Field(
        "api_keys",
        values.many(values.key),
        f"a list; each item {_KEY}",
        _list(_TEXT),
        "A pool, tried in order when a key is refused or out of quota.",
    ),
    Field(
        "base_url",
        values.optional(values.url),
        "an http(s) URL without user name, query and fragment, or null",
        _URL_OR_NULL,
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
        _URL_OR_NULL,
        "Who logs in. null: {issuer}.",
    ),
    Field(
        "timeout",
        values.seconds,
        _SECONDS,
        _above_zero(values.MAX_SECONDS),
        "Idle timeout in seconds: for connecting, and without any data from the endpoint (comments count).",
    ),
    Field(
        "patience",
        values.optional(values.seconds),
        f"{_SECONDS}, or null",
        _above_zero(values.MAX_SECONDS, "null"),
        "Seconds without progress: text, thinking or a call; null: 10 times timeout.",
    ),
    Field(
        "deadline",
        values.optional(values.seconds),
        f"{_SECONDS}, or null",
        _above_zero(values.MAX_SECONDS, "null"),
        "Seconds for the whole answer; null: no limit.",
    ),
    Field(
        "max_retries",
        values.retries,
        f"a whole number from 0 to {values.MAX_RETRIES}",
        {"type": "integer", "minimum": 0, "maximum": values.MAX_RETRIES},
        "How often a failed request is sent again.",
    ),
    Field("enabled", values.flag, "true or false", _FLAG, "Whether the entry may be used."),
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
        _list(_TEXT),
        "Entries to try instead, in order.",
    ),
    Field(
        "model_path",
        values.optional(values.text),
        "the path of a GGUF file, or null",
        _TEXT_OR_NULL,
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
        _TEXT_OR_NULL,
        f"The model. null: {default.model} for kind {default.name}, else what the kind itself chooses.",
    )
    known = {"default": default.name, "base_url": default.base_url, "issuer": issuer}
    others = (replace(field, about=field.about.format_map(known)) for field in _ENTRY)
    return (kind, model, *others)


_MONEY = _above_zero(1_000_000, "null")
_DOLLARS = "an amount in US dollars above 0, or null"
BUDGET = (
    Field(
        "day_usd",
        values.optional(values.dollars),
        _DOLLARS,
        _MONEY,
        "The most to spend in a day, which ends at local midnight.",
    ),
    Field(
        "session_usd", values.optional(values.dollars), _DOLLARS, _MONEY, "The most to spend in a session."
    ),
)

SESSIONS = (
    Field(
        "save",
        values.one_of(SAVES),
        " | ".join(SAVES),
        {"enum": list(SAVES)},
        "Which conversations are stored unasked: those of `run`, those of `ask` as well, or none.",
    ),
    Field(
        "keep_days",
        values.optional(values.days),
        f"a whole number of days, 1 to {values.MAX_DAYS}, or null",
        {"type": ["integer", "null"], "minimum": 1, "maximum": values.MAX_DAYS},
        "Delete conversations that were last used longer ago; null: never.",
    ),
)

RUN = (
    Field(
        "history",
        values.flag,
        "true or false",
        _FLAG,
        "Whether `run` keeps the lines that were typed, for Up.",
    ),
    Field(
        "clipboard",
        values.flag,
        "true or false",
        _FLAG,
        "Whether /copy may write to the terminal's clipboard.",
    ),
    Field(
        "screen_reader",
        values.flag,
        "true or false",
        _FLAG,
        "As `run --plain`: nothing is drawn over, no colour.",
    ),
    Field("status", values.flag, "true or false", _FLAG, "Whether `run` shows the status line."),
)

NETWORK = (
    Field("default_deny", values.flag, "true or false", _FLAG, "Refuse what no rule allows."),
    Field(
        "presets",
        values.many(values.preset),
        f"a list of {', '.join(PRESETS)}",
        _list({"enum": list(PRESETS)}),
        "Named sets of hosts to allow.",
    ),
    Field(
        "provider_allowed_hosts",
        values.many(values.host),
        _HOST,
        _list(_TEXT),
        "Hosts for provider calls only; the hosts of the entries are added automatically.",
    ),
    Field("tool_allowed_hosts", values.many(values.host), _HOST, _list(_TEXT), "Hosts for tool calls only."),
    Field(
        "allowed_hosts", values.many(values.host), _HOST, _list(_TEXT), "Hosts for all calls. No port: 443."
    ),
    Field(
        "allowed_domains",
        values.many(values.domain),
        "a list of example.com (exactly) or *.example.com (it and every name under it)",
        _list(_TEXT),
        "Domains for all calls.",
    ),
    Field(
        "allowed_cidrs",
        values.many(values.cidr),
        "a list of networks such as 10.0.0.0/8 or fd00::/8",
        _list(_TEXT),
        "Addresses that a name may resolve to although they are not public.",
    ),
    Field(
        "proxy",
        values.optional(values.proxy),
        "http(s)://host:port, or null",
        _URL_OR_NULL,
        "The only way to use a proxy: the environment's is ignored.",
    ),
    Field(
        "ca_bundle",
        values.optional(values.text),
        "the path of a PEM file, or null",
        _TEXT_OR_NULL,
        "Additional trusted root certificates. A relative path starts at the file's folder.",
    ),
)

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
