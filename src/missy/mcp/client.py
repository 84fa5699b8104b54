"""The protocol: one session with one server, by the official SDK. The only file that imports the `mcp` package.

It is imported when a server is really used, after the server's process was started: the import takes half a second. Neither
sampling nor elicitation is offered, and roots are the workspace only where the configuration gives it to the server.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import (
    CallToolResult,
    Implementation,
    JSONRPCError,
    JSONRPCRequest,
    JSONRPCResponse,
    ListRootsResult,
    Root,
    ToolListChangedNotification,
    jsonrpc_message_adapter,
)
from pydantic import FileUrl

from mcp import Client
from missy._version import __version__
from missy.errors import BadReply, CredentialError, MissyError
from missy.mcp.boxed import ServerEnded
from missy.mcp.content import Result, read_content
from missy.mcp.definition import MAX_TOOLS, Definition, clean, cut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from missy.mcp.boxed import Boxed
    from missy.net.one_origin import OneOrigin

_MAX_PAGES = 32
_MAX_UNANSWERED = 100  # requests of a server at once
_MAX_ERROR_BYTES = 500
for _name in (
    "mcp",
    "client",
):  # what the SDK logs holds text of the server, and would go to the terminal as it is
    logging.getLogger(_name).addHandler(logging.NullHandler())


class Session:
    """A session that is open. Its methods belong to its event loop."""

    def __init__(self, server: str, client: Any, error: Callable[[], MissyError | None]) -> None:
        self._server = server
        self._client = client
        self._error = error

    async def tools(self) -> list[Definition]:
        """Return the server's tools as it defines them now. Raises MissyError."""
        found: list[Definition] = []
        cursor = None
        for _ in range(_MAX_PAGES):
            page = await self._ask(self._client.list_tools(cursor=cursor))
            found += [
                Definition(self._server, tool.model_dump(mode="json", by_alias=True, exclude_none=True))
                for tool in page.tools
            ]
            cursor = page.next_cursor
            if len(found) > MAX_TOOLS or not cursor:
                break
        if len(found) > MAX_TOOLS or cursor:
            raise BadReply(f"the MCP server {self._server} lists more than {MAX_TOOLS} tools")
        return found

    async def call(self, name: str, arguments: dict[str, Any]) -> Result:
        """Call a tool. Raises MissyError."""
        call = self._client.session.call_tool(name, arguments, allow_input_required=True)
        result = await self._ask(call)
        if not isinstance(result, CallToolResult):
            raise BadReply(
                f"the MCP server {self._server} asks for input or for a model, which is not offered to it"
            )
        return read_content(result.model_dump(mode="json", by_alias=True))

    async def _ask(self, request: Any) -> Any:
        try:
            return await request
        except MissyError:
            raise
        except Exception as error:  # whatever the SDK makes of a hostile server
            raise self._error() or _failure(self._server, error) from error


def _failure(server: str, error: BaseException) -> MissyError:
    """Return the error of a request that the server answered with one, or with what cannot be read."""
    is_answer = isinstance(error, MCPError)
    text = str(error) if is_answer else f"its answer cannot be used ({type(error).__name__})"
    line = cut(clean(" ".join(text.split())), _MAX_ERROR_BYTES)
    return BadReply(f"the MCP server {server}: {line}", hint=f"missy mcp test {server} asks it alone")


def _refused(server: str, link: Boxed | OneOrigin) -> MissyError | None:
    """Return the error for an endpoint whose last reply was that the key is missing, wrong or not enough."""
    status = getattr(link, "status", None)
    if status not in (401, 403):
        return None
    has_key = getattr(link, "has_key", False)
    what = (
        "wants a key"
        if not has_key
        else "refused the key"
        if status == 401
        else "does not allow this with the key"
    )
    hint = (
        f"check what mcp.{server}.key refers to"
        if has_key
        else f"set mcp.{server}.key: $ENV_VAR or vault://NAME"
    )
    return CredentialError(f"the MCP server {server} {what} (HTTP {status})", hint=hint)


def _found_in(error: BaseException) -> MissyError | None:
    """Return the error of ours that is wrapped in groups of the SDK's."""
    if isinstance(error, MissyError):
        return error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next((found for one in inner if (found := _found_in(one))), None)


async def hold(
    server: str,
    link: Boxed | OneOrigin,
    url: str | None,
    root: str,
    *,
    ready: Callable[[Session], None],
    changed: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Open a session, give it to `ready`, and hold it until `stop`. Raises MissyError.

    `changed` is called when the server says that its tools have changed. `root` is the workspace, "" for none.
    """
    error: list[MissyError] = []

    async def on_message(message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            changed()

    async def roots(context: Any) -> ListRootsResult:  # noqa: ARG001 the SDK names it so
        return ListRootsResult(roots=[Root(uri=FileUrl(Path(root).as_uri()))])

    def why() -> MissyError | None:
        return error[0] if error else getattr(link, "error", None) or _refused(server, link)

    opened = _lines(link, error) if url is None else _http(link, url)  # type: ignore[arg-type]
    client = Client(
        opened,
        message_handler=on_message,
        list_roots_callback=cast("Any", roots) if root else None,
        client_info=Implementation(name="missy", version=__version__),
        cache=None,
    )
    try:
        async with client:
            ready(Session(server, client, why))
            await stop.wait()
    except Exception as failure:
        if stop.is_set():
            return  # the SDK has trouble to end what has ended
        raise why() or _found_in(failure) or _failure(server, failure) from failure


@asynccontextmanager
async def _http(link: OneOrigin, url: str) -> AsyncIterator[Any]:
    async with link.client() as http, streamable_http_client(url, http_client=http) as streams:
        yield streams


@asynccontextmanager
async def _lines(boxed: Boxed, error: list[MissyError]) -> AsyncIterator[Any]:
    """Be the SDK's transport to a program: messages as lines. What ends it is put into `error`."""
    await boxed.open()
    to_session, read_stream = anyio.create_memory_object_stream[Any](0)
    write_stream, from_session = anyio.create_memory_object_stream[Any](0)

    unanswered = [0]  # requests of the server

    async def receive() -> None:
        async with to_session:
            try:
                while True:
                    line = await boxed.read_line()
                    try:
                        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                    except ValueError:
                        boxed.junk()
                        continue
                    if isinstance(message, JSONRPCRequest):
                        unanswered[0] += 1
                        if unanswered[0] > _MAX_UNANSWERED:
                            raise boxed.end("it asks, and does not read the answers")
                    await to_session.send(SessionMessage(message))
            except ServerEnded as ended:
                error.append(ended)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def send() -> None:
        async with from_session:
            async for one in from_session:
                data = one.message.model_dump(mode="json", by_alias=True, exclude_unset=True)
                text = json.dumps(data, ensure_ascii=True, separators=(",", ":")).encode("ascii")
                try:
                    await boxed.write_line(text, is_request=isinstance(one.message, JSONRPCRequest))
                    unanswered[0] -= isinstance(one.message, JSONRPCResponse | JSONRPCError)
                except ServerEnded as ended:
                    error.append(ended)
                    await to_session.aclose()
                    return

    async with anyio.create_task_group() as group:
        group.start_soon(receive)
        group.start_soon(send)
        try:
            yield read_stream, write_stream
        finally:
            group.cancel_scope.cancel()
            for stream in (read_stream, write_stream):
                stream.close()
            with anyio.CancelScope(shield=True):
                await boxed.shut()
