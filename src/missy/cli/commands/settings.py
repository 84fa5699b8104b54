"""`missy config set|unset`: changes one key of the file, which is checked first. It must never accept an API key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from missy import paths
from missy.cli.app import App, emit, notice
from missy.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from missy.config.dotted import KeyLocation


@click.command("set", context_settings={"ignore_unknown_options": True})
@click.argument("key")
@click.argument("value")
@click.pass_obj
def set_(app: App, key: str, value: str) -> None:
    """Set one key of the configuration file. The rest of it does not change, comments included, and a backup is kept.

    KEY is a dotted path; missing sections are made. VALUE is text, a number, true, false or null; a list is a,b or
    [a, b], a section {key: value}. An API key is accepted only as $VARIABLE, vault://NAME or keyring://NAME. A value
    that is not valid is refused, and nothing is changed. An entry's name that contains dots must be in quotes.

    \b
    Example:
      missy config set default_provider groq
      missy config set providers.groq.model llama-3.3-70b-versatile
      missy config set network.allowed_hosts "example.com, 10.0.0.5:8443"
      missy config set providers.groq.api_key vault://groq
    """
    from missy.config import edit
    from missy.config.dotted import find_key, read_value
    from missy.kinds import KINDS

    path = paths.config_file(app.config_path)
    done: list[tuple[KeyLocation, Any, bool]] = []

    def change(data: dict[str, Any]) -> None:
        entries = edit.section(data, "providers")
        location = find_key(key, entries, KINDS)
        is_new = location.entry is not None and location.entry not in entries
        if is_new and not path.exists():
            entries.clear()  # the sample entry of the template
        found = read_value(location, value)
        _set_value(data, location.steps, found)
        done.append((location, found, is_new))

    try:
        changed = edit.edit(path, change, KINDS)
    except ConfigError as error:
        raise (_as_usage_error(error) if done else error) from None
    location, found, is_new = done[-1]
    from missy.config.yaml_edit import inline

    emit(f"{location}: {found if isinstance(found, str) else inline(found)}")
    if is_new:
        notice(f"'{location.entry}' is a new entry; to undo: missy config rollback")
    if not changed:
        notice(f"{path} already has this value")


@click.command()
@click.argument("key")
@click.pass_obj
def unset(app: App, key: str) -> None:
    """Remove one key from the configuration file, so that its default is used; or a whole entry or section.

    \b
    Example:
      missy config unset providers.groq.timeout
      missy config unset providers.groq
    """
    from missy.config import edit
    from missy.config.dotted import find_key
    from missy.kinds import KINDS

    path = paths.config_file(app.config_path)
    done: list[tuple[KeyLocation, bool]] = []

    def change(data: dict[str, Any]) -> None:
        entries = edit.section(data, "providers")
        location = find_key(key, entries, KINDS)
        if location.entry is not None and location.entry not in entries:
            known = ", ".join(entries) or "none"
            raise UsageError(f"there is no entry '{location.entry}'", hint=f"the entries are: {known}")
        at: Any = data
        for step in location.steps[:-1]:
            at = at.get(step) or {}
        done.append((location, location.steps[-1] in at))
        at.pop(location.steps[-1], None)
        _drop_if_empty(data, "providers")

    if not path.exists():
        find_key(key, (), KINDS)
        notice(f"there is no {path}: nothing is set")
        return
    try:
        edit.edit(path, change, KINDS)
    except ConfigError as error:
        raise (_as_usage_error(error) if done else error) from None
    location, was_set = done[-1]
    if was_set:
        emit(f"{location}: not set any more")
    else:
        notice(f"{location} was not set")


def _set_value(data: dict[str, Any], steps: list[str], value: Any) -> None:
    from missy.config.edit import section

    if len(steps) == 1 and steps[0] not in data:  # a new top-level key goes to the top of the file
        rest = dict(data)
        data.clear()
        data.update({steps[0]: value}, **rest)
    at = data
    for step in steps[:-1]:
        at = section(at, step)
    at[steps[-1]] = value
    _drop_if_empty(data, "providers")


def _as_usage_error(error: ConfigError) -> UsageError:
    """Return the error without its line number: the refused configuration was never written."""
    what = error.message.removeprefix(f"{error.file}:{error.line}: ")
    hint = "see: missy config schema" if error.hint.startswith("correct that line") else error.hint
    return UsageError(f"{what}; nothing was changed", hint=hint)


def _drop_if_empty(data: dict[str, Any], name: str) -> None:
    """Remove a section that was made only to look into it."""
    if data.get(name) == {}:
        del data[name]
