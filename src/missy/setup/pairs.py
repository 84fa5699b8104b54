"""NAME=VALUE, as typed for a header or a parameter. A secret must be a reference, since others could see the value."""

from __future__ import annotations

from missy.config.schema import is_reference
from missy.errors import UsageError
from missy.masking import may_be_secret, names_secret


def split_pair(text: str, *, option: str = "", plain_names: bool = False) -> tuple[str, str]:
    """Return name and value. Raises UsageError for a value that may be a secret, without showing it.

    `option` is that of the command line, if it stood there. `plain_names`: what the value is called says nothing of it.
    """
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise UsageError(
            f"{option or 'this'} takes NAME=VALUE", hint="what was given is not shown, as it may be a key"
        )
    if not is_reference(value) and (may_be_secret(value) or (not plain_names and names_secret(name))):
        raise UsageError(
            f"{option} {name}: its value may be a secret, which no option takes"
            if option
            else f"{name}: its value may be a secret, which is not typed here",
            hint=f"name where it is kept: {f'{option} ' if option else ''}'{name}=$VARIABLE', or vault://NAME",
        )
    return name, value
