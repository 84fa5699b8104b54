"""A kind of provider as somebody else would write it, in one file: it answers with what it was asked.

Run as a program, this is `missy` with one more line in the table of kinds.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING

from missy.checks import Check
from missy.errors import UsageError
from missy.events import Done, Event, Text
from missy.kinds import KINDS
from missy.kinds.base import Kind
from missy.kinds.context import Context
from missy.providers.base import Preview, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from missy.config.schema import Entry
    from missy.net.client_lease import Account
    from missy.providers.base import Provider


class _EchoProvider:
    def stream(self, request: Request) -> Iterator[Event]:
        yield Text(request.messages[-1].text)
        yield Done("stop", request.model)

    async def astream(self, request: Request) -> AsyncIterator[Event]:
        for event in self.stream(request):
            yield event

    def models(self, timeout: float) -> list[str]:
        return ["parrot"]

    def preview(self, request: Request) -> Preview:
        return Preview("POST", "echo:", {}, json.dumps({"echo": request.messages[-1].text}).encode())

    def account(self) -> Account:
        raise UsageError("an echo lends no client", hint="ask it instead")


class _Echo(Kind):
    name = "echo"
    keys = ("model_path",)
    model = "parrot"
    template = ("  #echo:\n    #name: echo\n",)
    title = "An echo"
    notice = "an echo answers"

    def build(self, entry: Entry, context: Context) -> Provider:
        return _EchoProvider()

    def readiness(self, entry: Entry, environ: Mapping[str, str]) -> tuple[str, str]:
        return "none", "" if "ECHO" in environ else "no ECHO here"

    def examine(
        self,
        entry: Entry,
        environ: Mapping[str, str],
        provider: Callable[[], object],
    ) -> Iterator[Check]:
        name = f"{entry.entry}: echo"
        yield (
            Check(name, "ok", "heard")
            if "ECHO" in environ
            else Check(name, "fail", "silence", "export ECHO=1", 1)
        )


KIND = _Echo()

if __name__ == "__main__":
    from missy.cli import main

    KINDS[KIND.name] = KIND
    main()
