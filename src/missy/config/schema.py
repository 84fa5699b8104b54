"""The whole configuration and its entries as typed, immutable values with every default filled in.

Nothing here reads a file or the environment (except that a hint checks for the local model), and `repr` of an entry
never shows a key. The other sections are in `section_schema`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.config.section_schema import (
    AuditFiles,
    BatchFiles,
    Budget,
    Conversation,
    Keep,
    McpServer,
    Network,
    Role,
    Serve,
    Tools,
)
from missy.errors import UsageError
from missy.masking import REFERENCES, names_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from missy.config.kind_spec import Kinds, KindSpec
    from missy.policy import Rules


class TokenPrice(NamedTuple):
    """What a million tokens cost, in US dollars. `cached_input` is None where cached tokens cost as much as others."""

    input: float
    output: float
    cached_input: float | None = None


class Entry(NamedTuple):
    """One entry under `providers`. Keys, `headers` and `query` are the literal text of the file, references unresolved.

    `spec` is its kind. `timeout`, `patience` and `deadline` are in seconds; `line` is the entry's line in the file, 0
    if it is in none.
    """

    entry: str
    spec: KindSpec
    model: str | None = None
    api_key: str | None = None
    api_keys: tuple[str, ...] = ()
    base_url: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    api_key_header: str | None = None
    issuer: str | None = None
    timeout: float = 30.0
    patience: float | None = None
    deadline: float | None = None
    max_retries: int = 2
    enabled: bool = True
    fallback: tuple[str, ...] = ()
    accepts: tuple[str, ...] | None = None
    model_path: str | None = None
    price: TokenPrice | None = None
    line: int = 0

    def __repr__(self) -> str:
        return f"Entry({self.entry!r}, {self.kind!r}, {self.endpoint!r})"  # the others may hold a key

    @property
    def kind(self) -> str:
        """The name of its kind."""
        return self.spec.name

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every value that is a secret or refers to one: keys, headers, query."""
        keys = (self.api_key,) if self.api_key else ()
        return (*keys, *self.api_keys, *(text for _, text in (*self.headers, *self.query)))

    @property
    def literal_keys(self) -> tuple[str, ...]:
        """The credentials written literally in the file: keys, and headers and parameters named like one."""
        named = [text for name, text in (*self.headers, *self.query) if names_secret(name)]
        found = (*((self.api_key,) if self.api_key else ()), *self.api_keys, *named)
        return tuple(text for text in found if not is_reference(text))

    @property
    def endpoint(self) -> str | None:
        """The base URL that is used, without a slash at its end; None for a kind that has no endpoint."""
        url = self.base_url or self.spec.base_url
        return url.rstrip("/") if url else None

    @property
    def accepted(self) -> tuple[str, ...]:
        """The kinds of files that may be sent besides text: image, pdf."""
        if self.accepts is not None:
            return self.accepts
        return self.spec.accepts if self._is_own_endpoint else self.spec.accepts_elsewhere

    @property
    def _is_own_endpoint(self) -> bool:
        """Whether it asks the service that its kind is named after, in any of its regions."""
        if self.base_url is None or self.spec.base_url is None:
            return self.base_url is None
        from missy.policy import parse

        host, own = parse(self.base_url).host, parse(self.spec.base_url).host
        return host == own or host.endswith(f".{own}")

    @property
    def issuer_url(self) -> str | None:
        """The login server's URL, without a trailing slash; None for a kind without login."""
        if self.spec.issuer is None:
            return None
        return (self.issuer or self.spec.issuer).rstrip("/")

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Every URL that the entry may reach: its endpoint and its issuer."""
        return tuple(url for url in (self.endpoint, self.issuer_url) if url)


class Caution(str):
    """A warning about the file: valid but not recommended; `entries` are the ones concerned.

    `refused` is the URL that the policy refuses, if that is what the warning says.
    """

    __slots__ = ("entries", "refused")
    entries: tuple[str, ...]
    refused: str | None

    def __new__(cls, text: str, entries: Iterable[str] = (), refused: str | None = None) -> Caution:  # noqa: D102, PYI034
        made = super().__new__(cls, text)
        made.entries = tuple(entries)
        made.refused = refused
        return made


_NONE: Mapping[str, Any] = MappingProxyType({})  # shared, so it cannot be changed


class Config(NamedTuple):
    """The whole file, checked. `exists`: whether there is one; `providers` keeps the order of the file.

    `kinds` is the table that it was checked against.
    `fingerprint` tells this state of the file from others: () without a file, None if it was not loaded from one.
    """

    path: Path
    kinds: Kinds
    exists: bool = False
    default_provider: str | None = None
    providers: Mapping[str, Entry] = _NONE
    network: Network = Network()
    budget: Budget = Budget()
    sessions: Keep = Keep()
    roles: Mapping[str, Role] = _NONE
    tools: Tools = Tools()
    mcp: Mapping[str, McpServer] = _NONE
    run: Conversation = Conversation()
    audit: AuditFiles = AuditFiles()
    batch: BatchFiles = BatchFiles()
    serve: Serve = Serve()
    warnings: tuple[Caution, ...] = ()
    fingerprint: tuple[int, ...] | None = None

    @property
    def default(self) -> str | None:
        """The name of the default entry, or None if there is none."""
        enabled = (entry.entry for entry in self.providers.values() if entry.enabled)
        return self.default_provider or next(enabled, None)

    def entry(self, name: str | None = None) -> Entry:
        """Return the entry called `name`, or the default one. Never another one instead.

        A kind that is always there needs no entry: it has nothing to be configured. Raises UsageError.
        """
        wanted = name if name is not None else self.default
        found = self.providers.get(wanted) if wanted is not None else None
        if found is not None and found.enabled:
            return found
        if found is not None:
            raise UsageError(
                f"provider '{wanted}' is disabled ({self.path}:{found.line})",
                hint="set `enabled: true` there, or name another with --provider",
            )
        if wanted is not None and wanted in (bare := self.always_there):
            return bare[wanted]
        raise self._missing(wanted)

    @property
    def always_there(self) -> dict[str, Entry]:
        """The entries that can be named although they are in no file, by name."""
        return {name: Entry(name, spec) for name, spec in self.kinds.items() if spec.always_there}

    def _missing(self, wanted: str | None) -> UsageError:
        if not self.providers:
            where = f"in {self.path}" if self.exists else f"there is no {self.path}"
            asked = f"no provider '{wanted}': none is configured" if wanted else "no provider is configured"
            return UsageError(f"{asked} ({where})", hint=self._how_to_start(wanted))
        if wanted is None:
            return UsageError(f"every provider in {self.path} is disabled", hint="set `enabled: true` in one")
        names = [*self.providers, *self.always_there]
        hint = nearest(wanted, names) or self._set_up(wanted)
        return UsageError(
            f"no provider '{wanted}' in {self.path}", hint=hint or f"the entries are: {', '.join(names)}"
        )

    def _how_to_start(self, wanted: str | None) -> str:
        from missy.hints import without_a_key

        begin = self._set_up(wanted or "") or "run: missy setup"
        return f"{begin}; without a key, on this machine: {without_a_key()}"

    def _set_up(self, wanted: str) -> str:
        """Return how to set up a service or kind that has no entry yet, "" for an unknown name."""
        from difflib import get_close_matches

        from missy.config.presets import PRESETS

        kinds = [spec.name for spec in self.kinds.values() if not spec.always_there]
        known = [name for name in (*PRESETS, *kinds) if name != "github"]
        near = get_close_matches(wanted.lower()[:64], known, n=1, cutoff=0.65)
        if not near:
            return ""
        asked = "" if near[0] == wanted else f"did you mean {near[0]}? "
        return f"{asked}set it up first: missy setup --no-prompt --provider {near[0]}"

    def rules(self) -> Rules:
        """Return the input of the policy: the enabled entries' endpoints and the network section."""
        from missy.config.presets import PRESETS
        from missy.policy import Endpoint, Rules

        enabled = [entry for entry in self.providers.values() if entry.enabled]
        endpoints = (Endpoint(url, entry.entry) for entry in enabled for url in entry.endpoints)
        servers = (Endpoint(one.url, one.entry, "tool") for one in self.mcp.values() if one.url)
        network = self.network
        return Rules(
            default_deny=network.default_deny,
            endpoints=(*endpoints, *servers),
            provider_allowed_hosts=network.provider_allowed_hosts,
            tool_allowed_hosts=network.tool_allowed_hosts,
            allowed_hosts=network.allowed_hosts,
            allowed_domains=network.allowed_domains,
            allowed_cidrs=network.allowed_cidrs,
            preset_hosts=tuple((name, host) for name in network.presets for host in PRESETS[name].hosts),
        )


def nearest(word: str, names: Iterable[str]) -> str:
    """Return "did you mean X?" for the name closest to `word`, or "" if none is close."""
    from difflib import get_close_matches

    found = get_close_matches(word.lower()[:64], list(names), n=1, cutoff=0.65)
    return f"did you mean {found[0]}?" if found else ""


def is_reference(key: str) -> bool:
    """Tell whether a value refers to a secret stored elsewhere, such as `$NAME` or `Bearer $NAME`."""
    word, blank, rest = key.partition(" ")
    return (rest if blank and word.isalpha() else key).startswith(REFERENCES)
