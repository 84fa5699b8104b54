"""`fetch(url)`: one GET over https through the door, under the category `tool`. Redirects are not followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.approval import Action
from missy.net.gate import Attribution
from missy.net.limits import Clock
from missy.policy import InvalidURL, parse
from missy.toolbox import schemas
from missy.toolbox.arguments import Arguments
from missy.toolbox.base import Output, Prepared, ToolFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.events import Tool
    from missy.net.door import Door, Reply

ENTRY = "tool:fetch"  # its name in the audit
MAX_BODY_BYTES = 1 << 20
_IDLE_SECONDS, _SECONDS = 20.0, 60.0
_AROUND = "<>()[]{}\"'`.,;:!?"  # what may stand around a URL in a sentence
_TEXT_KINDS = (
    "text/",
    "application/json",
    "application/xml",
    "application/javascript",
    "application/yaml",
    "image/svg",
)


class Fetch:
    """See the module. `words` is what the user wrote: a URL in it was the user's own idea."""

    tool: Tool = schemas.FETCH

    def __init__(self, door: Callable[[], Door], words: str) -> None:
        self._door = door
        self._urls = {word.strip(_AROUND) for word in words.split()} | set(words.split())

    def prepare(self, arguments: dict[str, Any]) -> Prepared:
        """See Handler. Raises PolicyError, on record, for a host that the policy refuses: it is not asked about then."""
        given = Arguments(arguments)
        url = given.text("url")
        given.end()
        try:
            target = parse(url)
        except InvalidURL as error:
            raise ToolFailed(f"this is no URL that can be fetched: {error}") from None
        if target.scheme != "https":
            raise ToolFailed("only https URLs can be fetched")
        self._door().gate.require(url, Attribution(Clock(_IDLE_SECONDS), category="tool", entry=ENTRY), "GET")
        in_prompt = url in self._urls
        action = Action("fetch", host=target.authority, url=url, in_prompt=in_prompt, sends=not in_prompt)
        return Prepared(action, lambda: self._fetch(url))

    def _fetch(self, url: str) -> Output:
        reply = self._door().request(
            "GET", url, headers={"Accept": "text/*, application/json"}, timeout=_IDLE_SECONDS, deadline=_SECONDS,
            category="tool", entry=ENTRY, limit=MAX_BODY_BYTES,
        )  # fmt: skip
        return Output(_text(reply), url, private=False, failed=reply.status >= 400)


def _text(reply: Reply) -> str:
    """Return a reply as text for the model."""
    place = reply.headers.get("location", "")
    if 300 <= reply.status < 400:
        return f"[status {reply.status}: it redirects to {place[:500]}; redirects are not followed]"
    kind = reply.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
    is_text = kind.startswith(_TEXT_KINDS) or kind.endswith(("+json", "+xml"))
    if not is_text:
        return f"[status {reply.status}: {len(reply.body):,} bytes of {kind[:80]}, which is no text]"
    return f"[status {reply.status}]\n{reply.body.decode('utf-8', 'replace')}"
