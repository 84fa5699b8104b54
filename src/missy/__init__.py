"""Missy asks language models. A key goes only to its own host, and what is sent is on record.

with missy.Missy.open() as m:
    for event in m.ask("What is the capital of France?"):
        ...
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing has it, without what loading typing costs

if TYPE_CHECKING:
    from typing import Any

    from missy._version import __version__
    from missy.answer import Answer, AsyncAnswer
    from missy.assistant import AsyncMissy, Missy
    from missy.attachments.reading import read_attachment
    from missy.auth.prompter import Prompter
    from missy.auth.ways import LoginStatus
    from missy.config.section_schema import ToolLimits
    from missy.conversation.asession import AsyncSession
    from missy.conversation.session import Session
    from missy.errors import (
        BadReply,
        BudgetError,
        ConfigError,
        ConnectionFailed,
        CredentialError,
        IncompleteError,
        LimitError,
        MissyError,
        PolicyError,
        ProviderError,
        SchemaMismatch,
        TimedOut,
        UsageError,
    )
    from missy.events import (
        Attachment,
        Citation,
        Done,
        Event,
        Image,
        Message,
        Notice,
        Reasoning,
        Replay,
        Text,
        Tool,
        ToolCall,
        ToolResult,
        Usage,
    )
    from missy.options import AskOptions, BatchOptions
    from missy.providers.base import Preview
    from missy.toolbox.base import ApprovalQuestion, ApprovalReply
    from missy.toolbox.box import Toolbox

_ROOMS = {
    "missy._version": ("__version__",),
    "missy.assistant": ("AsyncMissy", "Missy"),
    "missy.answer": ("Answer", "AsyncAnswer"),
    "missy.conversation.session": ("Session",),
    "missy.conversation.asession": ("AsyncSession",),
    "missy.errors": (
        "BadReply",
        "BudgetError",
        "ConfigError",
        "ConnectionFailed",
        "CredentialError",
        "IncompleteError",
        "LimitError",
        "MissyError",
        "PolicyError",
        "ProviderError",
        "SchemaMismatch",
        "TimedOut",
        "UsageError",
    ),
    "missy.attachments.reading": ("read_attachment",),
    "missy.events": (
        "Attachment",
        "Citation",
        "Done",
        "Event",
        "Image",
        "Message",
        "Notice",
        "Reasoning",
        "Replay",
        "Text",
        "Tool",
        "ToolCall",
        "ToolResult",
        "Usage",
    ),
    "missy.auth.prompter": ("Prompter",),
    "missy.auth.ways": ("LoginStatus",),
    "missy.options": ("AskOptions", "BatchOptions"),
    "missy.providers.base": ("Preview",),
    "missy.config.section_schema": ("ToolLimits",),
    "missy.toolbox.base": ("ApprovalQuestion", "ApprovalReply"),
    "missy.toolbox.box": ("Toolbox",),
}
_PLACES = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "Answer",
    "ApprovalQuestion",
    "ApprovalReply",
    "AskOptions",
    "AsyncAnswer",
    "AsyncMissy",
    "AsyncSession",
    "Attachment",
    "BadReply",
    "BatchOptions",
    "BudgetError",
    "Citation",
    "ConfigError",
    "ConnectionFailed",
    "CredentialError",
    "Done",
    "Event",
    "Image",
    "IncompleteError",
    "LimitError",
    "LoginStatus",
    "Message",
    "Missy",
    "MissyError",
    "Notice",
    "PolicyError",
    "Preview",
    "Prompter",
    "ProviderError",
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
    "Usage",
    "UsageError",
    "__version__",
    "read_attachment",
]


def __getattr__(name: str) -> Any:
    """Import a public name on use (PEP 562): `import missy` costs nothing."""
    if name not in _PLACES:
        raise AttributeError(f"module 'missy' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
