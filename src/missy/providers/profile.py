"""What an endpoint and a model expect of a Chat Completions request, known beforehand or learnt from a refusal. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from missy.secrets.resolve import is_openai_host

if TYPE_CHECKING:
    from collections.abc import Collection

_LIMITS = ("max_tokens", "max_completion_tokens")
# OpenAI's API reference: from o1 and gpt-5 on, `developer` replaces `system` and max_completion_tokens max_tokens.
_REASONING_MODEL = r"o\d|gpt-[5-9]"


class Profile(NamedTuple):
    """How a request is put. `omitted` names optional parameters and fields of messages to leave out."""

    system_role: str = "system"
    limit_parameter: str = "max_tokens"
    omitted: frozenset[str] = frozenset()


def choose_profile(host: str, model: str | None, refused: Collection[str] = ()) -> Profile:
    """Return the profile for a host and model; `refused` is what this endpoint was found to refuse for it.

    A refused name of the length limit means that the endpoint wants the other one.
    """
    # Elsewhere `developer` is ignored in silence or answered with 500.
    is_reasoning = is_openai_host(host) and re.match(_REASONING_MODEL, model or "") is not None
    limit = "max_completion_tokens" if is_reasoning else "max_tokens"
    if limit in refused:
        limit = next(name for name in _LIMITS if name != limit)
    return Profile("developer" if is_reasoning else "system", limit, frozenset(refused).difference(_LIMITS))
