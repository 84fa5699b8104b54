"""`missy mcp serve`: what other agents may do, over the real pipe, by the client of the official SDK."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.command import COMMAND
from tests.servers import chat_stream, json_response

mcp = pytest.importorskip("mcp", reason="the extra `mcp` is not installed")
from mcp.client.stdio import StdioServerParameters  # noqa: E402


def talk(missy, work, *entries):
    """Start the command as a server, and do something with a client of it."""

    async def run():
        words = [*COMMAND[1:], "mcp", "serve", "--entries", ",".join(entries)]
        server = StdioServerParameters(command=sys.executable, args=words, env=missy.env())
        async with asyncio.timeout(60), mcp.Client(server) as client:
            return await work(client)

    return asyncio.run(run())


def text_of(result):
    return result.content[0].text


def test_another_agent_asks(missy, serve):
    """The four tools are listed; `ask` gives an answer of the named entry, by its configuration, and it is on record."""
    origin = serve(chat_stream("Paris"))
    missy.entry(origin.url)

    async def work(client):
        listed = await client.list_tools()
        answer = await client.call_tool("ask", {"prompt": "capital?", "system": "short"})
        return [tool.name for tool in listed.tools], answer

    names, answer = talk(missy, work, "test")
    assert names == ["ask", "models", "net_explain", "audit_recent"]
    assert text_of(answer) == "Paris"
    assert not answer.is_error
    messages = origin.last.json()["messages"]
    assert [message["role"] for message in messages] == ["system", "user"]
    assert "tools" not in origin.last.json()
    assert any(row["entry"] == "test" for row in missy("audit", "recent", "--json").json())


def test_the_other_tools(missy, serve):
    """The policy is explained and the record shown without a request; models come from the endpoint."""
    missy.entry(serve(json_response({"data": [{"id": "m-1"}, {"id": "m-2"}]})).url)

    async def work(client):
        return [
            text_of(await client.call_tool("models", {})),
            text_of(await client.call_tool("net_explain", {"url": "https://evil.example/"})),
            text_of(await client.call_tool("audit_recent", {"count": 3})),
        ]

    models, explained, recent = talk(missy, work, "test")
    assert models == "m-1\nm-2"
    assert explained.startswith("denied: https://evil.example")
    assert '"entry": "test"' in recent


def test_what_goes_wrong_is_told(missy):
    """An unknown tool, wrong arguments, another entry, an endpoint that cannot be reached: an error, and the server lives on."""
    missy.entry("http://127.0.0.1:9/v1")

    async def work(client):
        calls = [
            ("shell", {}),
            ("ask", {}),
            ("ask", {"prompt": "x", "entry": "other"}),
            ("ask", {"prompt": "x"}),
        ]
        return [await client.call_tool(name, arguments) for name, arguments in calls]

    told = talk(missy, work, "test")
    assert [one.is_error for one in told] == [True] * 4
    assert "prompt" in text_of(told[1])


@pytest.mark.parametrize("kind", ["openai-codex", "chatgpt"])
def test_a_login_is_never_offered(missy, kind):
    """An entry with a ChatGPT login is refused, also as the fallback of another: exit code 2."""
    missy.config(
        {
            "providers": {
                "plan": {"name": kind},
                "test": {
                    "name": "openai",
                    "model": "m",
                    "base_url": "https://api.example.com/v1",
                    "fallback": ["plan"],
                },
            }
        }
    )
    refused = missy("mcp", "serve", "--entries", "plan")
    assert refused.code == 2
    assert "never offered" in refused.err
    assert missy("mcp", "serve", "--entries", "test").code == 2
    assert missy("mcp", "serve", "--entries", "test,plan").code == 2
    assert missy("mcp", "serve", "--entries", "nobody").code == 2
