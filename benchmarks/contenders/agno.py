"""agno: an agent, its OpenAI model, and a stub of its model's base."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agno.agent import Agent
from agno.models.base import Model
from agno.models.openai import OpenAIChat
from agno.models.response import ModelResponse

from benchmarks.contenders.peer_calls import KEY, PROMPT, add, calls, runs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work

CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'},
}


@asynccontextmanager
async def invocations(url: str, tolerant: bool = False) -> AsyncIterator[Work]:
    """Runs of an agent that asks once."""
    agent = Agent(model=OpenAIChat(id="m", base_url=url, api_key=KEY), telemetry=False)

    async def call(_: int) -> Any:
        return (await agent.arun(PROMPT)).content

    yield calls(call, tolerant=tolerant)


@dataclass
class Stub(Model):
    """A model that answers at once."""

    id: str = "stub"

    async def ainvoke(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """Answer."""
        del args
        if kwargs["messages"][-1].role == "tool":
            return ModelResponse(role="assistant", content="It is done.")
        return ModelResponse(role="assistant", tool_calls=[CALL])

    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Not used."""
        raise NotImplementedError

    invoke_stream = ainvoke_stream = invoke
    _parse_provider_response = _parse_provider_response_delta = invoke


@asynccontextmanager
async def workflow() -> AsyncIterator[Work]:
    """Runs of an agent with a tool, over a stub."""
    agent = Agent(model=Stub(), tools=[add], telemetry=False)

    async def run(_: int) -> Any:
        return (await agent.arun(PROMPT)).content

    yield runs(run)
