"""Checks of single values: each takes a plain value and returns the value to keep, or raises Wrong. No I/O."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from missy import policy
from missy.charset import is_visible_ascii
from missy.config.schema import TokenPrice, nearest
from missy.masking import REFERENCES, mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Check = Callable[[Any], Any]

MAX_SECONDS = 86_400  # a day; anything longer is a typing error, or meant as milliseconds
MAX_RETRIES = 100
MAX_DAYS = 36_500
MAX_PROSE = 65_536  # characters
MAX_PRICE = 1_000_000  # US dollars for a million tokens
PRICES = ("input", "cached_input", "output")
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
VARIABLE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
SECRET_NAME = re.compile(r"(vault|keyring)://[A-Za-z0-9._/-]{1,128}")


class Wrong(Exception):
    """An invalid value. `found` describes it without a secret; `index` or `key` says which part is wrong."""

    def __init__(self, found: str, hint: str = "", index: int | None = None, key: str | None = None) -> None:
        super().__init__(found)
        self.found = found
        self.hint = hint
        self.index = index
        self.key = key


def shown(value: Any) -> str:
    """Return a value as it is shown in a message."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, str):
        value = mask(value)
        return ascii(value if len(value) <= 60 else value[:60] + "...")
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def optional(check: Check) -> Check:
    """Allow null in addition to what `check` allows."""
    return lambda value: None if value is None else check(value)


def many(check: Check) -> Check:
    """Allow a list of what `check` allows. null counts as empty: it remains when all items are commented out."""

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
    """Check visible text without spaces around it."""
    if not isinstance(value, str):
        scalar = value is not None and not isinstance(value, dict | list)
        raise Wrong(shown(value), "put it in quotes if it is meant as text" if scalar else "")
    if not value or len(value) > 2048:
        raise Wrong("text of more than 2048 characters" if value else "an empty text")
    if not value.isprintable() or value != value.strip():
        raise Wrong(f"{shown(value)}, with a line end, an invisible character or a space at either end")
    return value


def prose(value: Any) -> str:
    """Check a text that may have several lines, such as instructions for a model."""
    if not isinstance(value, str):
        raise Wrong(kind_of(value), "put it in quotes if it is meant as text" if value is not None else "")
    if not value.strip() or len(value) > MAX_PROSE:
        raise Wrong(f"text of more than {MAX_PROSE} characters" if value.strip() else "an empty text")
    if not value.isprintable() and any(ord(char) < 32 and char not in "\n\t\r" for char in value):
        raise Wrong("text with a control character")
    return value


def temperature(value: Any) -> float:
    """Check a temperature, 0 to 2."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2:
        raise Wrong(shown(value))
    return float(value)


def flag(value: Any) -> bool:
    """Check a boolean; 0, 1 and strings are refused."""
    if not isinstance(value, bool):
        raise Wrong(shown(value))
    return value


def seconds(value: Any) -> float:
    """Check a time in seconds, above 0."""
    return _number(value, MAX_SECONDS)


def dollars(value: Any) -> float:
    """Check an amount of money, above 0."""
    return _number(value, 1_000_000)


def _number(value: Any, most: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise Wrong(shown(value))
    return float(value)


def price(value: Any) -> TokenPrice | None:
    """Check a price. null, and a mapping in which all is null, is none."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Wrong(kind_of(value), "write a mapping: {input: 2.5, output: 10}")
    for name, amount in value.items():
        if name not in PRICES:
            raise Wrong("an unknown part", nearest(str(name), PRICES), key=name)
        if amount is not None and (
            isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount <= MAX_PRICE
        ):
            raise Wrong(shown(amount), key=name)
    given, cached, made = (value.get(name) for name in PRICES)
    if given is None and made is None and cached is None:
        return None
    if given is None or made is None:
        missing = "input" if given is None else "output"
        raise Wrong(
            f"a price without {missing}", "write both input and output; 0 is a price too", key=missing
        )
    return TokenPrice(float(given), float(made), None if cached is None else float(cached))


def whole(most: int, least: int = 1) -> Check:
    """Allow a whole number from `least` to `most`."""

    def check_number(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise Wrong(shown(value))
        return value

    return check_number


def place(value: Any) -> str:
    """Check an absolute path, or one that begins with ~."""
    if not os.path.isabs(os.path.expanduser(text(value))):
        raise Wrong(shown(value), "write an absolute path, or one that begins with ~/")
    return str(value)


def one_of(names: Iterable[str]) -> Check:
    """Allow one of these names."""
    known = tuple(names)

    def check_name(value: Any) -> str:
        if text(value) not in known:
            raise Wrong(shown(value), nearest(value, known))
        return str(value)

    return check_name


def preset(value: Any) -> str:
    """Check the name of a preset."""
    from missy.config.presets import PRESETS  # most files name none

    if text(value) not in PRESETS:
        raise Wrong(shown(value), nearest(value, PRESETS) or "see `missy presets`")
    return str(value)


def key(value: Any) -> str:
    """Check a key or a reference to one. Errors never show the value."""
    if not isinstance(value, str):
        raise Wrong(kind_of(value), "put it in quotes if it is meant as text" if value is not None else "")
    if not value or len(value) > 16_384:
        raise Wrong(
            "text of more than 16384 characters" if value else "an empty text", "write null for no key"
        )
    if value.startswith("$") and not VARIABLE.fullmatch(value):
        raise Wrong(
            "a $ that is not followed by the name of a variable", "write $NAME: letters, digits and _"
        )
    if "://" in value and not SECRET_NAME.fullmatch(value):
        raise Wrong("text with :// in it", f"a reference begins with one of {' '.join(REFERENCES)}")
    if not is_visible_ascii(value):
        raise Wrong(
            "text with a space, a line end or a non-ASCII character, which no key has", "paste the key alone"
        )
    return value


def url(value: Any) -> str:
    """Check an http or https URL to which paths can be appended."""
    _ask_policy(policy.parse, text(value))
    if "?" in value or "#" in value:
        raise Wrong(
            "a URL with a query or a fragment",
            "a base URL ends with its path, e.g. /v1; what follows a ? goes to the entry's `query`",
        )
    if not value.isascii():
        raise Wrong(
            f"{shown(value)}, with non-ASCII characters", "write the host as xn--... and escape the path"
        )
    return str(value)


def proxy(value: Any) -> str:
    """Check a proxy URL: scheme, host and port only."""
    target = _ask_policy(policy.parse, text(value))
    rest = value.partition("://")[2].removesuffix("/")
    if any(mark in rest for mark in "/?#") or not rest.endswith(f":{target.port}"):
        raise Wrong(shown(value), "write the port out, and no path")
    return str(value).removesuffix("/")


def host(value: Any) -> str:
    """Check an item of `allowed_hosts`."""
    _ask_policy(policy.check_host_entry, text(value))
    return str(value)


def domain(value: Any) -> str:
    """Check an item of `allowed_domains`."""
    _ask_policy(policy.check_domain_entry, text(value))
    return str(value)


def cidr(value: Any) -> str:
    """Check an item of `allowed_cidrs`."""
    _ask_policy(policy.check_cidr, text(value))
    return str(value)


def _ask_policy(check: Check, value: str) -> Any:
    """Check a value with the policy's own parser, so that both accept the same."""
    try:
        return check(value)
    except policy.InvalidURL as error:
        if "@" in value:  # a user name and password are not shown
            raise Wrong(f"what cannot be used: {error}") from None
        raise Wrong(f"{shown(value)}: {error}") from None


def kind_of(value: Any) -> str:
    """Return the type of a value in words, without the value: it may be a key."""
    if value is None or isinstance(value, dict | list):
        return shown(value)
    return "true or false" if isinstance(value, bool) else "a text" if isinstance(value, str) else "a number"
