"""Which entry and model a name stands for, and which of them a key may use. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from missy.serve.faults import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from missy.config.schema import Config, Entry
    from missy.serve.keys import Key


class Target(NamedTuple):
    """An entry, and the model that it is asked for; None is the entry's own."""

    entry: Entry
    model: str | None

    @property
    def name(self) -> str:
        """The name that stands for it whatever aliases there are: `entry/model`, or the entry's name alone."""
        return self.entry.entry if self.model is None else f"{self.entry.entry}/{self.model}"


def resolve(config: Config, name: str) -> Target:
    """Return what a model's name stands for. Raises Refused for a name of nothing that is served."""
    target = dict(config.serve.aliases).get(name, name)
    served = config.serve.entries
    if target in served:
        entry = config.entry(target)
        return Target(entry, entry.model)
    head, slash, model = target.partition("/")
    if slash and model and head in served:
        return Target(config.entry(head), model)
    raise Refused(404, "model_not_found", f"there is no model {name!r} here; GET /v1/models lists them")


def require(key: Key, name: str, target: Target) -> None:
    """Raise Refused if a key may not use a model: by the name that it was asked by, or by the entry's."""
    is_entry = not key.entries or target.entry.entry in key.entries
    is_model = not key.models or name in key.models or target.name in key.models
    if not (is_entry and is_model):
        raise Refused(403, "model_not_allowed", f"the key {key.name} may not use the model {name!r}")


def names(config: Config, key: Key) -> Iterator[tuple[str, str]]:
    """Yield the names of models that a key may use, and the entry of each."""
    offered: list[str] = [alias for alias, _ in config.serve.aliases]
    for entry in config.serve.entries:
        model = config.entry(entry).model
        offered += [entry] if model is None else [entry, f"{entry}/{model}"]
    offered += [model for model in key.models if model not in offered]
    for name in offered:
        try:
            target = resolve(config, name)
            require(key, name, target)
        except Refused:
            continue
        yield name, target.entry.entry
