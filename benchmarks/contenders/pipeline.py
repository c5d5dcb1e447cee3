"""Our delegations: supervisor, context, validation, deadline, and what is on besides."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.contenders.driving import in_parts
from benchmarks.contenders.ground import options, system_with
from runtime import Context, mag, sag

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.worker import Work


@sag
async def double(ctx: Context, n: int) -> int:
    """Double a number."""
    del ctx
    return n * 2


@mag
async def main(ctx: Context, operations: int, at_once: int) -> None:
    """Delegate so many times."""
    await ctx.map(double, range(operations), concurrency=at_once)


@asynccontextmanager
async def delegations(
    *,
    spans: bool,
    journal: str,
    policy: bool,
    budget: bool,
    endpoint: str | None = None,
    each: int | None = None,
) -> AsyncIterator[Work]:
    """Delegations of one run, or of runs of so many each, with more or less on."""
    async with system_with(
        (main, double), spans=spans, journal=journal, policy=policy, endpoint=endpoint
    ) as system:

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            for delegations in in_parts(operations, each):
                payload = {"operations": delegations, "at_once": at_once}
                outcome = await system.run(main, payload, options(budget=budget))
                if not outcome.ok:
                    raise RuntimeError(outcome.error)
            return {}

        yield work
