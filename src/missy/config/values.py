"""What one value may be: a check takes a plain value, returns the one to keep, or raises Wrong; no I/O."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from missy import policy
from missy.config.presets import PRESETS
from missy.config.schema import REFERENCES, nearest
from missy.masking import mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Check = Callable[[Any], Any]

MAX_SECONDS = 86_400  # seconds: a day. What is longer is a slip of the finger, or milliseconds
MAX_RETRIES = 100
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
VARIABLE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
SECRET_NAME = re.compile(r"(vault|keyring)://[A-Za-z0-9._/-]{1,128}")


class Wrong(Exception):
    """A value that cannot be. `found` says what it is, `index` or `key` which part of it. It shows no secret."""

    def __init__(self, found: str, hint: str = "", index: int | None = None, key: str | None = None) -> None:
        super().__init__(found)
        self.found = found
        self.hint = hint
        self.index = index
        self.key = key


def shown(value: Any) -> str:
    """Return a value as it is named in a message."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, str):
        value = mask(value)
        return ascii(value if len(value) <= 60 else value[:60] + "...")
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def optional(check: Check) -> Check:
    """Allow null besides what `check` allows."""
    return lambda value: None if value is None else check(value)


def many(check: Check) -> Check:
    """Allow a list of what `check` allows; null is empty: so reads a list with every item commented out."""

    def check_items(value: Any) -> tuple[Any, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            raise Wrong(kind_of(value), "write a list: [a, b], or one `- item` a line")
        return tuple(_check_item(check, i, item) for i, item in enumerate(value))

    return check_items


def _check_item(check: Check, index: int, item: Any) -> Any:
    try:
        return check(item)
    except Wrong as wrong:
        raise Wrong(wrong.found, wrong.hint, index) from None


def text(value: Any) -> str:
    """Visible text without blanks around it."""
    if not isinstance(value, str):
        scalar = value is not None and not isinstance(value, dict | list)
        raise Wrong(shown(value), "put it in quotes if it is meant as text" if scalar else "")
    if not value or len(value) > 2048:
        raise Wrong("text of more than 2048 characters" if value else "an empty text")
    if not value.isprintable() or value != value.strip():
        raise Wrong(f"{shown(value)}, with a line end, an invisible character or a blank at its end")
    return value


def flag(value: Any) -> bool:
    """A boolean, and nothing that looks like one."""
    if not isinstance(value, bool):
        raise Wrong(shown(value))
    return value


def seconds(value: Any) -> float:
    """A time in seconds, above 0."""
    return _number(value, MAX_SECONDS)


def dollars(value: Any) -> float:
    """An amount of money, above 0."""
    return _number(value, 1_000_000)


def _number(value: Any, most: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise Wrong(shown(value))
    return float(value)


def retries(value: Any) -> int:
    """A whole number of attempts."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_RETRIES:
        raise Wrong(shown(value))
    return value


def one_of(names: Iterable[str]) -> Check:
    """Allow one of these names."""
    known = tuple(names)

    def check_name(value: Any) -> str:
        if text(value) not in known:
            raise Wrong(shown(value), nearest(value, known))
        return str(value)

    return check_name


def preset(value: Any) -> str:
    """The name of a preset."""
    if text(value) not in PRESETS:
        raise Wrong(shown(value), nearest(value, PRESETS) or "see `missy presets`")
    return str(value)


def key(value: Any) -> str:
    """A key or a reference to one. What is wrong with it is said without showing it."""
    if not isinstance(value, str):
        raise Wrong(kind_of(value), "put it in quotes if it is meant as text" if value is not None else "")
    if not value or len(value) > 16_384:
        raise Wrong(
            "text of more than 16384 characters" if value else "an empty text", "write null for no key"
        )
    if value.startswith("$") and not VARIABLE.fullmatch(value):
        raise Wrong("a $ without the plain name of a variable after it", "write $NAME: letters, digits and _")
    if "://" in value and not SECRET_NAME.fullmatch(value):
        raise Wrong("text with :// in it", f"a reference begins with one of {' '.join(REFERENCES)}")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise Wrong("text with a blank, a line end or a letter that no key has", "paste the key alone")
    return value


def url(value: Any) -> str:
    """An http or https URL that paths can be added to."""
    _ask_policy(policy.parse, text(value))
    if "?" in value or "#" in value:
        raise Wrong(
            "a URL with a query or a fragment",
            "a base URL ends with its path, e.g. /v1; what follows a ? goes to the entry's `query`",
        )
    if not value.isascii():
        raise Wrong(
            f"{shown(value)}, with letters beyond ASCII", "write the host as xn--... and escape the path"
        )
    return str(value)


def proxy(value: Any) -> str:
    """A proxy's scheme, host and port, and nothing else."""
    target = _ask_policy(policy.parse, text(value))
    rest = value.partition("://")[2].removesuffix("/")
    if any(mark in rest for mark in "/?#") or not rest.endswith(f":{target.port}"):
        raise Wrong(shown(value), "write the port out, and no path")
    return str(value).removesuffix("/")


def host(value: Any) -> str:
    """A line of `allowed_hosts`."""
    _ask_policy(policy.check_host_entry, text(value))
    return str(value)


def domain(value: Any) -> str:
    """A line of `allowed_domains`."""
    _ask_policy(policy.check_domain_entry, text(value))
    return str(value)


def cidr(value: Any) -> str:
    """A line of `allowed_cidrs`."""
    _ask_policy(policy.check_cidr, text(value))
    return str(value)


def _ask_policy(check: Check, value: str) -> Any:
    """Let the policy read the value: what it cannot read, it could not decide about."""
    try:
        return check(value)
    except policy.InvalidURL as error:
        if "@" in value:  # a user name and password are not shown
            raise Wrong(f"what cannot be used: {error}") from None
        raise Wrong(f"{shown(value)}: {error}") from None


def kind_of(value: Any) -> str:
    """Return what a value is, without it: it may be a key."""
    if value is None or isinstance(value, dict | list):
        return shown(value)
    return "true or false" if isinstance(value, bool) else "a text" if isinstance(value, str) else "a number"
