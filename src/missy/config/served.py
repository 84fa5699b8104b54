"""What `serve` may name: entries that other programs may use, and aliases of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.config.schema import nearest
from missy.config.values import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missy.config.positions import KeyPath, SourceMap
    from missy.config.schema import Config


def check_served(config: Config, names: Sequence[str], source_map: SourceMap) -> None:
    """Check the names under `serve`. Raises ConfigError for what is no entry, or none that may be served."""
    serve = config.serve
    for i, name in enumerate(serve.entries):
        _check_entry(config, name, names, ("serve", "entries", i), source_map)
    for alias, target in serve.aliases:
        key_path: KeyPath = ("serve", "aliases", alias)
        entry = target if target in serve.entries else target.partition("/")[0]
        _check_entry(config, entry, names, key_path, source_map)
        if entry not in serve.entries:
            what = f"found {shown(target)}, whose entry is not in serve.entries"
            raise source_map.error(what, key_path, hint=f"add {entry} to serve.entries")
        if alias in serve.entries:
            what = f"found {shown(alias)} as the name of an alias, which is an entry"
            raise source_map.error(what, key_path, hint="give the alias another name")


def _check_entry(
    config: Config, name: str, names: Sequence[str], key_path: KeyPath, source_map: SourceMap
) -> None:
    if name not in names:
        what = f"found {shown(name)}, which names no entry; allowed {', '.join(names)}"
        raise source_map.error(what, key_path, hint=nearest(name, names))
    entry = config.providers.get(name) or config.always_there[name]
    if not entry.enabled:
        raise source_map.error(
            f"found {shown(name)}, which is disabled", key_path, hint="set `enabled: true` there"
        )
    if entry.spec.unserved:
        what = f"found {shown(name)}, an entry of kind {entry.kind}, which is never served: {entry.spec.unserved}"
        raise source_map.error(what, key_path, hint="remove it; name an entry with an API key")
