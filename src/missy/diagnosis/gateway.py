"""The checks of `missy serve`: its packages, its address, its store and its keys. Nothing for who serves nothing."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from missy.checks import Check, failed
from missy.errors import MissyError, PolicyError
from missy.plural import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.config.schema import Config


def examine_gateway(config: Config) -> Iterator[Check]:
    """Yield the checks of the gateway. The store is opened; no endpoint is asked."""
    if not config.serve.entries:
        return
    from missy.serve.opening import require_server
    from missy.serve.server import Listen, parse_listen, require_safe

    try:
        require_server()
    except MissyError as error:
        yield failed("serve: packages", error, error.hint.removeprefix("run: "))
        return
    try:
        require_safe(Listen(*parse_listen(config.serve.listen)), config)
        yield Check("serve: address", "ok", config.serve.listen)
    except PolicyError as error:  # with --tls-cert it may be meant
        yield Check(
            "serve: address", "warn", error.message, "missy serve --tls-cert cert.pem --tls-key key.pem"
        )
    yield _examine_store(config)


def _examine_store(config: Config) -> Check:
    try:
        usable = asyncio.run(_count_keys(config))
    except MissyError as error:
        return failed("serve: store", error, "missy serve status")
    if not usable:
        return Check("serve: keys", "warn", "no program has a key that can be used", "missy keys create NAME")
    return Check("serve: keys", "ok", f"{counted(usable, 'key')} can be used")


async def _count_keys(config: Config) -> int:
    from missy.serve.ledger import Ledger
    from missy.serve.opening import open_store

    store, now = open_store(config.serve.store), time.time()
    try:
        await store.open()
        return sum(key.state(now) == "valid" for key in await Ledger(store).keys())
    finally:
        await store.close()
