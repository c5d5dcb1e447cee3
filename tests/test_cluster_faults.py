"""A cluster whose nodes are killed or cut off, whose NATS and whose database fail, in mid-run.

Real processes, a real NATS, a real PostgreSQL, and a model server over HTTP that counts. The bodies
hold on between two steps while something is done to them, so that no call is in flight: then no
question may come to the model server twice, whatever happens.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import anyio
import pytest
from anyio.to_thread import run_sync

from runtime import RunOptions, running
from runtime.journal import KINDS
from tests import postgres
from tests.cluster_node import AGENTS, JOURNAL, PATIENCE_S, SERVER, Traces, catalog, chief, nodes_at
from tests.clustering import settings_of
from tests.nats_server import nats_cluster, nats_server, new_name, shared_server
from tests.partitions import Wire
from tests.resumable import events_of
from tests.simulated import simulator
from tests.stores import open_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from runtime import RunOutcome
    from runtime.journal import EventRow
    from runtime.system import System
    from tests.simulated import Simulated

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(300)]

RUN = "the-run"
LEASE_S, GIVE_UP_S = 3.0, 4.0
LEAVES = 6
SUM = sum(len(f"{when} {n}") for n in range(LEAVES) for when in ("before", "after"))


class World(NamedTuple):
    """What outlives the nodes."""

    folder: Path
    server: Simulated
    database: str
    traces: Traces

    @property
    def environ(self) -> dict[str, str]:
        options = {"lease_s": LEASE_S, "give_up_s": GIVE_UP_S}
        return {SERVER: self.server.url, JOURNAL: json.dumps(options)}

    async def holders(self) -> dict[int, list[int]]:
        """Wait until all leaves hold on, and return which does so in which process."""
        found: dict[int, list[int]] = {}
        for number in range(LEAVES):
            pid = await run_sync(self.traces.holder, f"leaf-{number}")
            found.setdefault(pid, []).append(number)
        return found

    def check(self, outcome: RunOutcome, events: list[EventRow]) -> None:
        """All is done, and nothing that was done is done twice.

        A step that was in flight when its process died is begun once more, and only such a one.
        """
        assert (outcome.status, outcome.value) == ("completed", SUM)
        seen = self.server.seen()
        assert (seen.duplicates, seen.completed) == (0, LEAVES)
        begun = Counter(e.body["input"]["text"] for e in events if e.kind == "skill_started")
        assert self.traces.effects() <= begun
        over: set[str] = set()
        for event in events:
            assert not (event.kind.endswith("_started") and event.op in over)
            if KINDS[event.kind].terminal:
                over.add(event.op)
        ends = Counter(event.op for event in events if KINDS[event.kind].terminal)
        assert set(ends.values()) == {1}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with simulator() as server, postgres.server().database() as name:
        monkeypatch.setenv(SERVER, server.url)
        database = postgres.server().url(name, tcp=True)
        yield World(tmp_path, server, database, Traces(tmp_path))


@asynccontextmanager
async def client(url: str, name: str, database: str) -> AsyncIterator[System]:
    journal = await open_at(database)
    settings = settings_of(url, name)
    async with running(catalog(), environ={}, journal=journal, cluster=settings) as system:
        for agent, limits in AGENTS.items():
            system.directory.add_agent(agent, limits)
        yield system


class Running(NamedTuple):
    """A run that its leaves hold up.

    Attributes:
        system: the client that waits for it.
        home: the process that it is at home in.
        holders: the leaves of each process.
    """

    system: System
    home: int
    holders: dict[int, list[int]]

    @property
    def worker(self) -> int:
        """A process that works for it, and is not its home."""
        return next(pid for pid in self.holders if pid != self.home)


@asynccontextmanager
async def held_up(world: World, url: str, name: str) -> AsyncIterator[Running]:
    """Yield a run whose leaves hold on; afterwards let them go, and check what came of it."""
    found: list[RunOutcome] = []

    async def run(system: System) -> None:
        options = RunOptions(run_id=RUN, deadline_s=120, durability="strict")
        found.append(await system.run(chief, LEAVES, options))

    async with client(url, name, world.database) as system:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, system)
            holders = await world.holders()
            row = await system.journal.run(RUN)
            assert row is not None
            assert row.pid is not None
            yield Running(system, row.pid, holders)
            world.traces.go()
        world.check(found[0], await events_of(system.journal, RUN))


@pytest.mark.parametrize("who", ["worker", "home", "both"])
async def test_nodes_that_are_killed_are_done_without(world: World, who: str) -> None:
    url, name = shared_server().url, new_name()
    with nodes_at([(url, world.database)] * 3, name, world.folder, **world.environ) as nodes:
        async with held_up(world, url, name) as run:
            victims = {"worker": [run.worker], "home": [run.home]}
            for pid in victims.get(who, [run.worker, run.home]):
                nodes[pid].kill()


async def test_the_leader_of_nats_is_killed_and_all_goes_on(world: World) -> None:
    name = new_name()
    with (
        nats_cluster() as servers,
        nodes_at([(servers.url, world.database)] * 3, name, world.folder, **world.environ),
    ):
        async with held_up(world, servers.url, name):
            await run_sync(servers.leader().kill)


@pytest.mark.parametrize("forgets", [False, True])
async def test_all_of_nats_is_lost_and_the_journal_has_everything(
    world: World, forgets: bool
) -> None:
    name = new_name()
    with (
        nats_server() as server,
        nodes_at([(server.url, world.database)] * 3, name, world.folder, **world.environ) as nodes,
    ):
        async with held_up(world, server.url, name) as run:
            await run_sync(server.kill)
            nodes[run.worker].kill()
            if forgets:
                await run_sync(server.forget)
            await run_sync(server.start)


@pytest.mark.parametrize("away_s", [1.0, GIVE_UP_S + LEASE_S])  # nobody waits for so long
async def test_the_database_is_restarted_and_all_goes_on(world: World, away_s: float) -> None:
    url, name = shared_server().url, new_name()
    own = postgres.new_server()
    try:
        world = world._replace(database=own.url("postgres", tcp=True))
        with nodes_at([(url, world.database)] * 3, name, world.folder, **world.environ):
            async with held_up(world, url, name):
                await run_sync(own.stop, "immediate")
                world.traces.go()  # they come to their next step while nothing can be noted
                await anyio.sleep(away_s)
                await run_sync(own.start)
    finally:
        own.remove()


@pytest.mark.parametrize("what", ["nats", "database", "both"])
@pytest.mark.parametrize("who", ["worker", "home"])
async def test_a_node_that_is_cut_off_stops_and_comes_back(
    world: World, what: str, who: str
) -> None:
    url, name = shared_server().url, new_name()
    with ExitStack() as stack:
        laid: list[tuple[Wire, Wire]] = []
        places: list[tuple[str, str]] = []
        for _ in range(3):
            to_nats = stack.enter_context(Wire(shared_server().port).laid())
            to_database = stack.enter_context(Wire(postgres.server().port).laid())
            laid.append((to_nats, to_database))
            database = world.database.replace(str(postgres.server().port), str(to_database.port))
            places.append((f"nats://127.0.0.1:{to_nats.port}", database))
        nodes = stack.enter_context(nodes_at(places, name, world.folder, **world.environ))
        wires = dict(zip(nodes, laid, strict=True))
        async with held_up(world, url, name) as run:
            cut_off = run.worker if who == "worker" else run.home
            to_nats, to_database = wires[cut_off]
            cut = {"nats": [to_nats], "database": [to_database]}.get(what, [to_nats, to_database])
            for wire in cut:
                wire.cut()
            await anyio.sleep(LEASE_S + 1.0)
            world.traces.go()
            await anyio.sleep(LEASE_S)
            for wire in cut:
                wire.mend()
        assert nodes[cut_off].poll() is None
        await comes_back(world, url, name, cut_off)


async def comes_back(world: World, url: str, name: str, pid: int) -> None:
    """Wait until a node works again: more leaves hold on than the others have room for."""
    for file in ("go", *(f"leaf-{number}.held" for number in range(12))):
        (world.folder / file).unlink(missing_ok=True)
    async with client(url, name, world.database) as system, anyio.create_task_group() as tasks:
        tasks.start_soon(system.run, chief, 12, RunOptions(run_id="another", deadline_s=120))
        with anyio.fail_after(PATIENCE_S):
            while str(pid) not in {file.read_text() for file in world.folder.glob("leaf-*.held")}:  # noqa: ASYNC110  # files
                await anyio.sleep(0.1)
        world.traces.go()
