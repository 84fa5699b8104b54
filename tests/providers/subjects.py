"""The providers that pass the contract: each behind a server on loopback, or the model on this machine itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from missy.auth.login import Login, store
from missy.secrets.redact import Secret
from tests.command import Command
from tests.servers import CUT, Gate, Origin, chat_chunk, chat_stream, event_stream, sse
from tests.simulator import Say, Script

USAGE = (3, 2)  # tokens in and out that a scripted server counts
Reply = list[Any]
_SECOND_PIECE = 5  # the number of its event: created, in progress, the item, its part, a piece


class Subject:
    """One provider: how it is set up, what its server answers, and what was asked of it.

    `accepts` are the kinds of files that it is sent besides text. `cut_options` make its next answer a broken one.
    """

    accepts: tuple[str, ...] = ("image",)
    cut_options: ClassVar[dict[str, Any]] = {}
    is_scripted = True

    needs = ""  # the fixture that it is set up with, besides the server

    def __init__(self, missy: Command, serve: Callable[..., Origin], fixture: Any = None) -> None:
        self.missy = missy
        self.fixture = fixture
        self._serve = serve
        self.origin: Origin

    def answer(self, *texts: str) -> None:
        """Answer the next questions with these texts, each in two pieces, and the last one ever after."""
        self._start(*(self.whole(text) for text in texts))

    def cut(self, text: str) -> None:
        """Break the connection after this text."""
        self._start(self.part(text, CUT))

    def hold(self, text: str) -> Gate:
        """Send this text and wait; afterwards answer with `after`."""
        gate = Gate()
        self._start(self.part(text, gate), self.whole("after"))
        return gate

    def _start(self, *replies: Reply) -> None:
        self.origin = self._serve(*replies)
        self.set_up(self.origin.url)

    def was_asked(self) -> bool:
        """Tell whether anything came to its server."""
        return self.origin.connections > 0

    def wait_stopped(self) -> None:
        """Wait until the connection of an answer that was stopped has ended."""
        self.origin.wait_ended(1)

    def set_up(self, url: str) -> None:
        """Write the configuration of its entry."""
        raise NotImplementedError

    def whole(self, text: str) -> Reply:
        """Return a whole answer in two pieces."""
        raise NotImplementedError

    def part(self, text: str, end: Any) -> Reply:
        """Return the beginning of an answer, and what comes after it."""
        raise NotImplementedError

    def said(self) -> list[tuple[str, str]]:
        """Return role and text of the messages of the last request, without the instructions."""
        raise NotImplementedError

    def parts(self) -> list[Any]:
        """Return the parts of the last message of the last request."""
        raise NotImplementedError


class Chat(Subject):
    """Kind `openai`: Chat Completions."""

    def set_up(self, url: str) -> None:
        self.missy.entry(url)

    def whole(self, text: str) -> Reply:
        usage = {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1], "total_tokens": sum(USAGE)}
        return chat_stream(text[:2], text[2:], usage=usage)

    def part(self, text: str, end: Any) -> Reply:
        return event_stream(sse(chat_chunk(text)), end)

    def said(self) -> list[tuple[str, str]]:
        messages = self.origin.last.json()["messages"]
        return [(one["role"], one["content"]) for one in messages if one["role"] != "system"]

    def parts(self) -> list[Any]:
        found: list[Any] = self.origin.last.json()["messages"][-1]["content"]
        return found


class Codex(Subject):
    """Kind `openai-codex`: Responses, with a login in place of a key."""

    accepts = ("image", "pdf")

    def set_up(self, url: str) -> None:
        issuer = url.removesuffix("/v1")
        entry = {"name": "openai-codex", "base_url": url, "issuer": issuer, "model": "m", "max_retries": 0}
        self.missy.config({"providers": {"c": {**entry, "timeout": 20}}})
        path = Path(self.missy.home) / "secrets" / "openai-oauth.json"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        tokens = (Secret("at"), Secret("rt"))
        store(path, Login(issuer, *tokens, "acc-1", "a@b.example", "plus", False, time.time()))

    def whole(self, text: str) -> Reply:
        item = {
            "type": "message",
            "id": "m_1",
            "role": "assistant",
            "content": [{"type": "output_text", "text": text}],
        }
        usage = {"input_tokens": USAGE[0], "output_tokens": USAGE[1], "total_tokens": sum(USAGE)}
        end = {"status": "completed", "output": [], "usage": usage}
        return event_stream(
            sse(_delta(text[:2])),
            sse(_delta(text[2:])),
            sse({"type": "response.output_item.done", "output_index": 0, "item": item}),
            sse({"type": "response.completed", "response": end}),
        )

    def part(self, text: str, end: Any) -> Reply:
        return event_stream(sse(_delta(text)), end)

    def said(self) -> list[tuple[str, str]]:
        found = self.origin.last.json()["input"]
        return [(one["role"], "".join(part["text"] for part in one["content"])) for one in found]

    def parts(self) -> list[Any]:
        found: list[Any] = self.origin.last.json()["input"][-1]["content"]
        return found


class Plan(Subject):
    """Kind `chatgpt`: a plan at OpenAI's own host, which a simulator stands for."""

    accepts = ("image", "pdf")
    needs = "member"

    def answer(self, *texts: str) -> None:
        """See Subject."""
        usage = {"input_tokens": USAGE[0], "output_tokens": USAGE[1], "total_tokens": sum(USAGE)}
        self._add(*(Script((Say((text[:2], text[2:])),), usage=usage) for text in texts))

    def cut(self, text: str) -> None:
        """See Subject."""
        self._add(Script((Say((text,)),), end=None))

    def hold(self, text: str) -> Gate:
        """See Subject."""
        gate = Gate()

        def before(number: int) -> None:
            if number == _SECOND_PIECE:
                gate.pass_through()

        self._add(Script((Say((text, " more")),), before=before), Script((Say(("after",)),)))
        return gate

    def _add(self, *scripts: Script) -> None:
        self.fixture.simulator.backend.scripts.extend(scripts)

    def was_asked(self) -> bool:
        """See Subject."""
        return bool(self.fixture.simulator.journal)

    def wait_stopped(self) -> None:
        """The simulator notices it at its next event."""

    def said(self) -> list[tuple[str, str]]:
        """See Subject."""
        found = [one for one in self.fixture.body["input"] if one["role"] != "developer"]
        return [(one["role"], "".join(part["text"] for part in one["content"])) for one in found]

    def parts(self) -> list[Any]:
        """See Subject."""
        found: list[Any] = self.fixture.body["input"][-1]["content"]
        return found


class Local(Subject):
    """Kind `local`: the real model behind its own server. What it says is its own, so only the form is checked."""

    accepts = ()
    needs = "local_home"
    cut_options: ClassVar[dict[str, Any]] = {"max_tokens": 3}
    is_scripted = False

    def answer(self, *texts: str) -> None:
        """It answers what it likes."""
        self.missy.config({"providers": {"local": {"name": "local"}}})

    def cut(self, text: str) -> None:
        """Its answer is cut by the length that `cut_options` allow."""
        self.answer(text)

    def hold(self, text: str) -> Gate:
        """It works for as long as it is not stopped."""
        self.answer(text)
        return Gate()


SUBJECTS: dict[str, type[Subject]] = {"chat": Chat, "codex": Codex, "chatgpt": Plan, "local": Local}


def _delta(text: str) -> dict[str, Any]:
    at = {"output_index": 0, "content_index": 0}
    return {"type": "response.output_text.delta", "item_id": "m_1", **at, "delta": text}
