"""The output of `missy config show`: every effective value, without secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.config import fields
from missy.config.schema import is_reference
from missy.config.section_schema import SQLITE
from missy.masking import MASK

if TYPE_CHECKING:
    from missy.config.kind_spec import Kinds
    from missy.config.schema import Config, Entry
    from missy.config.section_schema import McpServer, Serve, Tools


def effective(config: Config) -> dict[str, Any]:
    """Return the configuration as plain data, defaults filled in, literal keys masked."""
    return {
        "default_provider": config.default,
        "providers": {name: _entry(entry, config.kinds) for name, entry in config.providers.items()},
        "roles": {name: _section(role) for name, role in config.roles.items()},
        **{
            name: _section(getattr(config, name))
            for name in ("budget", "sessions", "run", "audit", "batch", "network")
        },
        "tools": _tools(config.tools),
        "serve": _serve(config.serve),
        "mcp": {name: _server(one) for name, one in config.mcp.items()},
    }


def _section(section: Any) -> dict[str, Any]:
    """Return a section, which is a named tuple, as plain data."""
    return {name: list(item) if isinstance(item, tuple) else item for name, item in section._asdict().items()}


def _serve(serve: Serve) -> dict[str, Any]:
    shown = _section(serve) | {"aliases": dict(serve.aliases)}
    if serve.store != SQLITE and not is_reference(serve.store):
        shown["store"] = MASK
    return shown


def _tools(tools: Tools) -> dict[str, Any]:
    parts = {"sandbox": _section(tools.sandbox), "limits": _section(tools.limits)}
    return {name: value for name, value in _section(tools).items() if name not in parts} | parts


def _server(server: McpServer) -> dict[str, Any]:
    shown = _section(server) | {
        "key": server.key and _mask(server.key),
        "env": {name: _mask(text) for name, text in server.env},
    }
    return {
        name: value
        for name, value in shown.items()
        if name not in {"name", "command"} or (name == "command" and value)
    }


def to_yaml(data: dict[str, Any]) -> str:
    """Return plain data as YAML that can be loaded again, without a final newline."""
    import yaml

    return yaml.safe_dump(data, sort_keys=False, default_flow_style=False, allow_unicode=True).rstrip("\n")


def _entry(entry: Entry, kinds: Kinds) -> dict[str, Any]:
    """Return an entry with the keys that apply to its kind."""
    others = {key for spec in kinds.values() for key in spec.keys}.difference(entry.spec.keys)
    names = [field.name for field in fields.entry_fields(kinds) if field.name not in {"name", *others}]
    shown = {"name": entry.kind} | _plain(entry, names)
    in_force = {
        "api_key": entry.api_key and _mask(entry.api_key),
        "api_keys": [_mask(key) for key in entry.api_keys],
        "headers": {name: _mask(text) for name, text in entry.headers},
        "query": {name: _mask(text) for name, text in entry.query},
        "base_url": entry.endpoint,
        "issuer": entry.issuer_url,
        "price": entry.price and _section(entry.price),
    }
    return shown | {key: value for key, value in in_force.items() if key in shown}


def _mask(key: str) -> str:
    return key if is_reference(key) else MASK


def _plain(value: Any, names: list[str]) -> dict[str, Any]:
    found = {name: getattr(value, name) for name in names}
    return {name: list(item) if isinstance(item, tuple) else item for name, item in found.items()}
