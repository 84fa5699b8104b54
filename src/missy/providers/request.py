"""From a prompt and a caller's options to a Request.

Pure. Values that no endpoint accepts are refused here, before anything is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.config.schema import nearest
from missy.errors import UsageError
from missy.events import Message
from missy.providers.base import Request
from missy.providers.counts import MAX_USD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from missy.config.schema import Entry
    from missy.events import Attachment
    from missy.options import AskOptions
    from missy.structured.schema import Schema

_NUMBER = (int, float)
_SEQUENCE = (list, tuple)
# option -> its types, besides None
_TYPES: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "system": (str,),
    "role": (str,),
    "images": _SEQUENCE,
    "attachments": _SEQUENCE,
    "temperature": _NUMBER,
    "max_tokens": (int,),
    "reasoning": (str,),
    "tools": _SEQUENCE,
    "tool_choice": (str,),
    "timeout": _NUMBER,
    "deadline": _NUMBER,
    "schema": (dict, str, type),
    "repair": (bool,),
    "cache_key": (str,),
    "max_cost": _NUMBER,
    "stream": (bool,),
    "toolbox": (object,),  # the runtime's
    "approve": (object,),
}


def build_request(entry: Entry, prompt: str | Sequence[Message], options: AskOptions) -> Request:
    """Build the request of one answer; times are in seconds. Raises UsageError for invalid values."""
    _check_types(options)
    images = tuple(options.get("images") or ())
    if isinstance(prompt, str):
        files = _files(options)
        messages: tuple[Message, ...] = (Message("user", prompt, images, attachments=files),)
        if not prompt.strip() and not images and not files:
            raise UsageError("the prompt is empty", hint='try: missy ask "What is the capital of France?"')
    else:
        messages = tuple(prompt)
        if not messages:
            raise UsageError("there is no message to answer", hint="give at least one")
    if any(message.images or message.attachments for message in messages):
        from missy.providers.accepted import require_accepted

        require_accepted(entry, messages)
    _check_values(options)
    model, system = options.get("model"), options.get("system")
    for text in (model, system, *(message.text for message in messages)):
        _check_unicode(text or "")
    timeout, deadline = options.get("timeout"), options.get("deadline")
    stream, schema = options.get("stream"), options.get("schema")
    return Request(
        messages,
        model or entry.model,
        system=system,
        temperature=options.get("temperature"),
        max_tokens=options.get("max_tokens"),
        reasoning=options.get("reasoning"),
        tools=tuple(options.get("tools") or ()),
        tool_choice=options.get("tool_choice"),
        stream=True if stream is None else stream,
        timeout=timeout if timeout is not None else entry.timeout,
        deadline=deadline if deadline is not None else entry.deadline,
        patience=_patience(entry.patience, timeout),
        schema=None if schema is None else _read_schema(schema),
        repair=options.get("repair") is not False,
        cache_key=options.get("cache_key"),
        max_cost=options.get("max_cost"),
    )


def _files(options: AskOptions) -> tuple[Attachment, ...]:
    given = options.get("attachments")
    if not given:
        return ()
    from missy.attachments.content import attachment, check_together

    files = tuple(attachment(file) for file in given)
    check_together(files)
    return files


def _read_schema(given: Any) -> Schema:
    from missy.structured.reading import read_schema  # seldom asked for

    return read_schema(given)


def _patience(patience: float | None, timeout: float | None) -> float | None:
    """Return an entry's patience, raised to `timeout` if the caller's timeout is longer."""
    return max(patience, timeout) if patience is not None and timeout is not None else patience


def _check_types(options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if name == "schema" and type(value).__module__ == "missy.structured.schema":
            continue  # read already
        if name == "max_cost" and type(value).__module__ == "decimal":
            continue  # a number too, whose type takes long to import
        allowed = _TYPES.get(name)
        if allowed is None:
            near = nearest(name, _TYPES)
            raise UsageError(
                f"ask() has no option {name!r}", hint=near or f"the options are: {', '.join(_TYPES)}"
            )
        wrong_bool = (
            isinstance(value, bool) and bool not in allowed
        )  # a bool is an int in Python, but not a number here
        if value is not None and (wrong_bool or not isinstance(value, allowed)):
            names = " or ".join(kind.__name__ for kind in allowed)
            raise UsageError(f"the option {name} is a {type(value).__name__}", hint=f"give a {names}")


def _check_values(options: AskOptions) -> None:
    model, temperature, tokens = options.get("model"), options.get("temperature"), options.get("max_tokens")
    if (
        model is not None and not model.strip()
    ):  # most likely an unset variable, so the entry's model is not used
        raise UsageError("the name of the model is empty", hint="name one, or omit it for the entry's own")
    if temperature is not None and not 0 <= temperature <= 2:
        raise UsageError(f"the temperature {temperature} is impossible", hint="0 to 2 is allowed")
    if tokens is not None and tokens < 1:
        raise UsageError(f"an answer of {tokens} tokens is impossible", hint="1 or more is allowed")
    cost = options.get("max_cost")
    if cost is not None and not 0 <= cost < MAX_USD:
        raise UsageError(f"a cost of {cost} US dollars is impossible", hint=f"0 to {MAX_USD} is allowed")
    times = (options.get("timeout"), options.get("deadline"))
    if not all(seconds is None or seconds > 0 for seconds in times):
        raise UsageError("a time of 0 seconds or less is impossible", hint="give more than 0 seconds")


def _check_unicode(text: str) -> None:
    """Refuse lone surrogates: they come from invalid UTF-8 and cannot be sent."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the text is not valid Unicode at character {error.start}", hint="send it as UTF-8"
        ) from None
