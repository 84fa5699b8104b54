"""The section `roles`: named instructions for the model. Their text is sent as it is: nothing in it is run or expanded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.config.schema import nearest
from missy.config.section_schema import Role
from missy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from missy.config.schema import Config


KEYS = Role._fields


def find_role(config: Config, name: str) -> Role:
    """Return a role by its name. Raises UsageError, with the nearest name and all of them."""
    found = config.roles.get(name)
    if found is not None:
        return found
    if not config.roles:
        raise UsageError(
            f"no role '{name}': none is configured",
            hint="add it to config.yaml: roles: {NAME: {system: TEXT}}",
        )
    near, known = nearest(name, config.roles), f"the roles are: {', '.join(config.roles)}"
    raise UsageError(f"no role '{name}' in {config.path}", hint=f"{near} {known}".strip())


def with_role(config: Config, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a question with those of its `role`, which is taken out. A given option counts, not the role's.

    A role's model is its provider's: for another one it is left out. Raises UsageError for an unknown role, and for one
    beside `system`.
    """
    given = dict(options)
    name = given.pop("role", None)
    if name is None:
        return given
    if not isinstance(name, str):
        raise UsageError(f"the option role is a {type(name).__name__}", hint="give the name of a role")
    role = find_role(config, name)
    if given.get("system") is not None:
        raise UsageError("role and system both give the instructions", hint="choose one")
    strange = role.provider is not None and given.get("provider") not in (None, role.provider)
    for key in KEYS:
        value = None if key == "model" and strange else getattr(role, key)
        if given.get(key) is None and value is not None:
            given[key] = value
    return given
