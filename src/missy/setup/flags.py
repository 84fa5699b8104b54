"""Makes a plan from the options of `setup --no-prompt`. It reads no file and shows no key."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from missy.config.kind_spec import default_kind
from missy.config.schema import nearest
from missy.errors import UsageError
from missy.kinds import KINDS
from missy.services import SERVICES, Service, named, of_url
from missy.setup import plan
from missy.setup.pairs import split_pair
from missy.setup.plan import Draft
from missy.setup.stores import NEEDS_SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from missy.config.schema import Config
    from missy.secrets.redact import Secret


class Flags(NamedTuple):
    """The options of the command."""

    provider: str | None = None
    entry: str | None = None
    base_url: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    api_key_stdin: bool = False
    store: str | None = None
    parts: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    api_key_header: str | None = None
    force: bool = False


def draft_from_flags(flags: Flags, config: Config, read_key: Callable[[], Secret]) -> Draft:
    """Return the entry that the options describe. Raises UsageError if they do not go together."""
    kind, service = _find_kind_and_service(flags, config)
    name = flags.entry or service or kind
    if name in config.providers and not flags.force:
        raise UsageError(
            f"there is an entry '{name}' in {config.path}",
            hint="choose another --entry, or change it with --force",
        )
    _refuse_foreign_options(kind, flags)
    draft = Draft(kind=kind, name=name, model=flags.model, replaces=flags.force)
    draft = _with_endpoint(draft, flags, SERVICES.get(service), config)
    if not KINDS[kind].takes_key:
        return draft
    _require_model(draft, SERVICES.get(service), config)
    return _with_key(draft, flags, read_key)


def _refuse_foreign_options(name: str, flags: Flags) -> None:
    """Raise UsageError for options that a kind does not have."""
    kind = KINDS[name]
    untaken = {} if "base_url" in kind.keys else {"--base-url": flags.base_url}
    untaken |= {} if kind.asks_model else {"--model": flags.model}
    if any(untaken.values()):
        raise UsageError(f"kind {name} takes no {' and no '.join(untaken)}", hint="leave them out")
    if not kind.takes_key and (flags.api_key_env or flags.api_key_stdin or flags.store):
        raise UsageError(f"kind {name} takes no key", hint="leave the options about keys out")


def _find_kind_and_service(flags: Flags, config: Config) -> tuple[str, str]:
    """Return the kind, and the service if one was named."""
    kinds = list(KINDS)
    wanted = flags.provider
    if wanted is None:
        return _kind_from_entry_name(flags, config, kinds)
    if wanted in kinds:
        return wanted, ""
    if service := named(wanted):
        return default_kind(KINDS).name, service
    near = nearest(wanted, [*kinds, *SERVICES])
    raise UsageError(
        f"--provider {wanted}: no preset of that name",
        hint=f"{near + ' ' if near else ''}missy presets lists them; any other: --base-url URL",
    )


def _kind_from_entry_name(flags: Flags, config: Config, kinds: list[str]) -> tuple[str, str]:
    """Return the kind and the service for the name of an entry: that of a kind, a service, or an existing entry."""
    name = flags.entry
    if flags.base_url or name is None:
        return default_kind(KINDS).name, ""
    if name in config.providers and flags.force:
        return config.providers[name].kind, ""
    if name in kinds:
        return name, ""
    if service := named(name):
        return default_kind(KINDS).name, service
    raise UsageError(
        f"--base-url is missing: nothing says whose endpoint '{name}' is",
        hint="name it with --base-url URL, or with --provider NAME: missy presets lists the names",
    )


def _with_endpoint(draft: Draft, flags: Flags, service: Service | None, config: Config) -> Draft:
    """Add the URL, headers and query: those of the service, then those of the options."""
    url, headers = flags.base_url, dict[str, str]()
    old = config.providers.get(draft.name)
    if url is None and service is None and flags.provider is None and old is not None:
        url = old.base_url
    if service is not None:
        filled, headers = service.filled(_parts(flags, service))
        url = url or filled
    elif flags.parts:
        raise UsageError("--set names a part of a preset, and none was named", hint="see: missy presets")
    headers |= _pairs("--header", flags.headers)
    return replace(
        draft,
        base_url=plan.check_base_url(url) if url else None,
        headers=tuple(headers.items()),
        query=tuple(_pairs("--query", flags.query).items()),
        api_key_header=flags.api_key_header or (service.api_key_header if service else None),
    )


def _parts(flags: Flags, service: Service) -> dict[str, str]:
    """Return the parts of a service's URL and headers that were given. Raises UsageError for one that is missing."""
    given = _pairs("--set", flags.parts)
    known = [part.name for part in service.parts]
    for name in given:
        if name not in known:
            what = f"{service.title} has {', '.join(known) or 'no such parts'}"
            raise UsageError(f"--set {name}: no such part", hint=what)
    for part in service.parts:
        in_url = part.name in service.url_parts
        needed = not (part.optional or part.default or (in_url and flags.base_url))
        if needed and not given.get(part.name):
            raise UsageError(
                f"--set {part.name}=... or --base-url is missing: {service.shown_url}"
                if in_url
                else f"--set {part.name}=... is missing: {part.question.rstrip(':')}",
                hint="replace the parts in capitals" if in_url else "see: missy presets",
            )
    free_text = {part.name for part in service.parts if part.optional}
    parts = {part.name: part for part in service.parts}
    return {
        name: value if name in free_text else plan.check_part(service, parts[name], value)
        for name, value in given.items()
    }


def _pairs(option: str, given: Iterable[str]) -> dict[str, str]:
    """Split the values of an option. Raises UsageError for a secret: other users can read a command line."""
    return dict(split_pair(text, option=option, plain_names=option == "--set") for text in given)


def _require_model(draft: Draft, service: Service | None, config: Config) -> None:
    """Raise UsageError for a server on this machine without a model: the default model is not there."""
    old = config.providers.get(draft.name)
    if service is None or not service.here or draft.model or (old is not None and old.model):
        return
    raise UsageError(
        f"--model is missing: {service.title.partition(',')[0]} has what you have put there, and no gpt-4o",
        hint=f"its list: curl {draft.base_url}/models",
    )


def _with_key(draft: Draft, flags: Flags, read_key: Callable[[], Secret]) -> Draft:
    variable, store = flags.api_key_env, flags.store
    if variable is not None:
        if flags.api_key_stdin or store not in (None, "env"):
            other = "--api-key-stdin" if flags.api_key_stdin else f"--store {store}"
            raise UsageError(f"--api-key-env and {other} exclude each other", hint="leave one of them out")
        return replace(draft, store="env", variable=plan.check_variable(variable, os.environ))
    if not flags.api_key_stdin:
        if store in NEEDS_SECRET:
            raise UsageError(
                f"--store {store} has nothing to keep", hint="pipe the key in with --api-key-stdin"
            )
        if store == "env":
            raise UsageError("--store env names no variable", hint="name it with --api-key-env")
        return draft
    secret = read_key()
    if store != "env":
        return replace(draft, store=store or "vault", secret=secret)
    service = of_url(draft.base_url)
    name = plan.variable_for(draft.name, service.variable if service else "", os.environ)
    return replace(draft, store="env", variable=name, secret=secret)
