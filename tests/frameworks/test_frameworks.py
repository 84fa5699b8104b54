"""Each framework that docs/library.md names, over lent clients, against a server on loopback; the guard sees all else."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from pydantic import BaseModel

import missy as library
from tests.command import Command
from tests.servers import Origin, chat_stream


class Place(BaseModel):
    """What the model is asked for."""

    city: str


def weather(city: str) -> str:
    """The weather in a city."""
    return f"Rain in {city}"


# --- langchain-openai -----------------------------------------------------------------------------------------------


def langchain(sync_client: Any, async_client: Any) -> Any:
    """A chat model that is given both clients, so that it makes none of its own."""
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model="m",
        api_key=sync_client.api_key,
        root_client=sync_client,
        client=sync_client.chat.completions,
        root_async_client=async_client,
        async_client=async_client.chat.completions,
    )


def test_langchain_invoke_stream_and_tools(client: Any, origin: Origin, run: Any) -> None:
    """`invoke`, `stream`, tools, structured output, and `ainvoke` and `astream` by the async client."""
    from langchain_core.messages import HumanMessage, ToolMessage

    async def ask(async_client: Any) -> Any:
        llm = langchain(client, async_client)
        texts = "".join([str(chunk.content) async for chunk in llm.astream("hi")])
        return (await llm.ainvoke("hi")).content, texts

    assert run(ask) == ("Hello there", "Hello there")

    async def both(async_client: Any) -> Any:
        return langchain(client, async_client)

    llm = run(both)
    assert llm.invoke("hi").content == "Hello there"
    assert "".join(str(chunk.content) for chunk in llm.stream("hi")) == "Hello there"
    called = llm.bind_tools([weather]).invoke("How is Oslo?")
    assert called.tool_calls[0]["args"] == {"city": "Oslo"}
    told = [
        HumanMessage("How is Oslo?"),
        called,
        ToolMessage(weather("Oslo"), tool_call_id=called.tool_calls[0]["id"]),
    ]
    assert llm.bind_tools([weather]).invoke(told).content == "Rain in Oslo"
    assert llm.with_structured_output(Place).invoke("Where?") == Place(city="Oslo")


# --- pydantic-ai ----------------------------------------------------------------------------------------------------


def pydantic_agent(async_client: Any, **more: Any) -> Any:
    """An agent over a lent client."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return Agent(OpenAIChatModel("m", provider=OpenAIProvider(openai_client=async_client)), **more)


def test_pydantic_ai(origin: Origin, run: Any) -> None:
    """A run, a stream, and a tool that is called."""

    async def ask(client: Any) -> Any:
        agent = pydantic_agent(client)
        async with agent.run_stream("hi") as stream:
            streamed = [text async for text in stream.stream_text(delta=True)]
        tooled = await pydantic_agent(client, tools=[weather]).run("How is Oslo?")
        return (await agent.run("hi")).output, "".join(streamed), tooled.output

    assert run(ask) == ("Hello there", "Hello there", "Rain in Oslo")


# --- openai-agents --------------------------------------------------------------------------------------------------


def test_openai_agents(origin: Origin, run: Any) -> None:
    """Over Chat Completions and over Responses, whole and streamed, with a tool; its tracing sends nothing."""
    from agents import (
        Agent,
        OpenAIChatCompletionsModel,
        OpenAIResponsesModel,
        RunConfig,
        Runner,
        function_tool,
    )

    quiet = RunConfig(tracing_disabled=True)

    async def ask(client: Any) -> Any:
        chat = OpenAIChatCompletionsModel(model="m", openai_client=client)
        agent = Agent(name="a", model=chat)
        tooled = Agent(name="t", model=chat, tools=[function_tool(weather)])
        other = Agent(name="r", model=OpenAIResponsesModel(model="m", openai_client=client))
        streamed = Runner.run_streamed(agent, "hi", run_config=quiet)
        async for _ in streamed.stream_events():
            pass
        answers = [await Runner.run(one, "hi", run_config=quiet) for one in (agent, tooled, other)]
        return [streamed.final_output, *(answer.final_output for answer in answers)]

    assert run(ask) == ["Hello there", "Hello there", "Rain in Oslo", "Hello there"]


# --- instructor -----------------------------------------------------------------------------------------------------


def test_instructor(client: Any, origin: Origin, run: Any) -> None:
    """A model of pydantic's from a sync and from an async client, and in parts from a stream."""
    import instructor

    asked: Any = {"model": "m", "response_model": Place, "messages": [{"role": "user", "content": "Where?"}]}
    assert instructor.from_openai(client).chat.completions.create(**asked).city == "Oslo"
    parts = list(instructor.from_openai(client).chat.completions.create_partial(**asked))
    assert parts[-1].city == "Oslo"

    async def ask(async_client: Any) -> Any:
        return (await instructor.from_openai(async_client).chat.completions.create(**asked)).city

    assert run(ask) == "Oslo"


# --- outlines -------------------------------------------------------------------------------------------------------


def test_outlines(client: Any, origin: Origin, run: Any) -> None:
    """Text, a stream and a structure, sync and async."""
    import outlines

    model = outlines.from_openai(client, "m")
    assert model("hi") == "Hello there"
    assert "".join(model.stream("hi")) == "Hello there"
    assert Place.model_validate_json(model("Where?", Place)) == Place(city="Oslo")

    async def ask(async_client: Any) -> Any:
        return await outlines.from_openai(async_client, "m")("hi")

    assert run(ask) == "Hello there"


# --- what a framework's user meets when something is wrong -----------------------------------------------------------


def test_a_cut_stream_reaches_the_frameworks_user(missy: Command, serve: Any) -> None:
    """The `stream` of langchain ends with an error, which says so in Missy's words, and not in silence."""
    missy.entry(serve(chat_stream("half", finish=None, done=False)).url)
    with library.Missy.open() as m:
        client = m.openai_client()
        llm = langchain(client, client)
        with pytest.raises(openai.APIConnectionError, match="cut off"):
            list(llm.stream("hi"))


def test_one_client_alone_is_not_enough(missy: Command, client: Any, origin: Origin) -> None:
    """What the docs warn of: given the sync client alone, langchain makes an async one of its own, past the policy."""
    from langchain_openai import ChatOpenAI

    llm = ChatOpenAI(
        model="m", client=client.chat.completions, root_client=client, api_key="sk-x", max_retries=0
    )
    assert llm.invoke("hi").content == "Hello there"
    assert not isinstance(llm.root_async_client, type(client))
    assert str(llm.root_async_client.base_url) == "https://api.openai.com/v1/"
    with pytest.raises(Exception, match=r"[Cc]onnection error"):
        asyncio.run(llm.ainvoke("hi"))
    assert [line for line in missy.attempts() if "api.openai.com" in line]
    missy.trace.unlink()  # the guard stopped it; that it was tried is the point here


SOCKETS = {
    "realtime": lambda c: c.realtime.connect(model="m"),
    "realtime, beta": lambda c: c.beta.realtime.connect(model="m"),
    "responses": lambda c: c.responses.connect(),
    "responses, beta": lambda c: c.beta.responses.connect(),
    "translations": lambda c: c.realtime.translations.connect(model="m"),
}


@pytest.mark.parametrize("name", SOCKETS)
def test_a_websocket_is_not_opened(name: str, missy: Command, serve: Any) -> None:
    """With the websockets package there, every call that would open one is refused before it does."""
    missy.entry(serve(b"").url, api_key="sk-x")

    async def connect() -> None:
        async with library.AsyncMissy.open() as m:
            await SOCKETS[name](m.openai_client()).enter()

    with library.Missy.open() as m, pytest.raises(library.PolicyError):
        SOCKETS[name](m.openai_client().with_options(timeout=5)).enter()
    with pytest.raises(library.PolicyError):
        asyncio.run(connect())
    assert not [line for line in missy.attempts() if "connect" in line]
