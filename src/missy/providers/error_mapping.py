"""Mapping an ErrorBody to one typed error: the server's message, and a hint. Pure except for the current time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from missy.errors import CredentialError, LimitError, MissyError, ProviderError
from missy.net import error_words, waits
from missy.net.error_body import ErrorBody
from missy.net.error_meaning import REGION_HINT, Meaning, meaning, status_of
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_MESSAGE_CHARS = 500  # characters of a server's message that are shown
_SHORTER = "shorten the prompt or lower --max-tokens"
_FEWER_TOKENS = "lower --max-tokens, or shorten the prompt"
_HINTS = {
    Meaning.REGION: REGION_HINT,
    Meaning.FLAGGED: "the endpoint refuses to answer this: rephrase the prompt",
    Meaning.SPENT: "the account's quota is used up: see its billing page",
    Meaning.TOO_LARGE: f"this one request exceeds the limit: {_SHORTER}",
    Meaning.RATE: "wait a moment and try again",
    Meaning.NO_IMAGES: "this model does not accept images: omit --attach, or choose a model that does",
    Meaning.TOO_LONG: "the prompt is too long for this model: shorten it, or choose a model with a larger context",
    Meaning.NO_MODEL: "see the available models: missy models",
    Meaning.NO_PATH: "is base_url right? most end in /v1",
    Meaning.REQUEST: "the endpoint did not accept the request: see its message",
    Meaning.SERVER: "the fault is at the endpoint: try again later",
}
# The same request cannot succeed later, whatever the status is
_LASTING = frozenset(
    {
        Meaning.REGION, Meaning.FLAGGED, Meaning.SPENT, Meaning.TOO_LARGE, Meaning.NO_IMAGES, Meaning.TOO_LONG,
        Meaning.NO_MODEL, Meaning.NO_PATH, Meaning.REQUEST,
    }
)  # fmt: skip

# What a gateway may answer to a request without its own header or parameter
_MAY_LACK = frozenset({Meaning.KEY, Meaning.FORBIDDEN, Meaning.NO_PATH, Meaning.REQUEST})


def shown(text: str) -> str | None:
    """Return a server's text in one line with secrets masked: some endpoints echo the key. None if it is empty."""
    return " ".join(redact(text).split())[:MAX_MESSAGE_CHARS] or None


def is_too_long(error: MissyError) -> bool:
    """Tell whether an error made by `to_error` says that the prompt is longer than the model's context."""
    return error.hint in (_HINTS[Meaning.TOO_LONG], _FEWER_TOKENS)


def to_error(
    body: ErrorBody,
    *,
    status: int | None,
    host: str,
    request_id: str | None,
    headers: Mapping[str, str] | None = None,
    keyed: bool = True,
    model: str | None = None,
) -> MissyError:
    """Map an error, from a response with an error status or from inside an answer (`status` None)."""
    what = meaning(body, status)
    told = status if status is not None and status >= 300 else status_of(body, status)
    said = _said(body, what, told, host)
    wait = wait_of(body, headers or {}, limits=what in (Meaning.RATE, Meaning.SPENT))
    if told is None and what is Meaning.RATE and wait is not None:
        told = 429  # the status it would have had before the start of the answer
    lacking = _lacking_hint(body) if what in _MAY_LACK else None
    if what in (Meaning.KEY, Meaning.FORBIDDEN, Meaning.MODEL_ACCESS):
        hint = lacking or _key_hint(what, keyed=keyed, model=model)
        return CredentialError(said, hint=hint, status=told, request_id=request_id)
    hint = lacking or _HINTS[what]
    if what is Meaning.TOO_LONG and ("max_tokens" in body.message or "max_completion_tokens" in body.message):
        hint = _FEWER_TOKENS
    if told == 500 and what is Meaning.SERVER and not keyed:
        hint = "no key was sent: this endpoint may require one"
    common: dict[str, Any] = {
        "status": told,
        "request_id": request_id,
        "code": shown(body.code or ""),
        "lasting": what in _LASTING and not (what is Meaning.REQUEST and told in (408, 409, 425)),
    }
    if what is Meaning.TOO_LARGE:  # neither another key of the same account nor waiting helps
        return ProviderError(said, hint=hint, params=body.params, **common)
    if what in (Meaning.SPENT, Meaning.RATE):
        resets = waits.resets_at(body.fields)
        if resets is None and wait is not None:
            resets = time.time() + wait
        return LimitError(said, hint=waits.when(resets) or hint, retry_after=wait, resets_at=resets, **common)
    return ProviderError(said, hint=hint, retry_after=wait, params=body.params, **common)


def wait_of(body: ErrorBody, headers: Mapping[str, str], *, limits: bool) -> float | None:
    """Return the wait that the server asks for. `limits`: the reset of a limit counts too."""
    found = waits.retry_after(headers)
    if found is None:
        found = waits.from_fields(body.fields)
    if found is None:
        found = waits.from_sentence(body.message)
    return waits.resets_in(headers) if found is None and limits else found


def _said(body: ErrorBody, what: Meaning, status: int | None, host: str) -> str:
    number = f" ({status})" if status else ""
    message = shown(body.message) or "nothing"
    if what is Meaning.REGION:
        return f"{host} refuses the region of this network{number}: {message}"
    reasons = body.fields.get("reasons")
    if what is Meaning.FLAGGED and isinstance(reasons, list):
        named = shown(", ".join(str(reason) for reason in reasons[:5] if isinstance(reason, str)))
        message += f" ({named[:100]})" if named else ""
    return f"{host} says{number}: {message}"


def _lacking_hint(body: ErrorBody) -> str | None:
    """Return how to send the header or the query parameter that the server requires, None if it requires none."""
    text = body.message.lower()
    if error_words.KEY_HEADER.search(text):
        return None
    for pattern, key, option in (
        (error_words.WANTS_HEADER, "headers", "--header"),
        (error_words.WANTS_QUERY, "query", "--query"),
    ):
        if pattern.search(text):
            return f"in the entry: {key}: {{NAME: $VARIABLE}}; with missy setup: {option} 'NAME=$VARIABLE'"
    return None


def _key_hint(what: Meaning, *, keyed: bool, model: str | None) -> str:
    if what is Meaning.MODEL_ACCESS:
        return f"this key may not use the model{f' {model}' if model else ''}: see which it may: missy models"
    if keyed:
        return "the endpoint refused the key: check it, and which one is used (missy providers)"
    return "this endpoint requires a key: set api_key in its entry"
