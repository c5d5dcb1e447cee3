"""Ours and a plain client against a server or an account with a limit."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.contenders.ground import server_entry
from benchmarks.contenders.http import HEADERS, QUESTION
from benchmarks.contenders.stub import stubbed
from runtime import Context, mag, running
from runtime.backoff import Backoff
from runtime.errors import BudgetExceeded
from runtime.messages import Price
from runtime.outcome import RunOptions
from runtime.workspace import echo_catalog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work
    from runtime.catalog import Catalog

PROMPT = "Say hello to everybody"
ATTEMPTS = 5
BACKOFF = Backoff(first=0.5, longest=8.0, jitter=1.0)
REFUSED = 429
CENT = 10**7
CALL_USD = 0.15  # 15 tokens at a cent; it reserves up to 3.24 before it
LEAST_USD = 4.0
PLACES = 10
HEAD_START_S = 0.1


@mag
async def caller(ctx: Context) -> str:
    """Ask once."""
    return await ctx.ask(PROMPT, model="server/m", max_output_tokens=30)


@mag
async def crowd(ctx: Context, calls: int) -> int:
    """Ask so often, all at once; return how many were answered."""

    async def ask() -> bool:
        try:
            await ctx.ask(PROMPT, model="server/m", max_output_tokens=30)
        except BudgetExceeded:
            return False
        return True

    return sum(await asyncio.gather(*(ask() for _ in range(calls))))


def _catalog(url: str, **limits: Any) -> Catalog:
    echo = echo_catalog()
    price = Price(
        input=CENT * 10**6,
        output=CENT * 10**6,
        cached_input=CENT * 10**6,
        cache_write=CENT * 10**6,
        source="benchmarks",
    )
    entry = server_entry(url, **limits)
    return replace(echo, providers={**echo.providers, "server": entry}, prices={"server/m": price})


@asynccontextmanager
async def storm(url: str, limits: dict[str, Any]) -> AsyncIterator[Work]:
    """Whole runs, each of which asks once; the runtime knows such limits of the account."""

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        del at_once
        # A system of its own for each turn: what it has learnt of the server is forgotten.
        async with running(_catalog(url, **limits), agents=(caller,), environ={}) as system:
            outcomes = await asyncio.gather(*(system.run(caller) for _ in range(operations)))
        return {"failed": sum(not outcome.ok for outcome in outcomes)}

    yield work


@asynccontextmanager
async def naive(url: str) -> AsyncIterator[Work]:
    """The calls by a plain client; every call retries for itself, as most libraries do."""
    bounds = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=bounds, timeout=60.0) as client:

        async def call() -> bool:
            for retry in range(ATTEMPTS):
                reply = await client.post(f"{url}/chat/completions", json=QUESTION, headers=HEADERS)
                if reply.status_code != REFUSED:
                    return reply.is_success
                if retry < ATTEMPTS - 1:
                    draw = random.random()  # noqa: S311  # jitter is no secret
                    await asyncio.sleep(BACKOFF.delay(retry, draw))
            return False

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            del at_once
            answered = await asyncio.gather(*(call() for _ in range(operations)))
            return {"failed": operations - sum(answered)}

        yield work


@asynccontextmanager
async def fairness(url: str) -> AsyncIterator[Work]:
    """One run with many calls, and a moment later another with one: how long that one takes."""
    limits = {"concurrency": {"start": PLACES, "max": PLACES}}

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        del at_once
        async with running(_catalog(url, **limits), agents=(crowd,), environ={}) as system:
            many = asyncio.create_task(system.run(crowd, operations))
            await asyncio.sleep(HEAD_START_S)
            began = time.perf_counter()
            one = await system.run(crowd, 1)
            single_ms = (time.perf_counter() - began) * 1e3
            outcomes = [one, await many]
        return {"single_ms": single_ms, "failed": sum(not each.ok for each in outcomes)}

    yield work


@asynccontextmanager
async def first_come(url: str) -> AsyncIterator[Work]:
    """The same with a plain client behind a semaphore, which knows no runs."""
    async with httpx.AsyncClient(timeout=60.0) as client:

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            del at_once
            places = asyncio.Semaphore(PLACES)

            async def call() -> bool:
                async with places:
                    reply = await client.post(
                        f"{url}/chat/completions", json=QUESTION, headers=HEADERS
                    )
                return reply.is_success

            many = [asyncio.create_task(call()) for _ in range(operations)]
            await asyncio.sleep(HEAD_START_S)
            began = time.perf_counter()
            answered = [await call()]
            single_ms = (time.perf_counter() - began) * 1e3
            answered += await asyncio.gather(*many)
            return {"single_ms": single_ms, "failed": answered.count(False)}

        yield work


def _limit_usd(calls: int) -> float:
    """Return what pays for a quarter of them."""
    return max(LEAST_USD, calls / 4 * CALL_USD)


@asynccontextmanager
async def looked_up() -> AsyncIterator[Work]:
    """The same calls by hand: each begins while anything is left, and pays when it is answered."""

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        del at_once
        limit_usd, spent = _limit_usd(operations), 0.0

        async def call() -> bool:
            nonlocal spent
            if spent >= limit_usd:
                return False
            await asyncio.sleep(0)  # a model that answers at once
            spent += CALL_USD
            return True

        paid = await asyncio.gather(*(call() for _ in range(operations)))
        return {"failed": paid.count(False), "overspend_usd": max(0.0, spent - limit_usd)}

    yield work


@asynccontextmanager
async def budget() -> AsyncIterator[Work]:
    """More calls at once than the run's budget pays for: what is spent beyond it."""

    async def work(operations: int, at_once: int) -> dict[str, Any]:
        del at_once
        limit_usd = _limit_usd(operations)
        catalog = _catalog("http://127.0.0.1:9")
        with stubbed(here=True):
            async with running(catalog, agents=(crowd,), environ={}) as system:
                options = RunOptions(budget_usd=limit_usd)
                outcome = await system.run(crowd, operations, options)
        spent = float(outcome.cost_usd or 0)
        return {
            "failed": operations - int(outcome.output or 0),
            "overspend_usd": max(0.0, spent - limit_usd),
        }

    yield work
