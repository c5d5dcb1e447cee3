"""pydantic-ai: an agent, its OpenAI model and its function model."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from benchmarks.contenders.peer_calls import KEY, PROMPT, add, calls, runs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work


@asynccontextmanager
async def invocations(url: str, tolerant: bool = False) -> AsyncIterator[Work]:
    """Runs of an agent that asks once."""
    agent = Agent(OpenAIChatModel("m", provider=OpenAIProvider(base_url=url, api_key=KEY)))

    async def call(_: int) -> Any:
        return (await agent.run(PROMPT)).output

    yield calls(call, tolerant=tolerant)


async def _stub(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    del info
    last = messages[-1]
    if isinstance(last, ModelRequest) and last.parts[-1].part_kind == "tool-return":
        return ModelResponse(parts=[TextPart("It is done.")])
    return ModelResponse(parts=[ToolCallPart("add", {"a": 1, "b": 2})])


@asynccontextmanager
async def workflow() -> AsyncIterator[Work]:
    """Runs of an agent with a tool, over a stub."""
    agent = Agent(FunctionModel(_stub), tools=[add])

    async def run(_: int) -> Any:
        return (await agent.run(PROMPT)).output

    yield runs(run)
