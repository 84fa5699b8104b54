"""The values of an answer as users handle them: matched, copied, compared, never changed."""

from __future__ import annotations

import copy
import dataclasses
import pickle  # noqa: TID251 values are not secrets
import sys
from typing import Any

import pytest

import missy
from missy import (
    Attachment,
    Citation,
    Done,
    Image,
    Message,
    Notice,
    Reasoning,
    Replay,
    Text,
    Tool,
    ToolCall,
    Usage,
)

VALUES = [
    Text("a"),
    Reasoning("b"),
    Notice("c"),
    ToolCall("1", "now", {}),
    Usage(1, 2, 3),
    Done("stop", model="m"),
    Image(b"x", "image/png"),
    Citation("https://example.com/", "Example"),
    Attachment(b"x", "text/plain", "x.txt"),
    Tool("now", "The time.", {}),
    Message("user", "hi"),
]
REPLAY = Replay(({"type": "reasoning"},), "openai", "host")


def test_events_are_taken_apart_by_position():
    """`case Text(text)` binds the text, and so on for every kind, in the order of its constructor."""
    match ToolCall("1", "now", {"a": 1}):
        case ToolCall(id, name, arguments):
            assert (id, name, arguments) == ("1", "now", {"a": 1})
    for value in VALUES:
        kind: Any = type(value)
        assert kind.__match_args__ == kind.__slots__


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_changed_copy_is_made_by_the_standard_library(value):
    """`dataclasses.replace` and, from Python 3.13 on, `copy.replace` change one part and leave the value itself as it was."""
    name = value.__slots__[0]
    before = value.as_dict()
    changed = dataclasses.replace(value, **{name: "new"})
    assert getattr(changed, name) == "new"
    assert type(changed) is type(value)
    assert {**changed.as_dict(), name: before[name]} == before == value.as_dict()
    if sys.version_info >= (3, 13):
        assert copy.replace(value, **{name: "new"}) == changed
    assert value.__replace__(**{name: "new"}) == changed
    with pytest.raises(TypeError):
        dataclasses.replace(value, nonsense=1)


@pytest.mark.parametrize("value", [*VALUES, REPLAY], ids=lambda value: type(value).__name__)
def test_values_are_frozen_compared_and_carried(value):
    """A value cannot be changed, equals its copies, and passes through pickle and `dataclasses.fields`."""
    with pytest.raises(AttributeError):
        setattr(value, value.__slots__[0], 1)
    assert copy.copy(value) == copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == value
    assert [field.name for field in dataclasses.fields(value)] == list(value.__slots__)
    assert type(value)(**dataclasses.asdict(value)) == value


def test_what_is_public_is_pinned():
    """The public names are these; each of them is there, and says what it is for."""
    assert missy.__all__ == sorted(missy.__all__)
    assert set(missy.__all__) == {
        *(
            "Answer",
            "ApprovalQuestion",
            "ApprovalReply",
            "AskOptions",
            "BudgetError",
            "AsyncAnswer",
            "AsyncMissy",
            "AsyncSession",
            "BadReply",
            "BatchOptions",
            "ConfigError",
            "ConnectionFailed",
        ),
        *(
            "CredentialError",
            "Done",
            "Event",
            "Image",
            "IncompleteError",
            "LimitError",
            "LoginStatus",
            "Prompter",
            "Message",
            "Missy",
            "MissyError",
        ),
        *(
            "Attachment",
            "Citation",
            "read_attachment",
            "Notice",
            "PolicyError",
            "Preview",
            "ProviderError",
            "SchemaMismatch",
            "Reasoning",
            "Replay",
            "SchemaMismatch",
            "Session",
            "Text",
            "TimedOut",
            "Tool",
            "ToolCall",
            "ToolLimits",
            "ToolResult",
            "Toolbox",
        ),
        *("Usage", "UsageError", "__version__"),
    }
    for name in missy.__all__:
        assert getattr(missy, name) is not None
        assert name in dir(missy)
