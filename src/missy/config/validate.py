"""Validation of plain data to a Config: every key, every value, and every entry name that is referred to.

A value is never dropped, split or corrected: anything invalid is an error that names file, line and key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from missy import paths, policy, services
from missy.config import fields
from missy.config.field import check, mapping, read_section, refuse_unknown
from missy.config.kind_spec import default_kind, kind_of
from missy.config.positions import dotted
from missy.config.schema import Caution, Config, Entry, nearest
from missy.config.section_schema import (
    AuditFiles,
    BatchFiles,
    Budget,
    Conversation,
    Keep,
    Network,
    Role,
    SandboxRules,
    Serve,
    ToolLimits,
    Tools,
)
from missy.config.values import NAME, shown
from missy.errors import MissyError
from missy.masking import has_form_of_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missy.config.field import Field
    from missy.config.kind_spec import Kinds, KindSpec
    from missy.config.positions import KeyPath, SourceMap
    from missy.config.section_schema import McpServer

_Values = dict[str, Any]
_Section = TypeVar("_Section")
_NAMES = "1 to 64 letters, digits, - _ ."


def build(data: Any, source_map: SourceMap, kinds: Kinds) -> Config:
    """Return the validated configuration. Raises ConfigError for the first problem."""
    root = mapping(data, (), source_map, f"the file begins with one of: {', '.join(fields.SECTIONS)}")
    refuse_unknown(root, fields.SECTIONS, (), source_map)
    default = check(fields.DEFAULT_PROVIDER, root.get("default_provider"), (), source_map)
    entries = mapping(root.get("providers"), ("providers",), source_map)
    config = Config(
        path=source_map.file,
        kinds=kinds,
        exists=True,
        default_provider=default,
        providers=_entries(entries, source_map, kinds),
        network=_section(root, "network", Network, source_map),
        budget=_section(root, "budget", Budget, source_map),
        sessions=_section(root, "sessions", Keep, source_map),
        roles=_roles(root.get("roles"), source_map),
        tools=_tools(root.get("tools"), source_map),
        mcp=_mcp(root.get("mcp"), source_map),
        run=_section(root, "run", Conversation, source_map),
        serve=_serve(root.get("serve"), source_map),
        audit=_section(root, "audit", AuditFiles, source_map),
        batch=_section(root, "batch", BatchFiles, source_map),
    )
    _check_names(config, source_map)
    for entry in config.providers.values():
        _refuse_strange_endpoint(entry, source_map, kinds)
    return config


def warn(config: Config, mode: int) -> tuple[Caution, ...]:
    """Return the warnings: keys that other users can read, entries that the policy will refuse."""
    warnings = []
    holders = [entry.entry for entry in config.providers.values() if entry.literal_keys]
    holders += [one.entry for one in config.mcp.values() if one.literal_key]
    if mode & 0o044 and holders:
        text = f"{config.path} holds a key and other users can read it: run chmod 600 {config.path}"
        warnings.append(Caution(text, holders))
    decider = policy.Policy(config.rules())
    for entry in config.providers.values():
        where = f"{config.path}:{entry.line}: providers.{entry.entry}"
        for url in entry.endpoints if entry.enabled else ():
            decision = decider.decide(policy.parse(url))
            if not decision.allowed:
                warnings.append(Caution(f"{where}: {decision.reason}", [entry.entry], refused=url))
    if any(entry.fallback for entry in config.providers.values()):
        from missy.config.fallbacks import circles

        warnings += [Caution(text) for text in circles(config)]
    return tuple(warnings)


def _entries(found: _Values, source_map: SourceMap, kinds: Kinds) -> dict[str, Entry]:
    table = fields.entry_fields(kinds)
    return {name: _entry(name, data, source_map, kinds, table) for name, data in found.items()}


def _entry(name: str, data: Any, source_map: SourceMap, kinds: Kinds, table: Sequence[Field]) -> Entry:
    key_path: KeyPath = ("providers", name)
    if has_form_of_key(name):
        raise source_map.error(
            f"found what may be a key as the name of an entry; allowed {_NAMES}",
            key_path,
            hint="the key goes to api_key",
        )
    if not NAME.fullmatch(name):
        raise source_map.error(f"found {shown(name)} as the name of an entry; allowed {_NAMES}", key_path)
    if not isinstance(data, dict):
        hint = "indent its keys below it; {} stands for an entry without any"
        raise source_map.error(f"found {shown(data)}; allowed a mapping of keys", key_path, hint=hint)
    found = read_section(table, data, key_path, source_map)
    given = found.pop("name", None)
    spec = kind_of(name, given, kinds)
    _refuse_strange_keys(spec, kinds, found, key_path, source_map)
    _refuse_key_twice(found, key_path, source_map)
    if spec.model and found.get("model") is None:
        found["model"] = spec.model
    _expand(found, "model_path", key_path, source_map)
    return Entry(entry=name, spec=spec, line=source_map.line(key_path), **found)


def _section(root: _Values, name: str, section: type[_Section], source_map: SourceMap) -> _Section:
    if root.get(name) is None:
        return section()
    from missy.config.section_fields import TABLES  # most files have no such section

    key_path: KeyPath = (name,)
    found = read_section(TABLES[name], mapping(root[name], key_path, source_map), key_path, source_map)
    _expand(found, "ca_bundle", key_path, source_map)
    return section(**found)


def _roles(data: Any, source_map: SourceMap) -> dict[str, Role]:
    given = mapping(data, ("roles",), source_map)
    if not given:
        return {}
    from missy.config.role_fields import ROLE

    found: dict[str, Role] = {}
    for name, value in given.items():
        key_path: KeyPath = ("roles", name)
        if not NAME.fullmatch(name):
            raise source_map.error(f"found {shown(name)} as the name of a role; allowed {_NAMES}", key_path)
        found[name] = Role(**read_section(ROLE, mapping(value, key_path, source_map), key_path, source_map))
    return found


def _tools(data: Any, source_map: SourceMap) -> Tools:
    if data is None:
        return Tools()
    from missy.config import tool_fields  # most files have no such section

    key_path: KeyPath = ("tools",)
    found = dict(mapping(data, key_path, source_map))
    known = [*(field.name for field in tool_fields.TOOLS), "sandbox", "limits"]
    refuse_unknown(found, known, key_path, source_map)
    parts: _Values = {}
    for name, table, part in (
        ("sandbox", tool_fields.SANDBOX, SandboxRules),
        ("limits", tool_fields.LIMITS, ToolLimits),
    ):
        at = (*key_path, name)
        parts[name] = part(
            **read_section(table, mapping(found.pop(name, None), at, source_map), at, source_map)
        )
    return Tools(**read_section(tool_fields.TOOLS, found, key_path, source_map), **parts)


def _serve(data: Any, source_map: SourceMap) -> Serve:
    if data is None:
        return Serve()
    from missy.config.serve_fields import SERVE  # most files have no such section

    key_path: KeyPath = ("serve",)
    return Serve(**read_section(SERVE, mapping(data, key_path, source_map), key_path, source_map))


def _mcp(data: Any, source_map: SourceMap) -> dict[str, McpServer]:
    if data is None:
        return {}
    from missy.config.mcp_fields import read_servers

    return read_servers(data, source_map)


def _refuse_strange_keys(
    spec: KindSpec, kinds: Kinds, found: _Values, key_path: KeyPath, source_map: SourceMap
) -> None:
    for key, value in found.items():
        owners = ", ".join(one.name for one in kinds.values() if key in one.keys)
        if owners and key not in spec.keys and value not in (None, ()):
            reason = spec.refused_keys.get(key) or f"it is for kind {owners}"
            what = f"found a value, but kind {spec.name} takes none; allowed null ({reason})"
            raise source_map.error(
                what, (*key_path, key), hint="remove it, or change the entry's `name`, which is its kind"
            )


def _refuse_strange_endpoint(entry: Entry, source_map: SourceMap, kinds: Kinds) -> None:
    """Refuse an entry that is named after one service and would ask another: the default one of its kind."""
    key_path: KeyPath = ("providers", entry.entry)
    service = services.named(entry.entry)
    if entry.spec is not default_kind(kinds) or entry.base_url or service is None:
        return
    url = services.SERVICES[service].shown_url
    error = source_map.error(
        f"{dotted(key_path)} has no base_url; {service}'s is {url}",
        line=source_map.line(key_path),
        hint=f"add to the entry: base_url: {url}; for OpenAI's own endpoint, give the entry another name",
    )
    error.key = dotted(key_path)
    raise error


def _refuse_key_twice(found: _Values, key_path: KeyPath, source_map: SourceMap) -> None:
    header = found.get("api_key_header")
    for name, _ in found.get("headers") or ():
        if header is not None and name.lower() == header.lower():
            what = "found the header that api_key_header names; allowed in one place only"
            raise source_map.error(
                what, (*key_path, "headers", name), hint="remove it here; the key goes to api_key"
            )


def _expand(found: _Values, key: str, key_path: KeyPath, source_map: SourceMap) -> None:
    """Make a path absolute. A relative one starts at the file's folder: it means the same everywhere."""
    path = found.get(key)
    if path is None:
        return
    try:
        found[key] = str(paths.expand(path if path.startswith("~") else source_map.file.parent / path))
    except MissyError as error:
        raise source_map.error(
            f"found a path that cannot be resolved: {error.message}", (*key_path, key), hint=error.hint
        ) from None


def _check_names(config: Config, source_map: SourceMap) -> None:
    """Refuse a default or a fallback that names no entry. Some kinds are always there."""
    names = [*config.providers, *config.always_there]
    _check_name(config.default_provider, names, ("default_provider",), source_map)
    for name, role in config.roles.items():
        _check_name(role.provider, names, ("roles", name, "provider"), source_map)
    for entry in config.providers.values():
        key_path: KeyPath = ("providers", entry.entry, "fallback")
        others = [name for name in names if name != entry.entry]
        for i, name in enumerate(entry.fallback):
            _check_name(name, others, (*key_path, i), source_map)
    if config.serve != Serve():
        from missy.config.served import check_served

        check_served(config, names, source_map)
    if not any(entry.fallback for entry in config.providers.values()):
        return
    from missy.config.fallbacks import leaks

    for leak in leaks(config):
        what = f"found {leak.other}, a public host; {leak.entry} is on this machine or network, and its questions stay there"
        raise source_map.error(
            what,
            ("providers", leak.entry, "fallback", leak.place),
            hint="name entries on this machine or network",
        )


def _check_name(name: str | None, names: list[str], key_path: KeyPath, source_map: SourceMap) -> None:
    if name is not None and name not in names:
        what = f"found {shown(name)}, which names no entry; allowed {', '.join(names)}"
        raise source_map.error(what, key_path, hint=nearest(name, names))
