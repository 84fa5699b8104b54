"""The `serve` section as a typed value with every default filled in. See missy.config.schema."""

from __future__ import annotations

from typing import NamedTuple

ON_FAILURE = ("refuse", "allow")
SQLITE = "sqlite"  # the store in MISSY_HOME


class Serve(NamedTuple):
    """What `missy serve` offers to other programs, and where.

    `listen` is host:port. `hosts` are the names, besides loopback and `listen`, that a request may give as its Host.
    `aliases` are pairs of a name and what it stands for, an entry or `entry/model`. `store` is `sqlite`, a postgresql URL,
    or a reference to one.
    """

    listen: str = "127.0.0.1:8484"
    hosts: tuple[str, ...] = ()
    behind_proxy: bool = False
    entries: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    store: str = SQLITE
    reserve_output_tokens: int = 4096
    on_store_failure: str = "refuse"
