"""Asks per second: a message to an actor and its answer, beside the same done by hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Contender
from runtime.actors import Actor, ChildSpec, Mailbox, Supervisor, actor_system

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.actors import ActorRef

TITLE = "asks per second (an echo: one message, one answer)"
OPERATIONS = 50_000
CONCURRENCY = (1, 100, 10_000)


class Echo(Actor):
    """Answers what it was asked."""

    async def receive(self, message: Any) -> Any:
        """Return the message."""
        return message


async def bare_queue(operations: int, concurrency: int, start: Callable[[], None]) -> None:
    """An asyncio.Queue, a task that serves it, and a future per ask."""
    queue: asyncio.Queue[tuple[int, asyncio.Future[int]]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def serve() -> None:
        while True:
            message, reply = await queue.get()
            reply.set_result(message)

    def ask(number: int) -> asyncio.Future[int]:
        reply: asyncio.Future[int] = loop.create_future()
        queue.put_nowait((number, reply))
        return reply

    server = asyncio.create_task(serve())
    start()
    await _in_batches(ask, operations, concurrency)
    server.cancel()


async def actor(operations: int, concurrency: int, start: Callable[[], None]) -> None:
    """An actor of this runtime that nobody supervises."""
    async with actor_system() as system:
        ref = await system.start(Echo, mailbox=Mailbox(concurrency))
        start()
        await _in_batches(ref.ask, operations, concurrency)


async def supervised(operations: int, concurrency: int, start: Callable[[], None]) -> None:
    """The same under a supervisor, which costs nothing until something fails."""
    async with actor_system() as system:
        spec = ChildSpec("echo", Echo, mailbox=lambda: Mailbox(concurrency))
        root = await system.supervise(lambda: Supervisor((spec,)))
        ref: ActorRef | None = root.child("echo")
        if ref is None:
            raise LookupError("the supervisor has no child")
        start()
        await _in_batches(ref.ask, operations, concurrency)


async def _in_batches(
    ask: Callable[[int], Awaitable[Any]], operations: int, concurrency: int
) -> None:
    for first in range(0, operations, concurrency):
        for reply in [ask(n) for n in range(first, min(first + concurrency, operations))]:
            await reply


CONTENDERS = (
    Contender("asyncio.Queue and a future", bare_queue, is_baseline=True),
    Contender("actor", actor),
    Contender("supervised actor", supervised),
)
