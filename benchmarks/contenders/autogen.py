"""autogen-core: its single-threaded runtime in one process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autogen_core import AgentId, BaseAgent, MessageContext, SingleThreadedAgentRuntime

from benchmarks.contenders.crowds import crowd_of
from benchmarks.contenders.driving import gathered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work


@dataclass
class Number:
    """A message."""

    value: int


class Echo(BaseAgent):
    """Answers what it was asked; without the router of handlers, which costs more."""

    def __init__(self) -> None:
        super().__init__("an echo")

    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:
        """Return the message."""
        del ctx
        return message


@asynccontextmanager
async def asks() -> AsyncIterator[Work]:
    """Asks by ``send_message``."""
    runtime = SingleThreadedAgentRuntime()
    await Echo.register(runtime, "echo", Echo)
    runtime.start()
    echo = AgentId("echo", "default")

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        await gathered(lambda n: runtime.send_message(Number(n), echo), operations, at_once)
        return {}

    yield work
    await runtime.stop()


@asynccontextmanager
async def crowd() -> AsyncIterator[Work]:
    """Many agents, each made by the first look at its id."""
    runtime = SingleThreadedAgentRuntime()
    await Echo.register(runtime, "echo", Echo)
    numbers = iter(range(1 << 60))

    async def create() -> Any:
        return await runtime.try_get_underlying_agent_instance(
            AgentId("echo", str(next(numbers))), Echo
        )

    async def end(refs: list[Any]) -> None:
        refs.clear()  # there is no way to end one: they stay with their runtime

    yield crowd_of(create, lambda: asyncio.sleep(0), end)
