"""The output of `missy config show`: every effective value, without secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.config import fields, kept_fields
from missy.config.roles import KEYS
from missy.config.schema import is_reference
from missy.config.serve_schema import SQLITE
from missy.config.values import PRICES
from missy.masking import MASK

if TYPE_CHECKING:
    from missy.config.kind_spec import Kinds
    from missy.config.schema import Config, Entry
    from missy.config.serve_schema import Serve
    from missy.config.tool_schema import McpServer, Tools


def effective(config: Config) -> dict[str, Any]:
    """Return the configuration as plain data, defaults filled in, literal keys masked."""
    return {
        "default_provider": config.default,
        "providers": {name: _entry(entry, config.kinds) for name, entry in config.providers.items()},
        "roles": {name: _plain(role, list(KEYS)) for name, role in config.roles.items()},
        "budget": _plain(config.budget, [field.name for field in fields.BUDGET]),
        "sessions": _plain(config.sessions, [field.name for field in fields.SESSIONS]),
        "run": _plain(config.run, [field.name for field in fields.RUN]),
        "audit": _plain(config.audit, [field.name for field in kept_fields.AUDIT]),
        "batch": _plain(config.batch, [field.name for field in kept_fields.BATCH]),
        "network": _plain(config.network, [field.name for field in fields.NETWORK]),
        "tools": _tools(config.tools),
        "serve": _serve(config.serve),
        "mcp": {name: _server(one) for name, one in config.mcp.items()},
    }


def _serve(serve: Serve) -> dict[str, Any]:
    from missy.config import serve_fields

    shown = _plain(serve, [field.name for field in serve_fields.SERVE])
    shown["aliases"] = dict(serve.aliases)
    if serve.store != SQLITE and not is_reference(serve.store):
        shown["store"] = MASK
    return shown


def _tools(tools: Tools) -> dict[str, Any]:
    from missy.config import tool_fields

    return _plain(tools, [field.name for field in tool_fields.TOOLS]) | {
        "sandbox": _plain(tools.sandbox, [field.name for field in tool_fields.SANDBOX]),
        "limits": _plain(tools.limits, [field.name for field in tool_fields.LIMITS]),
    }


def _server(server: McpServer) -> dict[str, Any]:
    from missy.config.mcp_fields import MCP

    shown = _plain(server, [field.name for field in MCP])
    shown |= {
        "key": server.key and _mask(server.key),
        "env": {name: _mask(text) for name, text in server.env},
    }
    return {name: value for name, value in shown.items() if name != "command" or value}


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
        "price": entry.price and _plain(entry.price, list(PRICES)),
    }
    return shown | {key: value for key, value in in_force.items() if key in shown}


def _mask(key: str) -> str:
    return key if is_reference(key) else MASK


def _plain(value: Any, names: list[str]) -> dict[str, Any]:
    found = {name: getattr(value, name) for name in names}
    return {name: list(item) if isinstance(item, tuple) else item for name, item in found.items()}
