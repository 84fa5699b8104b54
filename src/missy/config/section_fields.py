"""The tables of the keys of the small sections, and of `network`; see missy.config.field."""

from __future__ import annotations

from missy.config import values
from missy.config.field import FLAG, TEXT_OR_NULL, TEXTS, URL_OR_NULL, Field, above_zero, list_of, whole
from missy.config.presets import PRESETS
from missy.config.section_schema import SAVES

MAX_SEGMENT_MB = 65_536
MAX_SEGMENTS = 1_000_000
_HOST = "a list of host, host:port or [v6]:port"
_MONEY = above_zero(1_000_000, "null")
_DOLLARS = "an amount in US dollars above 0, or null"


def _keep_days(about: str) -> Field:
    allowed = f"a whole number of days, 1 to {values.MAX_DAYS}, or null"
    check = values.optional(values.whole(values.MAX_DAYS))
    return Field("keep_days", check, allowed, whole(values.MAX_DAYS, "null"), about)


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
    _keep_days("Delete conversations that were last used longer ago; null: never."),
)

RUN = (
    Field(
        "history",
        values.flag,
        "true or false",
        FLAG,
        "Whether `run` keeps the lines that were typed, for Up.",
    ),
    Field(
        "clipboard",
        values.flag,
        "true or false",
        FLAG,
        "Whether /copy may write to the terminal's clipboard.",
    ),
    Field(
        "screen_reader",
        values.flag,
        "true or false",
        FLAG,
        "As `run --plain`: nothing is drawn over, no colour.",
    ),
    Field("status", values.flag, "true or false", FLAG, "Whether `run` shows the status line."),
)

NETWORK = (
    Field("default_deny", values.flag, "true or false", FLAG, "Refuse what no rule allows."),
    Field(
        "presets",
        values.many(values.preset),
        f"a list of {', '.join(PRESETS)}",
        list_of({"enum": list(PRESETS)}),
        "Named sets of hosts to allow.",
    ),
    Field(
        "provider_allowed_hosts",
        values.many(values.host),
        _HOST,
        TEXTS,
        "Hosts for provider calls only; the hosts of the entries are added automatically.",
    ),
    Field("tool_allowed_hosts", values.many(values.host), _HOST, TEXTS, "Hosts for tool calls only."),
    Field("allowed_hosts", values.many(values.host), _HOST, TEXTS, "Hosts for all calls. No port: 443."),
    Field(
        "allowed_domains",
        values.many(values.domain),
        "a list of example.com (exactly) or *.example.com (it and every name under it)",
        TEXTS,
        "Domains for all calls.",
    ),
    Field(
        "allowed_cidrs",
        values.many(values.cidr),
        "a list of networks such as 10.0.0.0/8 or fd00::/8",
        TEXTS,
        "Addresses that a name may resolve to although they are not public.",
    ),
    Field(
        "proxy",
        values.optional(values.proxy),
        "http(s)://host:port, or null",
        URL_OR_NULL,
        "The only way to use a proxy: the environment's is ignored.",
    ),
    Field(
        "ca_bundle",
        values.optional(values.text),
        "the path of a PEM file, or null",
        TEXT_OR_NULL,
        "Additional trusted root certificates. A relative path starts at the file's folder.",
    ),
)

AUDIT = (
    Field(
        "segment_mb",
        values.whole(MAX_SEGMENT_MB),
        f"a whole number from 1 to {MAX_SEGMENT_MB}",
        whole(MAX_SEGMENT_MB),
        "The record begins another file when it has so many MiB.",
    ),
    Field(
        "keep",
        values.optional(values.whole(MAX_SEGMENTS)),
        f"a whole number from 1 to {MAX_SEGMENTS}, or null",
        whole(MAX_SEGMENTS, "null"),
        "How many ended files of the record stay; null: all.",
    ),
)

BATCH = (_keep_days("Delete jobs of bulk work that were last run longer ago; null: never."),)

TABLES = {
    "budget": BUDGET,
    "sessions": SESSIONS,
    "run": RUN,
    "network": NETWORK,
    "audit": AUDIT,
    "batch": BATCH,
}
