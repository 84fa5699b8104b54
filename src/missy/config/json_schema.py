"""The JSON Schema of the configuration file, read off the table of its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.config import fields, section_fields, serve_fields, tool_fields, values
from missy.config.mcp_fields import MCP, NAME
from missy.config.role_fields import ROLE
from missy.config.schema import Config, Entry
from missy.config.section_schema import (
    AuditFiles,
    BatchFiles,
    Budget,
    Conversation,
    Keep,
    McpServer,
    Network,
    Role,
    SandboxRules,
    Serve,
    ToolLimits,
    Tools,
)

if TYPE_CHECKING:
    from missy.config.field import Field
    from missy.config.kind_spec import Kinds

_Schema = dict[str, Any]


def json_schema(kinds: Kinds) -> _Schema:
    """Return the JSON Schema (2020-12) of the configuration file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Missy's config.yaml",
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {
            "default_provider": _fragment(fields.DEFAULT_PROVIDER, Config),
            "providers": {
                "type": ["object", "null"],
                "description": "The entries; the name of each is what --provider takes.",
                "propertyNames": {"pattern": f"^{values.NAME.pattern}$"},
                "additionalProperties": _section(fields.entry_fields(kinds), Entry, "object")
                | {"allOf": _only_their_own_keys(kinds)},
            },
            "roles": {
                "type": ["object", "null"],
                "description": "Named instructions for the model; the name of each is what --role takes.",
                "propertyNames": {"pattern": f"^{values.NAME.pattern}$"},
                "additionalProperties": _section(ROLE, Role, "object", "null"),
            },
            "budget": _section(section_fields.BUDGET, Budget, "object", "null"),
            "sessions": _section(section_fields.SESSIONS, Keep, "object", "null"),
            "run": _section(section_fields.RUN, Conversation, "object", "null"),
            "audit": _section(section_fields.AUDIT, AuditFiles, "object", "null"),
            "batch": _section(section_fields.BATCH, BatchFiles, "object", "null"),
            "network": _section(section_fields.NETWORK, Network, "object", "null"),
            "tools": _tools(),
            "serve": _section(serve_fields.SERVE, Serve, "object", "null"),
            "mcp": {
                "type": ["object", "null"],
                "description": "MCP servers, whose tools a model may use: docs/mcp.md.",
                "propertyNames": {"pattern": f"^({NAME.pattern})$"},
                "additionalProperties": _section(MCP, McpServer, "object"),
            },
        },
    }


def _tools() -> _Schema:
    section = _section(tool_fields.TOOLS, Tools, "object", "null")
    section["properties"] |= {
        "sandbox": _section(tool_fields.SANDBOX, SandboxRules, "object", "null"),
        "limits": _section(tool_fields.LIMITS, ToolLimits, "object", "null"),
    }
    return section


def _section(table: tuple[Field, ...], owner: type, *types: str) -> _Schema:
    properties = {field.name: _fragment(field, owner) for field in table}
    return {"type": list(types), "additionalProperties": False, "properties": properties}


def _fragment(field: Field, owner: type) -> _Schema:
    about = f"{field.about} Allowed: {field.allowed}."
    default = None if field.name == "name" else _default(owner, field.name)
    return field.schema | {"description": about, "default": default}


def _default(owner: Any, name: str) -> Any:
    """Return the default of a key, as JSON has it."""
    is_tuple = issubclass(owner, tuple)
    default = owner._field_defaults[name] if is_tuple else owner.__dataclass_fields__[name].default
    if name in ("headers", "query", "aliases", "env"):
        return dict(default)
    return list(default) if isinstance(default, tuple) else default


def _only_their_own_keys(kinds: Kinds) -> list[_Schema]:
    """Return the conditions that a key of one kind is null or empty in an entry of another."""
    every = {key for spec in kinds.values() for key in spec.keys}
    return [
        {
            "if": {"properties": {"name": {"const": spec.name}}, "required": ["name"]},
            "then": {
                "properties": {key: {"enum": [None, [], {}]} for key in sorted(every.difference(spec.keys))}
            },
        }
        for spec in kinds.values()
    ]
