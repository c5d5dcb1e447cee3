"""Our Delegations in a cluster: at the homes of their runs, or all sent from one home to others."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import anyio

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
    from collections.abc import AsyncIterator, Iterator, Sequence

    from benchmarks.worker import Work
    from runtime import System

RUNS = 12  # at once: as many for each of one, two or three nodes
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
    """Delegations of one run that is at home here, which sends all of them to others.

    Args:
        database: the address of the journal.
        calls: whether each makes a model call.
        nodes: how many processes beside this one do them; none where it does them itself.
        nats: the address of NATS, where others do them.
        name: the cluster's.
    """
    where = Where(database, nats, name)
    others = {**asdict(where), "agents": [double.name, caller.name]}
    node = Contender("node", "clustered:node", pinned=False, options=others)
    async with _system(where, [main.name], spread=True) as system, beside([node] * nodes) as cpu_s:

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            before = cpu_s()
            await _run(system, calls, operations, at_once)
            return {"others_us": (cpu_s() - before) / operations * 1e6}

        yield work


async def _run(system: System, calls: bool, operations: int, at_once: int) -> None:
    payload = {"calls": calls, "operations": operations, "at_once": at_once}
    outcome = await system.run(main, payload, options(budget=False))
    if not outcome.ok:
        raise RuntimeError(outcome.error)


def _parts(whole: int, number: int) -> Iterator[int]:
    """Yield parts that are as equal as can be."""
    for part in range(number):
        yield whole * (part + 1) // number - whole * part // number


@asynccontextmanager
async def runs(
    database: str, *, calls: bool, nodes: int, nats: str, name: str
) -> AsyncIterator[Work]:
    """Delegations of many runs, each at home at one of some nodes; this process is their client.

    Args:
        database: the address of the journal.
        calls: whether each makes a model call.
        nodes: how many processes are nodes.
        nats: the address of NATS.
        name: the cluster's.
    """
    where = Where(database, nats, name)
    whole = {**asdict(where), "agents": [main.name, double.name, caller.name]}
    node = Contender("node", "clustered:node", pinned=False, options=whole)
    async with _system(where, []) as system, beside([node] * nodes) as cpu_s:

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            before = cpu_s()
            number = min(RUNS, at_once, operations)
            async with anyio.create_task_group() as tasks:
                for part in _parts(operations, number):
                    tasks.start_soon(_run, system, calls, part, at_once // number)
            return {"others_us": (cpu_s() - before) / operations * 1e6}

        yield work


@asynccontextmanager
async def node(database: str, nats: str, name: str, agents: Sequence[str]) -> AsyncIterator[Work]:
    """A node that serves some agents."""
    async with _system(Where(database, nats, name), agents):

        async def work(operations: int, at_once: int) -> dict[str, Any]:
            del operations, at_once
            return {}

        yield work


@asynccontextmanager
async def _system(
    where: Where, serves: Sequence[str], *, spread: bool = False
) -> AsyncIterator[System]:
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
            if cluster is not None and serves:
                await system.serve(serves, spread=spread)
            yield system
