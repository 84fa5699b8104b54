"""The kinds of providers: a line each. The first one is the default kind.

To add a kind, write its module (see `base`) and give it its line here; no other file names a kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from missy.kinds import chatgpt, codex, local, openai

if TYPE_CHECKING:
    from missy.config.schema import Entry
    from missy.kinds.base import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        openai.KIND,
        codex.KIND,
        chatgpt.KIND,
        local.KIND,
    )
}


def kind_of(entry: Entry) -> Kind:
    """Return the kind of an entry."""
    return KINDS[entry.kind]
