"""The options of one answer: the keyword arguments of `Missy.ask`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from missy.events import Attachment, Image, Tool
    from missy.toolbox.base import ApprovalQuestion
    from missy.toolbox.box import Toolbox


class AskOptions(TypedDict, total=False):
    """The options of one answer. An omitted option is not sent, or is taken from the entry."""

    model: str | None
    """The model, instead of the entry's."""
    system: str | None
    """The system prompt."""
    role: str | None
    """A role of the configuration: its instructions, and its entry, model and temperature unless they are given."""
    images: Sequence[Image]
    """Images attached to the prompt."""
    attachments: Sequence[Attachment]
    """Files that go along with the prompt: images, PDFs and UTF-8 texts."""
    temperature: float | None
    """0 to 2."""
    max_tokens: int | None
    """The maximum length of the answer, in tokens."""
    reasoning: Literal["low", "medium", "high"] | None
    """How much the model should think."""
    tools: Sequence[Tool]
    """The functions that the model may call."""
    tool_choice: str | None
    """`auto`, `none`, `required`, or the name of one tool."""
    timeout: float | None
    """Idle timeout in seconds: without any data from the endpoint."""
    deadline: float | None
    """Seconds for the whole answer."""
    schema: dict[str, Any] | str | type | None
    """What the answer must fit: a JSON Schema (a dict, its text, a file's path), `name str, age int`, or a class."""
    repair: bool
    """Whether an answer that does not fit its schema is asked for once more. Default: True."""
    cache_key: str | None
    """What names the conversation to the endpoint's cache, where it has such a thing; it says nothing else."""
    max_cost: float | Decimal | None
    """The most that the answer may cost, in US dollars. It is not sent if it could cost more; see docs/cost.md."""
    stream: bool
    """Whether the answer is streamed. Default: True."""
    toolbox: Toolbox | None
    """The tools that Missy runs for the model, by their rules; see `Missy.toolbox`."""
    approve: Callable[[ApprovalQuestion], Any] | None
    """Answers the questions about tool calls: True, False or an `ApprovalReply`. Without it, what is asked is denied."""


class BatchOptions(TypedDict, total=False):
    """The options of `AsyncMissy.batch`: those of `missy batch run`, by the same names."""

    model: str | None
    """The model, instead of the entry's."""
    system: str | None
    """Instructions that come before each prompt."""
    column: str | None
    """The column that holds the prompt."""
    template: str | None
    """The prompt, with `{column}` for a value."""
    id: str | None
    """The column that names a row."""
    schema: dict[str, Any] | str | type | None
    """What each answer must fit."""
    max_tokens: int | None
    """The longest answer, in tokens."""
    temperature: float | None
    """0 to 2."""
    concurrency: int | None
    """At most so many requests at a time."""
    rpm: float | None
    """At most so many requests a minute."""
    tpm: float | None
    """At most so many tokens a minute."""
    max_cost: float | None
    """The most that the job may cost, in US dollars, over all its runs."""
    limit: int | None
    """The first rows alone."""
