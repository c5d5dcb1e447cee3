"""Our Delegations over a cluster: the home of their run in one process, who does them in others."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.contender import Contender
from benchmarks.contenders.beside import beside
from benchmarks.contenders.calls import PROMPT, catalog_with
from benchmarks.contenders.ground import options
from benchmarks.contenders.pipeline import double
from benchmarks.contenders.stub import stubbed
from runtime import Context, mag, running, sag
from runtime.engines.cluster.settings import cluster_settings
from runtime.journal.location import location_of
from runtime.journal.opening import open_journal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from benchmarks.worker import Work
    from runtime import System

SERVER = "http://127.0.0.1:9"  # nobody is there: a stub answers in each process


@dataclass(frozen=True, slots=True)
class Where:
    """What all processes of one contender share.

    Attributes:
        database: the address of their journal.
        nats: the address of their NATS; None for a process by itself.
        name: the cluster's.
    """

    database: str
    nats: str | None
    name: str


@sag
async def caller(ctx: Context, n: int) -> str:
    """Ask a model once."""
    return await ctx.ask(f"{PROMPT} {n}", model="server/m", max_output_tokens=200)


@mag
async def main(ctx: Context, calls: bool, operations: int, at_once: int) -> None:
    """Delegate so many times."""
    await ctx.map(caller if calls else double, range(operations), concurrency=at_once)


@asynccontextmanager
async def delegations(
    database: str, *, calls: bool, nodes: int, nats: str | None = None, name: str = ""
) -> AsyncIterator[Work]:
    """Delegations of one run that is at home here.

    Args:
        database: the address of the journal.
        calls: whether each makes a model call.
        nodes: how many processes beside this one do them; none where it does them itself.
        nats: the address of NATS, where others do them.
        name: the cluster's.
    """
    where = Where(database, nats, name)
    node = Contender("node", "clustered:node", pinned=False, options=asdict(where))
    async with _system(where, [main.name]) as system, beside([node] * nodes) as cpu_s:

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            before = cpu_s()
            payload = {"calls": calls, "operations": operations, "at_once": at_once}
            outcome = await system.run(main, payload, options(budget=False))
            if not outcome.ok:
                raise RuntimeError(outcome.error)
            return {"others_us": (cpu_s() - before) / operations * 1e6}

        yield work


@asynccontextmanager
async def node(database: str, nats: str, name: str) -> AsyncIterator[Work]:
    """Who does what a home has asked."""
    async with _system(Where(database, nats, name), [double.name, caller.name]):

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            del operations, at_once
            return {}

        yield work


@asynccontextmanager
async def _system(where: Where, serves: Sequence[str]) -> AsyncIterator[System]:
    cluster = None if where.nats is None else cluster_settings(where.nats, {}, where.name)
    journal = await open_journal(location_of(where.database))
    with stubbed(here=True):
        async with running(
            catalog_with(SERVER),
            agents=(main, double, caller),
            environ={},
            journal=journal,
            cluster=cluster,
        ) as system:
            if cluster is not None:
                await system.serve(serves)
            yield system
