"""What Python can do by itself with one actor, for asks and for tells.

The deque is the limit: one task, one deque, one future for each ask.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.crowds import crowd_of
from benchmarks.contenders.driving import Gate, gathered, in_batches, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from benchmarks.worker import Work

    Envelope = tuple[Any, asyncio.Future[Any] | None]
    Receive = Callable[[Any], Awaitable[Any]]


async def _echo(message: Any) -> Any:
    return message


class Deque:
    """An actor by hand: a deque, a task, and a future to wake it."""

    def __init__(self, receive: Receive) -> None:
        self._messages: deque[Envelope] = deque()
        self._awaited: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._receive = receive

    def ask(self, message: Any) -> asyncio.Future[Any]:
        """Place a message; return the future of its answer."""
        reply: asyncio.Future[Any] = self._loop.create_future()
        self._put((message, reply))
        return reply

    def tell(self, message: Any) -> None:
        """Place a message."""
        self._put((message, None))

    def _put(self, envelope: Envelope) -> None:
        self._messages.append(envelope)
        if self._awaited is not None:
            self._awaited.set_result(None)
            self._awaited = None

    async def serve(self) -> None:
        """Handle what comes."""
        while True:
            while self._messages:
                message, reply = self._messages.popleft()
                answer = await self._receive(message)
                if reply is not None and not reply.done():
                    reply.set_result(answer)
            self._awaited = self._loop.create_future()
            await self._awaited


class Queued:
    """The same with an asyncio.Queue."""

    def __init__(self, receive: Receive) -> None:
        self._queue: asyncio.Queue[Envelope] = asyncio.Queue()
        self._receive = receive

    def ask(self, message: Any) -> asyncio.Future[Any]:
        """Place a message; return the future of its answer."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((message, reply))
        return reply

    def tell(self, message: Any) -> None:
        """Place a message."""
        self._queue.put_nowait((message, None))

    async def serve(self) -> None:
        """Handle what comes."""
        while True:
            message, reply = await self._queue.get()
            answer = await self._receive(message)
            if reply is not None and not reply.done():
                reply.set_result(answer)


ACTORS: dict[str, type[Deque | Queued]] = {"deque": Deque, "queue": Queued}


@asynccontextmanager
async def asks(kind: str) -> AsyncIterator[Work]:
    """Asks of an actor by hand."""
    actor = ACTORS[kind](_echo)
    server = asyncio.create_task(actor.serve())

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        await in_batches(actor.ask, operations, at_once)
        return {}

    yield work
    server.cancel()


@asynccontextmanager
async def tells(kind: str) -> AsyncIterator[Work]:
    """Tells to an actor by hand."""
    gate = Gate()

    async def count(_: Any) -> None:
        gate.come()

    actor = ACTORS[kind](count)
    server = asyncio.create_task(actor.serve())

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        await told(actor.tell, gate, operations, at_once)
        return {}

    yield work
    server.cancel()


@asynccontextmanager
async def anyio_asks() -> AsyncIterator[Work]:
    """Asks through anyio's memory streams, there and back, as its users write them."""
    import anyio  # noqa: PLC0415  # the other contenders do without it

    send, receive = anyio.create_memory_object_stream[Any](1)

    async def serve() -> None:
        async for message, reply in receive:
            await reply.send(message)

    async def ask(number: int) -> Any:
        reply, answer = anyio.create_memory_object_stream[Any](1)
        with reply, answer:
            await send.send((number, reply))
            return await answer.receive()

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        await gathered(ask, operations, at_once)
        return {}

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        yield work
        tasks.cancel_scope.cancel()
        receive.close()
        send.close()


@asynccontextmanager
async def anyio_tells() -> AsyncIterator[Work]:
    """Tells through an anyio memory stream that has room for all."""
    import anyio  # noqa: PLC0415  # likewise

    gate = Gate()
    send, receive = anyio.create_memory_object_stream[Any](float("inf"))

    async def serve() -> None:
        async for _ in receive:
            gate.come()

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        await told(send.send_nowait, gate, operations, at_once)
        return {}

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        yield work
        tasks.cancel_scope.cancel()
        receive.close()
        send.close()


@asynccontextmanager
async def crowd() -> AsyncIterator[Work]:
    """Many idle actors by hand, each with its task."""
    tasks: set[asyncio.Task[None]] = set()

    async def create() -> Deque:
        actor = Deque(_echo)
        tasks.add(asyncio.create_task(actor.serve()))
        return actor

    async def end(_: list[Deque]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        tasks.clear()

    yield crowd_of(create, lambda: asyncio.sleep(0), end)


@asynccontextmanager
async def restarts() -> AsyncIterator[Work]:
    """Tasks that crash, each begun anew by its callback."""

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        del at_once
        gate = Gate()
        again = gate.expect(operations)

        async def body(*, crash: bool) -> None:
            if crash:
                raise ValueError
            gate.come()

        kept: set[asyncio.Task[None]] = set()

        def begin(*, crash: bool) -> asyncio.Task[None]:
            task = asyncio.create_task(body(crash=crash))
            kept.add(task)
            task.add_done_callback(kept.discard)
            return task

        def restart(task: asyncio.Task[None]) -> None:
            if task.exception() is not None:
                begin(crash=False)

        for _ in range(operations):
            begin(crash=True).add_done_callback(restart)
        await again
        return {}

    yield work


@asynccontextmanager
async def jobs() -> AsyncIterator[Work]:
    """Jobs through an asyncio.Queue to as many workers as are under way, a future each."""

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        queue: asyncio.Queue[tuple[int, asyncio.Future[int]]] = asyncio.Queue(at_once)
        loop = asyncio.get_running_loop()

        async def serve() -> None:
            while True:
                number, reply = await queue.get()
                reply.set_result(number * 2)

        workers = [asyncio.create_task(serve()) for _ in range(at_once)]
        replies = []
        for number in range(operations):
            reply: asyncio.Future[int] = loop.create_future()
            await queue.put((number, reply))
            replies.append(reply)
        for reply in replies:
            await reply
        for worker in workers:
            worker.cancel()
        return {}

    yield work
