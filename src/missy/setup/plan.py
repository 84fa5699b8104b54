"""What `missy setup` will write: the entries, where each key is stored, and which hosts become reachable.

Does no I/O: it must never read a file, the environment or the network, and never show a key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from missy.charset import is_visible_ascii
from missy.config.edit import put_default, put_entry, section
from missy.config.kind_spec import default_kind, kind_of
from missy.config.schema import Entry, is_reference
from missy.errors import UsageError
from missy.kinds import KINDS
from missy.policy import Policy, parse
from missy.secrets.redact import Secret
from missy.secrets.references import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from missy.config.schema import Config
    from missy.policy import Decision
    from missy.services import Part, Service

    Data = dict[str, Any]

_ABOUT_KEYS = ("api_key", "api_keys")
_ABOUT_ENDPOINT = ("headers", "query", "api_key_header")  # like a key, they belong to one endpoint


@dataclass(frozen=True, slots=True)
class Draft:
    """The answers for one entry. `store` "" stores no key; `networks` are additions to `network.allowed_cidrs`."""

    kind: str = default_kind(KINDS).name
    name: str = ""
    base_url: str | None = None
    model: str | None = None
    store: str = ""
    variable: str | None = None
    secret: Secret | None = field(default=None, repr=False)
    replaces: bool = False
    networks: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    api_key_header: str | None = None
    install: bool = False  # fetch the local model afterwards

    @property
    def reference(self) -> str | None:
        """The value of `api_key`, None for none. With the store "config" it is the key itself."""
        if self.store == "env":
            return f"${self.variable}"
        if self.store == "config":
            return self.secret.reveal() if self.secret else None
        return f"{self.store}://{self.name}" if self.store else None

    def entry(self, *, literal: bool = False) -> Data:
        """Return the entry as it is written to the file; with `literal`, the key itself in place of a reference."""
        key = self.secret.reveal() if literal and self.secret and self.store else self.reference
        found = {
            "name": self.kind, "model": self.model, "api_key": key, "base_url": self.base_url,
            "headers": dict(self.headers) or None, "query": dict(self.query) or None,
            "api_key_header": self.api_key_header,
        }  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Plan:
    """All that one run of `missy setup` will write. `default` is the new default entry.

    `served`: `missy serve` offers the entries to other programs.
    """

    drafts: tuple[Draft, ...]
    default: str | None = None
    served: bool = False

    def apply(self, data: Data, *, fresh: bool, literal: bool = False) -> None:
        """Change the plain data of a configuration file. Raises UsageError for an entry that exists already.

        `fresh`: the data is that of the template, whose sample entry is removed.
        """
        providers = section(data, "providers")
        if fresh:
            kept = {draft.name: providers[draft.name] for draft in self.drafts if draft.name in providers}
            providers.clear()
            providers.update(kept)
        for draft in self.drafts:
            old = providers.get(draft.name)
            entry = draft.entry(literal=literal)
            if isinstance(old, dict):
                entry = _update(draft.name, old, entry)
            put_entry(data, draft.name, entry, force=draft.replaces or fresh)
            _allow(data, draft.networks)
        if self.default is not None:
            put_default(data, self.default)
        if self.served:
            _serve(data, [draft.name for draft in self.drafts])

    @property
    def secrets(self) -> list[Draft]:
        """The entries whose key is stored outside the file."""
        return [draft for draft in self.drafts if draft.secret and draft.store in ("vault", "keyring")]


def _update(name: str, old: Data, new: Data) -> Data:
    """Return the old entry with the new values. Values that were set by hand, a timeout for example, are kept.

    A key is never moved to another endpoint, and a new key replaces all the old ones.
    """
    if old.get("enabled") is False:
        new = {**new, "enabled": True}
    asked = not KINDS[new["name"]].has_login or "base_url" in new  # else its endpoint is as it is
    moved = asked and _endpoint(name, old) != _endpoint(name, new)
    if moved or _kind(name, old) != new["name"]:
        new = {"base_url": None, **new}
        drop: Iterable[str] = (*_ABOUT_KEYS, *_ABOUT_ENDPOINT, "issuer", "model", "model_path")
    else:
        drop = _ABOUT_KEYS if "api_key" in new else ()
    kept = {key: value for key, value in old.items() if key not in drop or value in (None, [], {})}
    return {key: value for key, value in {**kept, **new}.items() if key in old or value is not None}


def _kind(name: str, entry: Data) -> str:
    return kind_of(name, entry.get("name"), KINDS).name


def _endpoint(name: str, entry: Data) -> str | None:
    return Entry(name, KINDS[_kind(name, entry)], base_url=entry.get("base_url")).endpoint


def _allow(data: Data, networks: Iterable[str]) -> None:
    """Add the missing networks to `network.allowed_cidrs`."""
    for one in networks:
        listed = section(data, "network")
        if one not in (listed.get("allowed_cidrs") or []):
            listed["allowed_cidrs"] = [*(listed.get("allowed_cidrs") or []), one]


def _serve(data: Data, names: Iterable[str]) -> None:
    """Add the missing names to `serve.entries`."""
    served = section(data, "serve")
    listed = served.get("entries") or []
    served["entries"] = [*listed, *(name for name in names if name not in listed)]


def reachable(before: Config, after: Config) -> list[str]:
    """Return the origins that may be reached after the change but not before."""
    known = {_origin(reach) for reach in Policy(before.rules()).reachable()}
    found = dict.fromkeys(_origin(reach) for reach in Policy(after.rules()).reachable())
    return [origin for origin in found if origin not in known]


def _origin(reach: Any) -> str:
    host = f"[{reach.host}]" if ":" in reach.host else reach.host
    return f"{reach.scheme}://{host}:{reach.port or '*'}"


def refusal(config: Config, name: str) -> Decision | None:
    """Return the decision of the policy if it refuses an entry, None if it allows it."""
    decide = Policy(config.rules()).decide
    refused = (decide(parse(url)) for url in config.providers[name].endpoints)
    return next((decision for decision in refused if not decision.allowed), None)


def variables(draft: Draft) -> list[str]:
    """Return the variables that the headers and the query of an entry name."""
    texts = (text for _, text in (*draft.headers, *draft.query))
    return [one.name for one in map(read, texts) if one.kind == "env"]


def key_place(draft: Draft) -> str:
    """Return a few words that say where the key of an entry will be."""
    if draft.store == "env":
        return f"${draft.variable} (environment)"
    if draft.store == "config":
        return "in config.yaml, readable"
    return draft.reference or ("" if KINDS[draft.kind].takes_key else "none needed")


def variable_for(name: str, listed: str, environ: Mapping[str, str]) -> str:
    """Return the variable to suggest for a key: that of the service, unless only the one named after the entry is set."""
    own = "".join(c if c.isascii() and c.isalnum() else "_" for c in name.upper()) + "_API_KEY"
    own = own if not own[0].isdigit() else f"_{own}"
    return own if not listed or (environ.get(own) and not environ.get(listed)) else listed


def check_variable(text: str, environ: Mapping[str, str]) -> str:
    """Return the name of a variable without its $. Raises UsageError, which never shows what may be a key."""
    import re

    name = text.strip().removeprefix("$").removeprefix("{").removesuffix("}")
    looks_secret = name not in environ and len(name) >= 20 and name != name.upper()
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", name) or looks_secret:
        raise UsageError(
            "that is not the name of a variable; it is not shown, since it may be a key",
            hint="name it like GROQ_API_KEY: letters, digits and _; the key itself goes to --api-key-stdin",
        )
    return name


def check_key(text: str) -> Secret:
    """Return a typed or piped key. Raises UsageError if it does not look like a key, without showing it."""
    from missy.config.values import Wrong, key

    value = text.strip()
    try:
        if value and is_reference(value):
            raise Wrong("a reference, not a key", "to use a variable, choose the environment")
        return Secret(key(value))
    except Wrong as wrong:
        raise UsageError(f"that is {wrong.found}", hint=wrong.hint or "paste the key alone") from None


def check_base_url(text: str) -> str:
    """Return a base URL in the form in which it is written. Raises UsageError if it is not one."""
    from missy.config.values import Wrong, url

    try:
        return url(text.strip()).rstrip("/")
    except Wrong as wrong:
        raise UsageError(
            f"no base URL: {wrong.found}", hint=wrong.hint or "write it like https://api.example.com/v1"
        ) from None


def check_part(service: Service, part: Part, text: str) -> str:
    """Return the value of a part of a service's URL or headers. Raises UsageError if it would change more than that part.

    For a part of the host name, the whole host name is accepted too, but no other host.
    """
    value, bad = text.strip(), "{}\\?#: "
    in_url = part.name in service.url_parts
    if in_url:
        domain = service.base_url.partition(f"{{{part.name}}}")[2].partition("/")[0]
        value = value.removeprefix("https://")
        value = value.removesuffix("/").removesuffix(domain) if domain else value
        bad += "./"
    if not value or not is_visible_ascii(value) or not set(value).isdisjoint(bad):
        raise UsageError(
            f"no base URL: that is no name of a {part.name}" if in_url else f"that is no {part.name}",
            hint="give the name alone; a whole URL goes to --base-url",
        )
    return value


def network_for(base_url: str) -> tuple[str, ...]:
    """Return the address to allow for a server on a private network, () if none is needed.

    Raises UsageError for a URL that no rule can allow: http to a host name, for example.
    """
    from missy.policy import Endpoint, Rules

    target = parse(base_url)
    rules = Rules(endpoints=(Endpoint(base_url, "new"),))
    decision = Policy(rules).decide(target)
    if decision.allowed:
        return ()
    own = (f"{target.host}/{128 if ':' in target.host else 32}",)
    literal = ":" in target.host or target.host.rpartition(".")[2].isdigit()
    if literal and decision.fix and Policy(rules._replace(allowed_cidrs=own)).decide(target).allowed:
        return own
    hint = "use https, or http with the address of a server on your own network"
    raise UsageError(f"the policy would refuse it: {decision.reason}", hint=hint)
