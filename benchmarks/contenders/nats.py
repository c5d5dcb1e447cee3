"""nats-py by itself: a request with its reply, and the same by way of a durable queue."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import nats
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig

from benchmarks.contender import Contender
from benchmarks.contenders.beside import beside
from benchmarks.contenders.driving import in_turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from nats.aio.client import Client
    from nats.aio.msg import Msg

    from benchmarks.worker import Work

SUBJECT, JOB, QUEUE, REPLIES = "bare.request", "bare.job", "bare_queue", "bare.reply"
ANSWER_S = 60.0
BATCH = 256
NEXT = f"$JS.API.CONSUMER.MSG.NEXT.{QUEUE}.workers"
NANO = 1_000_000_000


@asynccontextmanager
async def requests(url: str) -> AsyncIterator[Work]:
    """Requests that one other process answers."""
    async with _connected(url) as client:

        async def ask(number: int) -> None:
            await client.request(SUBJECT, b"%d" % number, timeout=ANSWER_S)

        async with _served(
            ask, Contender("responder", "nats:responder", options={"url": url})
        ) as w:
            yield w


@asynccontextmanager
async def responder(url: str) -> AsyncIterator[Work]:
    """Who answers requests."""

    async def answer(message: Msg) -> None:
        await message.respond(message.data)

    async with _connected(url) as client:
        await client.subscribe(SUBJECT, cb=answer)
        yield _nothing


@asynccontextmanager
async def jobs(url: str) -> AsyncIterator[Work]:
    """Messages that are on the disk before one other process does them, replies and acks."""
    waiting: dict[str, asyncio.Future[None]] = {}

    async def reply(message: Msg) -> None:
        waiting.pop(message.data.decode()).set_result(None)

    async with _connected(url) as client:
        jetstream, numbers = client.jetstream(), itertools.count()
        config = StreamConfig(QUEUE, subjects=[JOB], retention=RetentionPolicy.WORK_QUEUE)
        await jetstream.add_stream(config)
        await client.subscribe(REPLIES, cb=reply)

        async def job(_: int) -> None:
            number = str(next(numbers))
            done = waiting[number] = asyncio.get_running_loop().create_future()
            await jetstream.publish(JOB, number.encode())
            await done

        async with _served(job, Contender("worker", "nats:worker", options={"url": url})) as work:
            yield work


@asynccontextmanager
async def worker(url: str) -> AsyncIterator[Work]:
    """Who does jobs: pulled by many, each replied to as it comes and then acknowledged."""
    async with _connected(url) as client:
        config = ConsumerConfig(durable_name="workers", max_ack_pending=100_000)
        await client.jetstream().add_consumer(QUEUE, config)
        await _pulled(client)
        yield _nothing


async def _pulled(client: Client) -> None:
    wish = json.dumps({"batch": BATCH, "expires": 3_600 * NANO}).encode()
    inbox, done = client.new_inbox(), itertools.count(1)

    async def came(message: Msg) -> None:
        if message.headers is not None:
            return
        await client.publish(REPLIES, message.data)
        await message.ack()
        if not next(done) % BATCH:
            await client.publish(NEXT, wish, inbox)

    await client.subscribe(inbox, cb=came)
    await client.publish(NEXT, wish, inbox)


@asynccontextmanager
async def _served(ask: Callable[[int], Awaitable[None]], other: Contender) -> AsyncIterator[Work]:
    async with beside([other]) as cpu_s:

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            before = cpu_s()
            await in_turns(ask, operations, at_once)
            return {"others_us": (cpu_s() - before) / operations * 1e6}

        yield work


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Client]:
    client = await nats.connect(url)
    try:
        yield client
    finally:
        await client.close()


async def _nothing(operations: int, at_once: int) -> dict[str, Any]:
    """Do nothing: it serves."""
    del operations, at_once
    return {}
