"""Our model calls and workflows: whole runs, with more or less on."""

from __future__ import annotations

import gc
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.driving import in_parts, in_turns
from benchmarks.contenders.ground import options, server_entry, system_with
from benchmarks.contenders.stub import stubbed
from benchmarks.worker import rss_bytes
from runtime import Context, mag, sag, skill
from runtime.messages import Price
from runtime.workspace import echo_catalog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work
    from runtime import Agent
    from runtime.catalog import Catalog

KIBIBYTE = 1 << 10
PROMPT = "Say hello to everybody who is here"


@skill(inline=True)
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@mag
async def caller(ctx: Context, operations: int, at_once: int) -> list[float]:
    """Ask so many questions, so many at once; return the latencies."""

    async def ask(_: int) -> str:
        return await ctx.ask(PROMPT, model="server/m", max_output_tokens=200)

    return (await in_turns(ask, operations, at_once))["latencies"]


@sag
async def worker(ctx: Context) -> str:
    """Let a model call a tool and say what came of it."""
    return await ctx.ask(PROMPT, model="server/m", max_output_tokens=200, tools=(add,))


@sag
async def asker(ctx: Context) -> str:
    """Ask once."""
    return await ctx.ask(PROMPT, model="server/m", max_output_tokens=200)


def catalog_with(url: str, http: str = "asyncio") -> Catalog:
    """Return a catalog with a server at some address, whose only model has a price."""
    price = Price(
        input=10**9, output=2 * 10**9, cached_input=10**9, cache_write=10**9, source="benchmarks"
    )
    echo = echo_catalog()
    return replace(
        echo,
        providers={**echo.providers, "server": server_entry(url, http)},
        prices={"server/m": price},
    )


@asynccontextmanager
async def invocations(
    url: str, everything: bool, http: str = "asyncio", each: int | None = None
) -> AsyncIterator[Work]:
    """Model calls of one agent to a server: policy, admission, budget, spans, journal.

    They are one run, or runs of so many calls each.
    """
    async with system_with(
        (caller,),
        spans=everything,
        journal="disk" if everything else "none",
        policy=everything,
        catalog=catalog_with(url, http),
    ) as system:

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            latencies: list[float] = []
            for calls in in_parts(operations, each):
                payload = {"operations": calls, "at_once": at_once}
                outcome = await system.run(caller, payload, options(budget=everything))
                if not outcome.ok:
                    raise RuntimeError(outcome.error)
                latencies += outcome.output
            return {"latencies": latencies}

        yield work


@asynccontextmanager
async def single_calls(url: str) -> AsyncIterator[Work]:
    """Whole runs of an agent that asks a server once, everything on."""
    async with workflow(everything=True, url=url, agent=asker) as work:
        yield work


@asynccontextmanager
async def stubbed_calls(each: int | None = None) -> AsyncIterator[Work]:
    """Model calls of one agent to a stub in this process, everything on."""
    with stubbed(here=True):
        async with invocations("http://127.0.0.1:9", everything=True, each=each) as work:
            yield work


@asynccontextmanager
async def workflow(
    *,
    everything: bool,
    url: str | None = None,
    endpoint: str | None = None,
    journal: str = "disk",
    agent: Agent = worker,
) -> AsyncIterator[Work]:
    """Whole runs: two model calls and a tool; of a stub in this process, or of a server.

    Spans stay in the spool, or are sent to a collector where there is an endpoint.
    """
    with stubbed(here=url is None):
        async with system_with(
            (agent,),
            spans=everything,
            journal=journal if everything else "none",
            policy=everything,
            catalog=catalog_with(url or "http://127.0.0.1:9", "asyncio"),
            endpoint=endpoint,
        ) as system:

            async def run(_: int) -> None:
                outcome = await system.run(agent, None, options(budget=everything))
                if not outcome.ok:
                    raise RuntimeError(outcome.error)

            async def work(operations: int, at_once: int) -> dict[str, Any]:
                cpu = time.process_time()
                told: dict[str, Any] = await in_turns(run, operations, at_once)
                return told | {"run_ms": (time.process_time() - cpu) / operations * 1e3}

            yield work


@asynccontextmanager
async def memory_of_runs(endpoint: str) -> AsyncIterator[Work]:
    """Whole runs, and what each of them leaves in memory; a collector takes the spans."""
    async with workflow(everything=True, endpoint=endpoint) as runs:
        yield _remembering(runs)


def _remembering(runs: Work) -> Work:
    async def work(operations: int, at_once: int) -> dict[str, Any]:
        await runs(operations, at_once)  # what the first ones make is kept, and used again
        before = _settled_bytes()
        told = dict(await runs(operations, at_once))
        return told | {"run_kb": (_settled_bytes() - before) / operations / KIBIBYTE}

    return work


def _settled_bytes() -> int:
    gc.collect()
    return rss_bytes()
