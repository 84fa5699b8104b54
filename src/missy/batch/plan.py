"""What is asked of each row, and how rows and jobs are told apart. Pure.

A row is identified by its number and a hash of what it asks; a job by its fingerprint, all that changes an answer.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.batch.template import Template, as_text
from missy.errors import UsageError
from missy.events import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

MESSAGES = "messages"
PROMPT = "prompt"
_ROLES = ("system", "user", "assistant")


class BadRow(UsageError):
    """A row that asks nothing that can be sent: it fails alone, as `bad_input`."""


class Plan(NamedTuple):
    """What all rows have in common. `schema` is the JSON Schema of the answers; `id_column` names the rows' ids."""

    entry: str
    endpoint: str | None
    model: str | None
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    schema: dict[str, Any] | None = None
    column: str | None = None
    template: str | None = None
    id_column: str | None = None

    def changed(self, before: Plan) -> list[str]:
        """Return the names of what differs from another plan."""
        return [name for name in self._fields if getattr(self, name) != getattr(before, name)]


class RowReader:
    """Makes a row's messages, hash and id. Not for several threads at once."""

    def __init__(self, plan: Plan) -> None:
        self._template = Template(plan.template) if plan.template is not None else None
        self._column = plan.column
        self._id = plan.id_column
        asked = [plan.model, plan.system, plan.temperature, plan.max_tokens, plan.schema]
        written = json.dumps(asked, sort_keys=True).encode()
        self._hash = blake2b(blake2b(written, digest_size=16).digest(), digest_size=8)

    def prompt(self, row: Mapping[str, Any], where: str) -> str | list[Any]:
        """Return what a row asks: a prompt, or the messages of one. Raises UsageError for a column that is not there."""
        try:
            if self._template is not None:
                return self._template.fill(row)
            if self._column is not None:
                return as_text(row[self._column])
            if PROMPT not in row and MESSAGES in row:
                return _listed(row[MESSAGES])
            return as_text(row[PROMPT])
        except KeyError as missing:
            name = missing.args[0]
            raise UsageError(
                f"{where} has no column {name!r}",
                hint=f"its columns are: {', '.join(map(str, list(row)[:20])) or 'none'}; name one with --column, "
                "or write --template",
            ) from None

    def hash(self, prompt: str | list[Any]) -> str:
        """Return what tells a request from others: 16 hexadecimal digits."""
        made = self._hash.copy()
        if isinstance(prompt, str):
            made.update(b"p" + prompt.encode("utf-8", "surrogatepass"))
        else:
            made.update(b"m" + json.dumps(prompt, sort_keys=True).encode())
        return made.hexdigest()

    def id(self, row: Mapping[str, Any], where: str) -> Any:
        """Return the row's own id; None without one. Raises UsageError if the named column is not there."""
        if self._id is None:
            found = row.get("id")
            return found if isinstance(found, str | int) else None
        if self._id not in row:
            raise UsageError(f"{where} has no column {self._id!r}", hint="--id names a column of the input")
        return row[self._id]


def messages_of(prompt: str | list[Any]) -> tuple[Message, ...]:
    """Return the messages to send. Raises BadRow."""
    if isinstance(prompt, str):
        if not prompt.strip():
            raise BadRow("the prompt is empty")
        found: tuple[Message, ...] = (Message("user", prompt),)
    else:
        found = tuple(_message(one) for one in prompt)
        if not found:
            raise BadRow("there is no message to answer")
    for message in found:
        try:
            message.text.encode()
        except UnicodeEncodeError as error:
            raise BadRow(f"the text is not valid Unicode at character {error.start}") from None
    return found


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str):  # as CSV has it
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    return value if isinstance(value, list) else [value]


def _message(one: Any) -> Message:
    if not isinstance(one, dict) or one.get("role") not in _ROLES:
        raise BadRow(f"a message is {{role, content}}, with a role of {', '.join(_ROLES)}")
    content = one.get("content")
    if isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "text" for part in content
    ):
        content = "".join(str(part.get("text", "")) for part in content)
    if not isinstance(content, str):
        raise BadRow("the content of a message is a text")
    return Message(one["role"], content)
