"""Plain data -> Config: every key known, every value possible, every name that is mentioned there.

It must never drop, split or mend a value: what is wrong is an error that names file, line and key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy import paths, policy, services
from missy.config import fields
from missy.config.positions import dotted
from missy.config.schema import (
    KIND_KEYS,
    KINDS,
    NOT_YET,
    Budget,
    Caution,
    Config,
    Entry,
    Network,
    nearest,
)
from missy.config.values import NAME, Wrong, shown
from missy.errors import MissyError
from missy.masking import has_form_of_key, may_be_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from missy.config.fields import Field
    from missy.config.positions import At, Places

_Values = dict[str, Any]
_NAMES = "1 to 64 letters, digits, - _ ."


def build(data: Any, places: Places) -> Config:
    """Return the configuration that a file says. Raises ConfigError for the first thing that is wrong."""
    root = _mapping(data, (), places)
    _refuse_unknown(root, fields.SECTIONS, (), places)
    default = _check(fields.DEFAULT_PROVIDER, root.get("default_provider"), (), places)
    entries = _mapping(root.get("providers"), ("providers",), places)
    config = Config(
        path=places.file,
        exists=True,
        default_provider=default,
        providers={name: _entry(name, data, places) for name, data in entries.items()},
        network=_network(root.get("network"), places),
        budget=_budget(root.get("budget"), places),
    )
    _check_names(config, places)
    for entry in config.providers.values():
        _refuse_strange_endpoint(entry, places)
    return config


def warn(config: Config, mode: int) -> tuple[Caution, ...]:
    """Return what is allowed but not good: keys that others can read, entries that the policy will refuse."""
    warnings = []
    holders = [entry.entry for entry in config.providers.values() if _holds_key(entry)]
    if mode & 0o044 and holders:
        text = f"{config.path} holds a key and other users can read it: run chmod 600 {config.path}"
        warnings.append(Caution(text, holders))
    decider = policy.Policy(config.rules())
    for entry in config.providers.values():
        urls = entry.endpoints if entry.enabled else ()
        refused = [d for d in map(decider.decide, map(policy.parse, urls)) if not d.allowed]
        where = f"{config.path}:{entry.line}: providers.{entry.entry}"
        warnings += [Caution(f"{where}: {one.reason}", [entry.entry]) for one in refused]
    return tuple(warnings)


def _holds_key(entry: Entry) -> bool:
    """Whether a key itself stands in the entry, and no reference to one."""
    return bool(entry.literal_keys)


def _entry(name: str, data: Any, places: Places) -> Entry:
    at: At = ("providers", name)
    if has_form_of_key(name):
        raise places.error(
            f"found what may be a key as the name of an entry; allowed {_NAMES}",
            at,
            hint="the key goes to api_key",
        )
    if not NAME.fullmatch(name):
        raise places.error(f"found {shown(name)} as the name of an entry; allowed {_NAMES}", at)
    if not isinstance(data, dict):
        hint = "indent its keys below it; {} stands for an entry without any"
        raise places.error(f"found {shown(data)}; allowed a mapping of keys", at, hint=hint)
    found = _section(fields.ENTRY, data, at, places)
    given = found.pop("name", None)
    kind = given or (name if name in KINDS else "openai")
    _refuse_not_yet(kind, (*at, "name") if given else at, places)
    _refuse_strange_keys(kind, found, at, places)
    _refuse_key_twice(found, at, places)
    if kind == "openai" and found.get("model") is None:
        found["model"] = "gpt-4o"
    _expand(found, "model_path", at, places)
    for key in ("api_key", "api_keys"):
        for text in [found[key]] if isinstance(found.get(key), str) else found.get(key) or ():
            _refuse_not_yet(text.partition("://")[0] + "://", (*at, key), places)
    return Entry(entry=name, kind=kind, line=places.line(at), **found)


def _network(data: Any, places: Places) -> Network:
    at = ("network",)
    found = _section(fields.NETWORK, _mapping(data, at, places), at, places)
    _expand(found, "ca_bundle", at, places)
    return Network(**found)


def _budget(data: Any, places: Places) -> Budget:
    at = ("budget",)
    found = _section(fields.BUDGET, _mapping(data, at, places), at, places)
    for key, amount in found.items():
        if amount is not None:
            _refuse_not_yet("budget", (*at, key), places)
    return Budget(**found)


def _section(table: Sequence[Field], data: _Values, at: At, places: Places) -> _Values:
    """Return the checked values that are there; the defaults of the rest are the business of the schema."""
    known = {field.name: field for field in table}
    _refuse_unknown(data, known, at, places)
    return {key: _check(known[key], value, at, places) for key, value in data.items()}


def _check(field: Field, value: Any, at: At, places: Places) -> Any:
    try:
        return field.check(value)
    except Wrong as wrong:
        within = wrong.key if wrong.index is None else wrong.index
        place: At = (*at, field.name) if within is None else (*at, field.name, within)
        raise places.error(f"found {wrong.found}; allowed {field.allowed}", place, hint=wrong.hint) from None


def _mapping(data: Any, at: At, places: Places) -> _Values:
    """Return a section; null, which is what one with all its keys commented out is, is empty."""
    if data is None:
        return {}
    if not isinstance(data, dict):
        hint = "" if at else f"the file begins with one of: {', '.join(fields.SECTIONS)}"
        raise places.error(f"found {shown(data)}; allowed a mapping of keys", at, hint=hint)
    return data


def _refuse_unknown(data: _Values, known: Iterable[str], at: At, places: Places) -> None:
    for key in data:
        if key not in known:
            what = f"unknown key; allowed {', '.join(known)}"
            raise places.error(
                what,
                (*at, key),
                hint=("" if may_be_secret(key) else nearest(key, known))
                or "remove it, or see `missy config schema`",
            )


def _refuse_strange_keys(kind: str, found: _Values, at: At, places: Places) -> None:
    for key, value in found.items():
        kinds = [owner for owner, keys in KIND_KEYS.items() if key in keys]
        if kinds and kind not in kinds and value not in (None, ()):
            what = (
                f"found a value, but kind {kind} takes none; allowed null (it is for kind {', '.join(kinds)})"
            )
            raise places.error(
                what, (*at, key), hint="remove it, or change the entry's `name`, which is its kind"
            )


def _refuse_strange_endpoint(entry: Entry, places: Places) -> None:
    """Refuse an entry that is named after one service and would ask another: OpenAI, the default of its kind."""
    at: At = ("providers", entry.entry)
    service = services.named(entry.entry)
    if entry.kind != "openai" or entry.base_url or service is None:
        return
    url = services.SERVICES[service].shown_url
    error = places.error(
        f"{dotted(at)} has no base_url; {service}'s is {url}",
        line=places.line(at),
        hint=f"add to the entry: base_url: {url}; for OpenAI's own endpoint, give the entry another name",
    )
    error.key = dotted(at)
    raise error


def _refuse_key_twice(found: _Values, at: At, places: Places) -> None:
    header = found.get("api_key_header")
    for name, _ in found.get("headers") or ():
        if header is not None and name.lower() == header.lower():
            what = "found the header that api_key_header names; allowed one place for the key"
            raise places.error(what, (*at, "headers", name), hint="remove it here; the key goes to api_key")


def _refuse_not_yet(feature: str, at: At, places: Places) -> None:
    if feature in NOT_YET:
        raise places.error(f"not yet: this version has no {feature}", at, hint=NOT_YET[feature])


def _expand(found: _Values, key: str, at: At, places: Places) -> None:
    """Make a path absolute. A relative one starts at the file's folder: it means the same everywhere."""
    path = found.get(key)
    if path is None:
        return
    try:
        found[key] = str(paths.expand(path if path.startswith("~") else places.file.parent / path))
    except MissyError as error:
        raise places.error(
            f"found a path that leads nowhere: {error.message}", (*at, key), hint=error.hint
        ) from None


def _check_names(config: Config, places: Places) -> None:
    """Refuse a default or a fallback that names no entry. `local` is always there."""
    names = [*config.providers, "local"]
    _check_name(config.default_provider, names, ("default_provider",), places)
    for entry in config.providers.values():
        at: At = ("providers", entry.entry, "fallback")
        others = [name for name in names if name != entry.entry]
        for i, name in enumerate(entry.fallback):
            _check_name(name, others, (*at, i), places)
        if entry.fallback:
            _refuse_not_yet("fallback", at, places)


def _check_name(name: str | None, names: list[str], at: At, places: Places) -> None:
    if name is not None and name not in names:
        what = f"found {shown(name)}, which names no entry; allowed {', '.join(names)}"
        raise places.error(what, at, hint=nearest(name, names))
