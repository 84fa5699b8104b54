"""An answer that came in a file of results: read by the same rules as one that came over the wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from missy.batch import failures
from missy.batch.item import row_out
from missy.errors import MissyError, ProviderError, SchemaMismatch
from missy.events import Done, Text, Usage
from missy.providers.faults import from_response

if TYPE_CHECKING:
    from missy.batch.item import Item
    from missy.batch.runner import Runner

HALF = 2  # the price of a batch is about the half


class Came(NamedTuple):
    """What came for a row."""

    text: str
    usage: Usage | None = None
    done: Done | None = None
    value: Any = None
    error: MissyError | None = None


def answer_of(provider: Any, item: Item, told: dict[str, Any], host: str) -> Came:
    """Read one line of a result: a response with its status, or an error in its place."""
    response, failed = told.get("response"), told.get("error")
    if not isinstance(response, dict):
        words = failed.get("message") if isinstance(failed, dict) else None
        code = failed.get("code") if isinstance(failed, dict) else None
        return Came("", error=ProviderError(str(words or "no answer")[:500], code=str(code or "") or None))
    raw = json.dumps(response.get("body")).encode()
    status = response.get("status_code")
    if status != 200:
        return Came("", error=from_response(status if isinstance(status, int) else 500, {}, raw, host=host))
    text: list[str] = []
    usage, done = None, None
    try:
        _, reply = provider.reader(item.request, {"content-type": "application/json"})
        events = [*reply.feed(raw)[0], *reply.flush(None)]
        for event in events:
            if isinstance(event, Text) and not event.commentary:
                text.append(event.text)
            elif isinstance(event, Usage):
                usage = event
        for event in reply.end(None):
            usage = event if isinstance(event, Usage) else usage
            done = event if isinstance(event, Done) else done
        value = (
            item.request.schema.read("".join(text))
            if item.request.schema and not (done and done.refusal)
            else None
        )
    except MissyError as error:
        return Came("".join(text), usage, done, None, error)
    return Came("".join(text), usage, done, value)


def store_answer(runner: Runner, item: Item, came: Came) -> None:
    """Write the line of a row to the journal. Raises MissyError."""
    error, done, usage = came.error, came.done, came.usage
    kind = failures.kind_of(error) if error is not None else "refused" if done and done.refusal else ""
    if isinstance(error, SchemaMismatch) and done is not None and done.refusal:
        kind = "refused"
    told = runner.purse.cost(usage)
    nano = -(-told // HALF) if told is not None else 0 if error is not None and usage is None else None
    out = row_out(
        item.number, item.id, text=came.text, done=done, model=item.request.model, usage=usage, nano=nano,
        value=came.value, kind=kind, error=error,
    )  # fmt: skip
    tokens = 0 if usage is None else (usage.input_tokens or 0) + (usage.output_tokens or 0)
    runner.append(item, kind, nano, tokens, out)
