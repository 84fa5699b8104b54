"""Parsing for `config set`: a dotted key such as `providers.groq.model`, and the value given for it.

A literal API key is refused: other users can see a command line, and the shell's history keeps it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.config import fields, mcp_fields, section_fields, serve_fields, tool_fields
from missy.config.schema import is_reference, nearest
from missy.errors import UsageError
from missy.masking import may_be_secret, names_secret

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from missy.config.field import Field
    from missy.config.kind_spec import Kinds

    Table = dict[str, Field]  # the keys of an entry

_PART = re.compile(r'"([^"]*)"|([^."]+)')


def _section(*own: Field, **parts: tuple[Field, ...]) -> dict[str, Field | None]:
    """Return the keys of a section by name; a part of it is None, and its keys are `PART.KEY`."""
    keys: dict[str, Field | None] = {field.name: field for field in own}
    for part, inner in parts.items():
        keys[part] = None
        keys |= {f"{part}.{field.name}": field for field in inner}
    return keys


_SECTIONS = {
    **{name: _section(*table) for name, table in section_fields.TABLES.items()},
    "tools": _section(*tool_fields.TOOLS, sandbox=tool_fields.SANDBOX, limits=tool_fields.LIMITS),
    "serve": _section(*serve_fields.SERVE),
}


class KeyLocation(NamedTuple):
    """Where a value is: the steps to it, and its key in the schema, None for a whole section or entry."""

    steps: list[str]
    field: Field | None

    @property
    def entry(self) -> str | None:
        """The name of the entry that contains it, None outside of `providers`."""
        return self.steps[1] if self.steps[0] == "providers" and len(self.steps) > 1 else None

    def __str__(self) -> str:
        """The dotted key, with quotes where a name contains dots."""
        return ".".join(f'"{step}"' if "." in step else step for step in self.steps)


def find_key(key: str, entries: Collection[str], kinds: Kinds) -> KeyLocation:
    """Return the location of a dotted key. Raises UsageError, which names the nearest key.

    The name of an entry may hold dots: `entries`, the names that there are, decide; where they do not, quotes do.
    """
    table = {field.name: field for field in fields.entry_fields(kinds)}
    parts, quoted = _split(key)
    root, rest = parts[0], parts[1:]
    if root == "default_provider" and not rest:
        return KeyLocation(parts, fields.DEFAULT_PROVIDER)
    if root in _SECTIONS:
        return _in_section(root, rest, key, table)
    if root == "roles":
        return _in_role(rest, key, table)
    if root == "mcp":
        return _in_server(rest, key, table)
    if root == "providers":
        return _in_entry(rest, entries, key, table, quoted=quoted)
    raise _unknown(key, [one for _, one in _every_key(table)], table)


def _split(key: str) -> tuple[list[str], bool]:
    found = list(_PART.finditer(key))
    parts = [match[1] if match[1] is not None else match[2] for match in found]
    if not found or ".".join(match[0] for match in found) != key or not all(parts):
        raise UsageError(
            f"{key!r} is not a key of the configuration", hint="write it like providers.groq.model"
        )
    return parts, any(match[1] is not None for match in found)


def _in_section(root: str, rest: list[str], key: str, table: Table) -> KeyLocation:
    own = _SECTIONS[root]
    if not rest:
        return KeyLocation([root], None)
    if (name := ".".join(rest)) in own:
        return KeyLocation([root, *rest], own[name])
    field = own.get(rest[0])
    if field is None or not _holds(field, "object"):
        raise _unknown(key, [f"{root}.{name}" for name in own], table)
    return KeyLocation([root, rest[0], ".".join(rest[1:])], field)  # for example one alias


def _in_role(rest: list[str], key: str, table: Table) -> KeyLocation:
    """Return the location of a role or of one of its keys. The last part decides: a role's name may hold dots."""
    from missy.config.role_fields import ROLE

    own = {field.name: field for field in ROLE}
    if len(rest) > 1:
        if rest[-1] not in own:
            raise _unknown(key, [f"roles.{'.'.join(rest[:-1])}.{name}" for name in own], table)
        return KeyLocation(["roles", ".".join(rest[:-1]), rest[-1]], own[rest[-1]])
    return KeyLocation(["roles", *rest], None)


def _in_server(rest: list[str], key: str, table: Table) -> KeyLocation:
    """Return the location of an MCP server, of one of its keys, or of one variable. A server's name holds no dots."""
    own = {field.name: field for field in mcp_fields.MCP}
    if len(rest) < 2:
        return KeyLocation(["mcp", *rest], None)
    field = own.get(rest[1])
    if field is None or (len(rest) > 2 and not _holds(field, "object")):
        raise _unknown(key, [f"mcp.{rest[0]}.{name}" for name in own], table)
    inner = [".".join(rest[2:])] if rest[2:] else []
    return KeyLocation(["mcp", rest[0], rest[1], *inner], field)


def _in_entry(
    rest: list[str], entries: Collection[str], key: str, table: Table, *, quoted: bool
) -> KeyLocation:
    if not rest:
        return KeyLocation(["providers"], None)
    ways = list(_readings(rest[:1] if quoted else rest, rest, table))
    known = [location for location in ways if location.steps[1] in entries]
    if len(known) > 1:
        raise UsageError(
            f"{key} could be {' or '.join(map(str, known))}",
            hint=f"quote the entry's name, for example '{known[0]}'",
        )
    chosen = known or sorted(ways, key=lambda location: location.field is None)
    if known or (chosen and (chosen[0].field or len(rest) == 1)):
        return chosen[0]
    name = next((one for one in _prefixes(rest) if one in entries), rest[0])
    raise _unknown(key, [f"providers.{name}.{field}" for field in table], table)


def _prefixes(parts: list[str]) -> Iterator[str]:
    return (".".join(parts[:count]) for count in range(len(parts), 0, -1))


def _readings(names: list[str], rest: list[str], table: Table) -> Iterator[KeyLocation]:
    """Yield each way to split the parts into an entry's name and one of its keys."""
    for count in range(1, len(names) + 1):
        name, tail = ".".join(rest[:count]), rest[count:]
        if not tail:
            yield KeyLocation(["providers", name], None)
        elif tail[0] in table and (len(tail) == 1 or _holds(table[tail[0]], "object")):
            inner = [".".join(tail[1:])] if tail[1:] else []
            yield KeyLocation(["providers", name, tail[0], *inner], table[tail[0]])


def _holds(field: Field, kind: str) -> bool:
    kinds = field.schema.get("type", ())
    return kind in ([kinds] if isinstance(kinds, str) else kinds)


def _every_key(table: Table) -> Iterator[tuple[str, str]]:
    """Yield every key as (name, dotted key)."""
    yield "default_provider", "default_provider"
    for root, section in _SECTIONS.items():
        yield from ((name.rpartition(".")[2], f"{root}.{name}") for name in section)
    yield from ((name, f"providers.ENTRY.{name}") for name in table)
    yield from ((field.name, f"mcp.NAME.{field.name}") for field in mcp_fields.MCP)


def _unknown(key: str, known: list[str], table: Table) -> UsageError:
    """Return the error for an unknown key. For a bare name such as `proxy`, the hint gives its section."""
    last = key.rpartition(".")[2]
    whole = next((typed for name, typed in _every_key(table) if name == last and "." not in key), "")
    hint = f"did you mean {whole}?" if whole else nearest(key, known)
    if not hint:
        near = nearest(last, [name for name, _ in _every_key(table)])
        hint = near or "see: missy config schema"
    return UsageError(f"{key} is not a key of the configuration", hint=hint)


def read_value(location: KeyLocation, word: str) -> Any:
    """Return the value that a word stands for at a location. Whether it may stand there is not asked here.

    `null` is no value. A list is `a,b` or `[a, b]`, a section `{key: value}`; text is taken as it stands.
    Raises UsageError for a key in words, and for what is no YAML.
    """
    field = location.field
    inner = field is not None and location.steps[-1] != field.name  # for example one header
    value: Any
    if word == "null":
        return None
    if field is None or (_holds(field, "object") and not inner) or (word[:1] + word[-1:] == "[]"):
        value = _parse(word)
    elif _holds(field, "array"):
        value = [one.strip() for one in word.split(",") if one.strip()]
    elif _holds(field, "string") or inner or "enum" in field.schema:
        value = word
    else:
        value = _parse(word)
    _refuse_secrets(location.steps[-1], value, location)
    return value


def _parse(word: str) -> Any:
    from pathlib import Path

    from missy.config.positions import SourceMap
    from missy.config.yaml_reader import parse
    from missy.errors import ConfigError

    try:
        return parse(word, SourceMap(Path("value")))
    except ConfigError:
        raise UsageError(
            "the value cannot be read as YAML", hint="write a list like [a, b], a section like {key: value}"
        ) from None


def _refuse_secrets(name: str, value: Any, location: KeyLocation, holder: str = "") -> None:
    """Raise UsageError for a literal API key, at any depth."""
    if isinstance(value, dict):
        for inner, one in value.items():
            _refuse_secrets(inner, one, location, holder=name)
    elif isinstance(value, list):
        for one in value:
            _refuse_secrets(name, one, location, holder)
    elif (
        value is not None and not is_reference(str(value)) and _is_secret(name, str(value), location, holder)
    ):
        import shlex

        kept, target = location.entry or "NAME", location
        if [step.lower() for step in location.steps[2:]] == ["headers", "authorization"]:
            target = location._replace(steps=[*location.steps[:2], "api_key"])  # which is sent in that header
        then = f"then: missy config set {shlex.quote(str(target))} vault://{kept}"
        raise UsageError(
            f"{location}: a key cannot be an argument: the shell's history and other users would see it",
            hint=f"missy vault set {kept}, "
            + (then if location.field else f"then write vault://{kept} for it"),
        )


def _is_secret(name: str, value: str, location: KeyLocation, holder: str) -> bool:
    if name in ("api_key", "api_keys"):
        return True
    if location.steps[0] == "serve" and name == "store":
        return "@" in value  # the URL of a database may hold its password
    if location.steps[0] == "mcp" and (name == "key" or holder == "env" or "env" in location.steps[2:3]):
        return name == "key" or names_secret(name) or may_be_secret(value)
    mapping = {"headers", "query"} & {holder, location.steps[2] if len(location.steps) == 4 else ""}
    return bool(mapping) and (names_secret(name) or may_be_secret(value))
