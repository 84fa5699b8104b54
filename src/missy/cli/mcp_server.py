"""`missy mcp serve`: the protocol's side of it, over stdin and stdout, by the official SDK."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool

from missy._version import __version__
from missy.assistant import AsyncMissy
from missy.cli.mcp_offers import Offers, error_text
from missy.errors import MissyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from missy.config.schema import Config

MAX_CALLS = 8  # at once; the others wait


def serve(config: Config, entries: Sequence[str], notice: Callable[[str], None]) -> None:
    """Serve until stdin ends."""
    asyncio.run(_serve(config, entries, notice))


async def _serve(config: Config, entries: Sequence[str], notice: Callable[[str], None]) -> None:
    slots = asyncio.Semaphore(MAX_CALLS)
    async with AsyncMissy(config, notice=notice) as missy:
        offers = Offers(missy, entries)

        async def list_tools(_context: Any, _params: Any) -> ListToolsResult:
            return ListToolsResult(tools=[Tool.model_validate(tool) for tool in offers.tools()])

        async def call_tool(_context: Any, params: CallToolRequestParams) -> CallToolResult:
            failed = False
            try:
                async with slots:
                    text = await offers.call(params.name, dict(params.arguments or {}))
            except MissyError as error:
                text, failed = error_text(error), True
            return CallToolResult(content=[TextContent(type="text", text=text)], is_error=failed)

        server: Server[Any] = Server(
            "missy", version=__version__, on_list_tools=list_tools, on_call_tool=call_tool
        )
        async with stdio_server() as (read_stream, write_stream):
            await server.run(read_stream, write_stream, server.create_initialization_options())
