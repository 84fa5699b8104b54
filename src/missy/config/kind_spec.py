"""What the configuration has to know of a kind of provider. The table of kinds is given by who loads.

It must never import the kinds themselves: they stand above, and what one does besides is not the file's business.
"""

from __future__ import annotations

from collections.abc import Mapping


class KindSpec:
    """One kind. A kind is a class with these values as its attributes: that is made faster than a dataclass.

    `keys` are the keys of an entry that mean something to it, and not to every kind. `accepts` are the kinds of files,
    besides text, that its own endpoint is sent, `accepts_elsewhere` those that any other endpoint is sent.

    `base_url`, `issuer`, `model` and `timeout` (seconds) hold where an entry names none; without `issuer` it has no
    login. `always_there` says what it is if it can be named without any entry. `template` is its part of a new
    configuration file. `refused_keys` says for keys of other kinds why this one cannot have them. `login_by_name`:
    `missy auth` uses it only if it is named or has an entry. `unserved` says why `missy serve` never offers its entries.
    """

    name: str = ""
    keys: tuple[str, ...] = ()
    base_url: str | None = None
    issuer: str | None = None
    model: str | None = None
    timeout: float = 30.0
    accepts: tuple[str, ...] = ("image", "pdf")
    accepts_elsewhere: tuple[str, ...] = ("image",)
    always_there: str = ""
    template: tuple[str, ...] = ()
    refused_keys: Mapping[str, str] = {}
    login_by_name: bool = False
    unserved: str = ""

    def __repr__(self) -> str:
        return f"<kind {self.name}>"

    @property
    def has_login(self) -> bool:
        """Whether its entries are used with a login in place of a key."""
        return self.issuer is not None

    @property
    def may_accept(self) -> bool:
        """Whether an entry may say which kinds of files it accepts."""
        return "accepts" in self.keys

    @property
    def takes_key(self) -> bool:
        """Whether its entries are used with a key."""
        return "api_key" in self.keys


Kinds = Mapping[str, KindSpec]  # by name; the first one is the default kind, which serves every named service


def default_kind(kinds: Kinds) -> KindSpec:
    """Return the kind of an entry whose name and keys say nothing else."""
    return next(iter(kinds.values()))


def kind_of(name: str, given: str | None, kinds: Kinds) -> KindSpec:
    """Return the kind of an entry: the given one, else its own name's, else the default one. Raises KeyError."""
    return kinds[given] if given else kinds.get(name) or default_kind(kinds)
