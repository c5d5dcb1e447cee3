"""Microsoft's agent-framework: an agent, its OpenAI client, and a stub with the same layers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from agent_framework import (
    Agent,
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatResponse,
    Content,
    FunctionInvocationLayer,
    Message,
)
from agent_framework.observability import ChatTelemetryLayer
from agent_framework.openai import OpenAIChatCompletionClient

from benchmarks.contenders.peer_calls import KEY, PROMPT, add, calls, runs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work


@asynccontextmanager
async def invocations(url: str, tolerant: bool = False) -> AsyncIterator[Work]:
    """Runs of an agent that asks once."""
    agent = Agent(OpenAIChatCompletionClient("m", base_url=url, api_key=KEY))

    async def call(_: int) -> Any:
        return (await agent.run(PROMPT)).text

    yield calls(call, tolerant=tolerant)


class Stub(FunctionInvocationLayer, ChatMiddlewareLayer, ChatTelemetryLayer, BaseChatClient):
    """A client that answers at once."""

    def _inner_get_response(self, *, messages: Any, **kwargs: Any) -> Any:
        del kwargs
        if messages[-1].role == "tool":
            contents = [Content.from_text("It is done.")]
        else:
            contents = [Content.from_function_call("call_1", "add", arguments={"a": 1, "b": 2})]

        async def answer() -> ChatResponse:
            return ChatResponse(messages=[Message("assistant", contents)])

        return answer()


@asynccontextmanager
async def workflow() -> AsyncIterator[Work]:
    """Runs of an agent with a tool, over a stub."""
    agent = Agent(Stub(), tools=[add])

    async def run(_: int) -> Any:
        return (await agent.run(PROMPT)).text

    yield runs(run)
