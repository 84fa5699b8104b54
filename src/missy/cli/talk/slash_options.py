"""Slash commands that change what the next message is asked with: nothing is sent by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.cli.app import notice
from missy.errors import UsageError

if TYPE_CHECKING:
    from missy.cli.talk.shell import Shell

_LEVELS = ("low", "medium", "high")
_MAX_MODEL_CHARS = 200


def model(shell: Shell, name: str) -> None:
    """Show the model, or use another one from the next message on."""
    if name:
        if not name.isprintable() or " " in name or len(name) > _MAX_MODEL_CHARS:
            raise UsageError("that is not the name of a model", hint="missy models lists them")
        shell.talk.options.model = name
    notice(f"model: {shell.talk.model or 'the one that the entry chooses'}")


def provider(shell: Shell, name: str) -> None:
    """Show the entry, or ask another one from the next message on, with its own model."""
    talk = shell.talk
    if name:
        entry = talk.missy.entry(name)
        if entry.entry != talk.entry:
            talk.options.model = None
            talk.endpoint = None
        talk.entry = entry.entry
    others = [one for one in talk.config.providers if one != talk.entry]
    notice(f"provider: {talk.entry}" + (f" (there are also: {', '.join(others)})" if others else ""))


def system(shell: Shell, text: str) -> None:
    """Show the instructions, or set them from the next message on."""
    if text:
        shell.talk.options.system = "" if text == "off" else text
    notice(f"system: {shell.talk.system or 'none'}")


def role(shell: Shell, name: str) -> None:
    """List the roles of the configuration, or take one."""
    if name:
        take_role(shell, name)
        return
    notice(
        "roles: " + (", ".join(shell.talk.config.roles) or "none; write them below `roles:` in config.yaml")
    )


def take_role(shell: Shell, name: str, **given: Any) -> None:
    """Use the instructions, entry, model and temperature of a role, except what is given. Raises UsageError."""
    from missy.config.roles import with_role

    talk = shell.talk
    found = with_role(talk.config, {"role": name, **given})
    entry = found.pop("provider", None)
    if entry is not None:
        talk.entry = talk.missy.entry(entry).entry
        talk.options.model = None
    for option, value in found.items():
        setattr(talk.options, option, value)
    notice(f"role: {name}")


def attach(shell: Shell, path: str) -> None:
    """Read a file, to be sent along with the next message. Raises UsageError for one that this entry is not sent."""
    from missy.attachments.content import check_together
    from missy.attachments.reading import read_attachment
    from missy.events import Message
    from missy.providers.accepted import require_accepted

    talk = shell.talk
    file = read_attachment(path)
    check_together([*talk.attachments, file])
    require_accepted(talk.configured(), [Message("user", attachments=(file,))])
    talk.attachments.append(file)
    notice(f"attached to the next message: {file.name}, {file.media_type}, {len(file.data)} bytes")


def detach(shell: Shell, _argument: str) -> None:
    """Forget the files that wait for the next message."""
    count = len(shell.talk.attachments)
    shell.talk.attachments.clear()
    notice(f"detached: {count}")


def schema(shell: Shell, text: str) -> None:
    """Show or set what answers must fit. Raises UsageError for a bad schema."""
    if text == "off":
        shell.talk.options.schema = None
    elif text:
        from missy.structured.reading import read_schema

        shell.talk.options.schema = read_schema(text, multi=False)
    notice("answers must fit the schema" if shell.talk.options.schema is not None else "no schema")


def reasoning(shell: Shell, level: str) -> None:
    """Show or set how much the model should think."""
    if level and level not in (*_LEVELS, "off"):
        raise UsageError(f"there is no level '{level}'", hint=f"{', '.join(_LEVELS)} or off")
    if level:
        shell.talk.options.reasoning = None if level == "off" else level
    notice(f"reasoning: {shell.talk.options.reasoning or 'as the endpoint chooses'}")
