"""Our model calls and workflows: whole runs, with more or less on."""

from __future__ import annotations

import gc
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.driving import in_turns
from benchmarks.contenders.ground import options, server_entry, system_with
from benchmarks.contenders.stub import stubbed
from benchmarks.telemetry import receiver
from benchmarks.worker import MEBIBYTE, open_files, rss_bytes
from runtime import Context, mag, sag, skill
from runtime.messages import Price
from runtime.workspace import echo_catalog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work
    from runtime.catalog import Catalog

TENTHS = 10
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


def _catalog(url: str, http: str) -> Catalog:
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
async def invocations(url: str, everything: bool, http: str = "asyncio") -> AsyncIterator[Work]:
    """Model calls of one agent to a server: policy, admission, budget, spans, journal."""
    async with system_with(
        (caller,),
        spans=everything,
        journal="disk" if everything else "none",
        policy=everything,
        catalog=_catalog(url, http),
    ) as system:

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            payload = {"operations": operations, "at_once": at_once}
            outcome = await system.run(caller, payload, options(budget=everything))
            if not outcome.ok:
                raise RuntimeError(outcome.error)
            return {"latencies": outcome.output}

        yield work


@asynccontextmanager
async def stubbed_calls() -> AsyncIterator[Work]:
    """Model calls of one agent to a stub in this process, everything on."""
    with stubbed(here=True):
        async with invocations("http://127.0.0.1:9", everything=True) as work:
            yield work


@asynccontextmanager
async def workflow(
    everything: bool, url: str | None = None, endpoint: str | None = None
) -> AsyncIterator[Work]:
    """Whole runs: two model calls and a tool; of a stub in this process, or of a server.

    Spans stay in the spool, or are sent to a collector where there is an endpoint.
    """
    with stubbed(here=url is None):
        async with system_with(
            (worker,),
            spans=everything,
            journal="disk" if everything else "none",
            policy=everything,
            catalog=_catalog(url or "http://127.0.0.1:9", "asyncio"),
            endpoint=endpoint,
        ) as system:

            async def run(_: int) -> None:
                outcome = await system.run(worker, None, options(budget=everything))
                if not outcome.ok:
                    raise RuntimeError(outcome.error)

            async def work(operations: int, at_once: int) -> dict[str, Any]:
                cpu = time.process_time()
                told: dict[str, Any] = await in_turns(run, operations, at_once)
                return told | {"run_ms": (time.process_time() - cpu) / operations * 1e3}

            yield work


@asynccontextmanager
async def memory_of_runs() -> AsyncIterator[Work]:
    """Whole runs, and what each of them leaves in memory; a collector takes the spans."""
    with receiver() as to:
        async with workflow(everything=True, endpoint=to.url) as runs:
            yield _remembering(runs)


def _remembering(runs: Work) -> Work:
    async def work(operations: int, at_once: int) -> dict[str, Any]:
        await runs(operations, at_once)  # what the first ones make is kept, and used again
        before = _settled_bytes()
        told = dict(await runs(operations, at_once))
        return told | {"run_kb": (_settled_bytes() - before) / operations / KIBIBYTE}

    return work


@asynccontextmanager
async def soak(seconds: float) -> AsyncIterator[Work]:
    """Whole runs for so many seconds; how the last tenth of them stands beside the first."""
    with receiver() as to:
        async with workflow(everything=True, endpoint=to.url) as runs:
            yield _soaking(runs, seconds)


def _soaking(runs: Work, seconds: float) -> Work:
    async def work(operations: int, at_once: int) -> dict[str, Any]:
        del operations
        looks: list[tuple[int, int]] = []
        began, done = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < seconds or len(looks) < TENTHS:
            if passed >= seconds * len(looks) / TENTHS:
                looks.append((_settled_bytes(), open_files()))
            await runs(10 * at_once, at_once)
            done += 10 * at_once
        first, last = looks[1], looks[-1]  # the first tenth fills caches and pools
        return {
            "wall_s": (time.perf_counter() - began) / done,  # of one operation, as is asked
            "cpu_s": 0.0,
            "grown_mb": (last[0] - first[0]) / MEBIBYTE,
            "grown_files": last[1] - first[1],
        }

    return work


def _settled_bytes() -> int:
    gc.collect()
    return rss_bytes()
