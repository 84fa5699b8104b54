"""What `missy mcp serve` offers to other agents: four tools, for the entries that the user named."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from missy.errors import MissyError, UsageError
from missy.secrets.redact import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from missy.assistant import AsyncMissy
    from missy.config.schema import Config

MAX_ROWS = 50
_URL = {"type": "string", "description": "A whole URL, such as https://api.openai.com/v1"}


def require_offerable(config: Config, names: Sequence[str]) -> list[str]:
    """Return the names of entries that other agents may use. Raises UsageError for one that is never offered.

    A ChatGPT plan is for its account's own use. A fallback leads to no entry that was not named.
    """
    for name in names:
        entry = config.entry(name)
        if entry.spec.unserved:
            raise UsageError(
                f"entry {name} is never offered: {entry.spec.unserved}", hint="name entries with an API key"
            )
        others = [other for other in entry.fallback if other not in names]
        if others:
            raise UsageError(
                f"entry {name} falls back to {', '.join(others)}, which --entries does not name",
                hint=f"--entries {','.join([*names, *others])}, or change its fallback",
            )
    return list(names)


class Offers:
    """The tools, and what a call of each does. The first of `entries` is asked where none is named."""

    def __init__(self, missy: AsyncMissy, entries: Sequence[str]) -> None:
        self._missy = missy
        self._entries = list(entries)

    def tools(self) -> list[dict[str, Any]]:
        """Return the definitions."""
        entry = {"type": "string", "enum": self._entries, "description": f"Default: {self._entries[0]}"}
        text = {"type": "string"}
        return [
            _tool(
                "ask",
                "Ask a model one question, and return its answer.",
                {
                    "prompt": text,
                    "entry": entry,
                    "system": {**text, "description": "Instructions that come before the prompt"},
                    "model": {**text, "description": "Default: the entry's"},
                    "max_tokens": {"type": "integer", "minimum": 1},
                },
                "prompt",
            ),
            _tool("models", "List the models of an entry's endpoint.", {"entry": entry}),
            _tool(
                "net_explain",
                "Say which rule of the network policy allows or denies a URL. Nothing is sent.",
                {"url": _URL, "category": {"type": "string", "enum": ["provider", "tool"]}},
                "url",
            ),
            _tool(
                "audit_recent",
                "Show the newest lines of the record of what left this machine.",
                {"count": {"type": "integer", "minimum": 1, "maximum": MAX_ROWS}},
            ),
        ]

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        """Do a call. Raises MissyError."""
        handlers = {
            "ask": self._ask,
            "models": self._models,
            "net_explain": self._net_explain,
            "audit_recent": self._audit_recent,
        }
        if name not in handlers:
            raise UsageError(f"there is no tool {name[:64]!r}")
        schema = next(tool["inputSchema"] for tool in self.tools() if tool["name"] == name)
        from missy.structured.validator import Validator

        if faults := Validator(schema).faults(arguments):
            raise UsageError("; ".join(str(fault) for fault in faults[:3]))
        return await handlers[name](arguments)

    def _entry(self, arguments: dict[str, Any]) -> str:
        """Return the entry of a call, as it is configured now: it may have become one that is never offered."""
        self._missy.entry(self._entries[0])  # looks at the file again
        require_offerable(self._missy.config, self._entries)
        return str(arguments.get("entry", self._entries[0]))

    async def _ask(self, arguments: dict[str, Any]) -> str:
        options: Any = {key: arguments[key] for key in ("system", "model", "max_tokens") if key in arguments}
        answer = self._missy.ask(arguments["prompt"], provider=self._entry(arguments), **options)
        return await answer.text()

    async def _models(self, arguments: dict[str, Any]) -> str:
        return "\n".join(await self._missy.models(self._entry(arguments)))

    async def _net_explain(self, arguments: dict[str, Any]) -> str:
        from missy.policy import InvalidURL, Policy, parse

        try:
            target = parse(arguments["url"])
        except InvalidURL as error:
            raise UsageError(f"{error}") from None
        decision = Policy(self._missy.config.rules()).decide(target, arguments.get("category", "provider"))
        return f"{'allowed' if decision.allowed else 'denied'}: {target} ({decision.rule})\n{decision.reason}"

    async def _audit_recent(self, arguments: dict[str, Any]) -> str:
        import asyncio

        from missy import paths
        from missy.cli.output.audit_rows import rows

        def read() -> list[dict[str, Any]]:
            found = rows(paths.home() / "audit.jsonl", lambda: None)
            return list(islice(found, arguments.get("count", 10)))

        return redact(json.dumps(await asyncio.to_thread(read), indent=1))


def _tool(name: str, description: str, properties: dict[str, Any], *required: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    return {"name": name, "description": description, "inputSchema": schema}


def error_text(error: MissyError) -> str:
    """Return an error as the other agent is told of it."""
    return redact(f"{error.message}\n{error.hint}".strip())
