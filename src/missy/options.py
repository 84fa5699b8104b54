"""What a caller may ask of one answer besides the prompt: the keyword arguments of `Missy.ask`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missy.events import Image, Tool


class AskOptions(TypedDict, total=False):
    """The options of one answer. What is left out is not sent, or is taken from the entry."""

    model: str | None
    """The model, instead of the entry's."""
    system: str | None
    """Instructions that come before the prompt."""
    images: Sequence[Image]
    """Images that go with the prompt."""
    temperature: float | None
    """0 to 2."""
    max_tokens: int | None
    """The longest answer, in tokens."""
    reasoning: Literal["low", "medium", "high"] | None
    """How much the model is to think."""
    tools: Sequence[Tool]
    """The functions that the model may ask for."""
    tool_choice: str | None
    """`auto`, `none`, `required`, or the name of one tool."""
    timeout: float | None
    """Seconds without a sign of life from the endpoint."""
    deadline: float | None
    """Seconds for the whole answer."""
    stream: bool
    """Whether the answer comes in pieces, as it is made. Default: True."""
