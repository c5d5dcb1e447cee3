"""openai-agents: an agent, its chat completions model, and a stub; its own tracing is off."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from agents import (  # type: ignore[attr-defined]  # in its environment it is not ours
    Agent,
    Model,
    ModelResponse,
    OpenAIChatCompletionsModel,
    Runner,
    Usage,
    function_tool,
    set_tracing_disabled,
)
from benchmarks.contenders.peer_calls import KEY, PROMPT, add, calls, runs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work


@asynccontextmanager
async def invocations(url: str, tolerant: bool = False) -> AsyncIterator[Work]:
    """Runs of an agent that asks once."""
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=url, api_key=KEY)
    model = OpenAIChatCompletionsModel("m", client)
    agent = Agent(name="caller", model=model)

    async def call(_: int) -> Any:
        return (await Runner.run(agent, PROMPT)).final_output

    yield calls(call, tolerant=tolerant)


class Stub(Model):
    """A model that answers at once."""

    async def get_response(self, system_instructions: Any, input: Any, *_: Any, **__: Any) -> Any:  # noqa: A002  # their name
        """Answer."""
        del system_instructions
        last = input[-1] if isinstance(input, list) else {}
        output: list[Any]
        if last.get("type") == "function_call_output":
            text = ResponseOutputText(text="It is done.", type="output_text", annotations=[])
            output = [
                ResponseOutputMessage(
                    id="1", content=[text], role="assistant", status="completed", type="message"
                )
            ]
        else:
            output = [
                ResponseFunctionToolCall(
                    call_id="call_1", name="add", arguments='{"a": 1, "b": 2}', type="function_call"
                )
            ]
        return ModelResponse(output=output, usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> Any:
        """Not used."""
        raise NotImplementedError


@asynccontextmanager
async def workflow() -> AsyncIterator[Work]:
    """Runs of an agent with a tool, over a stub."""
    set_tracing_disabled(True)
    agent = Agent(name="worker", model=Stub(), tools=[function_tool(add)])

    async def run(_: int) -> Any:
        return (await Runner.run(agent, PROMPT)).final_output

    yield runs(run)
