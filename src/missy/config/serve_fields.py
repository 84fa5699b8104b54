"""The table of the keys under `serve`; see missy.config.field."""

from __future__ import annotations

from typing import Any

from missy.config import values
from missy.config.field import FLAG, TEXT, TEXTS, Field, whole
from missy.config.section_schema import ON_FAILURE, SQLITE
from missy.config.values import NAME, SECRET_NAME, VARIABLE, Wrong, shown

MAX_ALIASES, MAX_TOKENS = 200, 1 << 20


def _listen(value: Any) -> str:
    """Check host:port, where the host is an address or localhost."""
    host, colon, port = values.text(value).rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 <= int(port) < 65_536:
        raise Wrong(shown(value), "write it like 127.0.0.1:8484 or [::1]:8484")
    return str(value)


def _host(value: Any) -> str:
    name = values.text(value)
    if not all(char.isalnum() or char in ".-" for char in name) or not name.isascii():
        raise Wrong(shown(value), "write the name alone, such as ai.example.org")
    return name.lower()


def _aliases(value: Any) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise Wrong(shown(value), "write a mapping: {fast: groq/llama-3.3-70b-versatile}")
    if len(value) > MAX_ALIASES:
        raise Wrong(f"more than {MAX_ALIASES} of them", "leave some out")
    for name, target in value.items():
        if not NAME.fullmatch(name):
            raise Wrong(f"{shown(name)} as the name of an alias", "1 to 64 letters, digits, - _ .", key=name)
        try:
            values.text(target)
        except Wrong as wrong:
            raise Wrong(wrong.found, wrong.hint, key=name) from None
    return tuple(value.items())


def check_store(value: Any) -> str:
    """Check `sqlite`, a postgresql URL, or a reference. What was found is not shown: it may hold a password."""
    text = values.text(value)
    if text == SQLITE or VARIABLE.fullmatch(text) or SECRET_NAME.fullmatch(text):
        return text
    if not text.startswith(("postgresql://", "postgres://")):
        raise Wrong("something else", "a URL begins with postgresql://")
    return text


SERVE = (
    Field(
        "listen", _listen, "host:port", {"type": "string", "pattern": "^.+:[0-9]{1,5}$"},
        "Where `missy serve` listens; other than loopback needs TLS or behind_proxy.",
    ),
    Field("hosts", values.many(_host), "a list of host names", TEXTS, "More names that clients may call it by."),
    Field(
        "behind_proxy", values.flag, "true or false", FLAG,
        "A proxy that ends TLS stands in front: other addresses than loopback are listened on without TLS.",
    ),
    Field(
        "entries", values.many(values.text), "a list of entries", TEXTS,
        "The entries that programs may use; none by default.",
    ),
    Field(
        "aliases", _aliases, "a mapping of names to an entry or entry/model",
        {"type": ["object", "null"], "additionalProperties": TEXT},
        "More names of models.",
    ),
    Field(
        "store", check_store, "sqlite, a postgresql:// URL, $ENV_VAR or vault://NAME", TEXT,
        "Where keys, budgets and usage are kept: serve.db in MISSY_HOME, or a database that several replicas share.",
    ),
    Field(
        "reserve_output_tokens", values.whole(MAX_TOKENS), f"a whole number from 1 to {MAX_TOKENS}",
        whole(MAX_TOKENS),
        "How many tokens of output are reserved where the caller names no max_tokens.",
    ),
    Field(
        "on_store_failure", values.one_of(ON_FAILURE), " | ".join(ON_FAILURE), {"enum": list(ON_FAILURE)},
        "What happens to requests while the store cannot be reached.",
    ),
)  # fmt: skip
