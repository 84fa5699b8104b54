"""The kind `local`: the small model on this machine, behind a server of its own on 127.0.0.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from missy.errors import MissyError
from missy.kinds.base import Kind
from missy.policy import Endpoint, Policy, Rules, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from missy.checks import Check
    from missy.config.schema import Entry
    from missy.kinds.context import Context
    from missy.providers.base import Provider, Request

_SYSTEM = "You are a helpful assistant."  # without one the model's template makes it talk nonsense
_TEMPLATE = (
    """\
  # The model on this machine, without any server: missy local install
  #laptop:
    #name: local
    #model_path: null             # another GGUF file
""",
)


class _Local(Kind):
    """See missy.kinds.base.Kind."""

    name = "local"
    keys = ("model_path",)
    accepts = accepts_elsewhere = ()
    always_there = "the model on this machine"
    template = _TEMPLATE
    title = "The small model on this machine"
    about = "no account, no key, 93 MB: to try things out"
    question = "install"
    asks_model = False
    notice = "a small model on this machine (135 million parameters) answers: do not rely on what it says"
    own_server = True

    def build(self, entry: Entry, context: Context) -> Provider:
        """Use the server that runs here already, else start one, which ends with the entry."""
        from missy.kinds.openai import chat_provider
        from missy.local.server import LocalServer, running
        from missy.secrets.resolve import Credential

        found = None if entry.model_path else running()
        if found is not None and parse(found[0]).is_loopback:
            base_url, key = found
        else:
            from missy.local.model import require

            server = LocalServer.start(entry.model_path or require())
            context.on_release(server.stop)
            base_url, key = server.base_url, server.key
        # A door of its own, that leads to this server and nowhere else.
        door = context.new_door(Policy(Rules(endpoints=(Endpoint(base_url, entry.entry),))))
        credential = Credential(key, "local", f"local:{entry.entry}")
        return chat_provider(entry, context, door, base_url, lambda: [credential])

    def adapt(self, request: Request) -> Request:
        """Name the model and a system message. The model's template ignores tools, so none are offered."""
        from missy.local.model import NAME

        return request._replace(
            model=request.model or NAME, system=request.system or _SYSTEM, tools=(), tool_choice=None
        )

    def readiness(self, entry: Entry, environ: Mapping[str, str]) -> tuple[str, str]:  # noqa: ARG002
        """See Kind."""
        from missy.local.model import require

        if not entry.model_path:
            require()
        return "none", ""

    def examine(
        self,
        entry: Entry,
        environ: Mapping[str, str],  # noqa: ARG002
        provider: Callable[[], Any],
    ) -> Iterator[Check]:
        """Start the server, or find it running."""
        from missy.checks import Check, failed

        try:
            provider()
        except MissyError as error:
            command = error.hint.removeprefix("run: ").removesuffix(", or set model_path")
            fix = command if command != error.hint else "missy local status"
            yield failed(f"{entry.entry}: model", error, fix)
            return
        yield Check(f"{entry.entry}: model", "ok", "the model is loaded and its server is up")


KIND = _Local()
