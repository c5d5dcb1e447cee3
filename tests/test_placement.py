"""Where a cluster does what is delegated: near its asker while there is room, else wherever."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.to_thread import run_sync

from runtime import Context, RunOptions, mag, sag
from runtime.agent import Limits
from tests.cluster_node import AGENTS, NEAR, Traces, catalog, chief, nodes_at
from tests.clustering import cluster, member, settings_of
from tests.nats_server import new_name, shared_server
from tests.resumable import events_of
from tests.stores import SHARED, open_at, place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runtime import RunOutcome
    from runtime.system import System

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(180)]
RUN = RunOptions(run_id="the-run", deadline_s=90, durability="strict")
ROOM = AGENTS[chief].concurrency


@pytest.fixture(params=SHARED)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with place(request.param, tmp_path) as where:
        yield where


async def _run(system: System, leaves: int, found: list[RunOutcome]) -> None:
    found.append(await system.run(chief, leaves, RUN))


async def test_a_home_does_what_it_has_room_for_and_others_do_the_rest(
    where: str, tmp_path: Path
) -> None:
    url, name, leaves = shared_server().url, new_name(), ROOM + 2
    traces, found = Traces(tmp_path), list["RunOutcome"]()
    with nodes_at([(url, where)] * 3, name, tmp_path, **{NEAR: "yes"}):
        settings = settings_of(url, name)
        async with (
            member(settings, where, AGENTS, catalog=catalog(), serves=False) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(_run, client, leaves, found)
            holders = Counter(
                [await run_sync(traces.holder, f"leaf-{number}") for number in range(leaves)]
            )
            row = await client.journal.run("the-run")
            traces.go()
    assert row is not None
    assert holders[row.pid] == ROOM
    assert found[0].status == "completed"


async def test_what_a_killed_home_did_itself_goes_on_at_other_nodes(
    where: str, tmp_path: Path
) -> None:
    url, name = shared_server().url, new_name()
    traces, found = Traces(tmp_path), list["RunOutcome"]()
    leaves = [f"leaf-{number}" for number in range(ROOM)]
    with nodes_at([(url, where)] * 3, name, tmp_path, **{NEAR: "yes"}) as started:
        settings = settings_of(url, name)
        async with (
            member(settings, where, AGENTS, catalog=catalog(), serves=False) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(_run, client, len(leaves), found)
            holders = {await run_sync(traces.holder, leaf) for leaf in leaves}
            (home,) = holders
            started[home].kill()
            for leaf in leaves:
                (tmp_path / f"{leaf}.held").unlink()
            again = {await run_sync(traces.holder, leaf) for leaf in leaves}
            traces.go()
    journal = await open_at(where)
    events = await events_of(journal, "the-run")
    await journal.close()
    assert home not in again
    assert found[0].status == "completed"
    completed = Counter(event.op for event in events if event.kind == "invocation_completed")
    assert len(completed) == len(leaves)
    assert set(completed.values()) == {1}
    assert set(traces.effects().values()) == {1}


async def _sent(system: System, name: str) -> int:
    """Return how many messages a cluster's queue has taken so far."""
    assert system.cluster is not None
    stream = await system.cluster.node.jetstream.stream_info(f"{name}_queue")
    return stream.state.last_seq


async def test_what_is_done_near_goes_through_no_queue(tmp_path: Path) -> None:
    @sag
    async def one(ctx: Context, n: int) -> int:
        del ctx
        return n

    @mag
    async def many(ctx: Context) -> list[int]:
        return [result.unwrap() for result in await ctx.fan_out(one, [*range(20)])]

    agents, sent = {one: Limits(), many: Limits()}, {}
    for spread in (False, True):
        name, where = new_name(), str(tmp_path / f"{spread}.db")
        settings = settings_of(shared_server().url, name)
        async with cluster(settings, where, agents, nodes=1, spread=spread) as system:
            outcome = await system.run(many)
            sent[spread] = await _sent(system, name)
        assert outcome.value == [*range(20)]
    assert sent == {False: 1, True: 21}  # the run itself, and what it has delegated


async def test_a_node_that_always_has_something_near_does_what_waits_in_the_queue_too(
    tmp_path: Path,
) -> None:
    begun, is_done = anyio.Event(), anyio.Event()

    @sag
    async def one(ctx: Context, n: int) -> int:
        del ctx
        begun.set()
        await anyio.sleep(0.002)
        return n

    @mag
    async def busy(ctx: Context) -> int:
        count = 0
        while not is_done.is_set():
            count += (await ctx.delegate(one, 1)).unwrap()
        return count

    @mag
    async def many(ctx: Context) -> list[int]:
        return [result.unwrap() for result in await ctx.fan_out(one, [*range(8)])]

    agents = {one: Limits(concurrency=1), busy: Limits(), many: Limits()}
    settings = settings_of(shared_server().url, new_name())
    async with (
        cluster(settings, str(tmp_path / "j.db"), agents, nodes=1, spread=False) as system,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(system.run, busy)
        await begun.wait()
        outcome = await system.run(many, options=RunOptions(deadline_s=20))
        is_done.set()
    assert outcome.value == [*range(8)]


async def test_what_was_asked_near_before_a_crash_is_counted_once(tmp_path: Path) -> None:
    asked, begun = anyio.Event(), Counter[str]()

    @sag
    async def below(ctx: Context) -> str:
        begun["below"] += 1
        said: str = await ctx.ask("one")
        if begun["below"] == 1:
            asked.set()
            await anyio.sleep_forever()
        return said + await ctx.ask("two")

    @sag
    async def child(ctx: Context, *, is_guest: bool) -> str:
        begun["guest"] += is_guest
        if begun["guest"] == 1:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ctx.delegate, below)
                await asked.wait()
                raise ValueError("not yet")
        said: str = (await ctx.delegate(below)).unwrap() if is_guest else ""
        return said

    @mag
    async def chief(ctx: Context) -> list[Any]:
        results = await ctx.fan_out(child, [{"is_guest": False}, {"is_guest": True}])
        return [result.metrics["calls"] for result in results]

    agents = {chief: Limits(), child: Limits(concurrency=1), below: Limits()}
    settings, where = settings_of(shared_server().url, new_name()), str(tmp_path / "j.db")
    async with cluster(settings, where, agents, catalog=catalog(), spread=False) as system:
        outcome = await system.run(chief, options=RunOptions(deadline_s=30))
        events = await events_of(system.journal, outcome.run_id)
    assert outcome.status == "completed"
    totals = [event.body["totals"] for event in events if "totals" in event.body]
    assert [said[0] for said in totals] == [2, 2]
    assert outcome.usage["calls"] == 2


async def test_what_is_gone_on_with_waits_in_the_queue_and_not_at_a_full_node(
    tmp_path: Path,
) -> None:
    begun, is_here, is_there = Counter[str](), anyio.Event(), anyio.Event()

    @sag
    async def one(ctx: Context, n: int) -> int:
        del ctx
        begun["one"] += 1
        if begun["chief"] > 1:
            (is_there if is_here.is_set() else is_here).set()
            await is_there.wait()
        else:
            await anyio.sleep_forever()
        return n

    @mag
    async def chief(ctx: Context) -> list[int]:
        begun["chief"] += 1
        if begun["chief"] > 1:
            return [result.unwrap() for result in await ctx.fan_out(one, [*range(6)])]
        for number in range(10_000):  # so that reading all takes its time
            ctx.log("begun", number=number)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ctx.fan_out, one, [*range(6)])
            while not begun["one"]:  # noqa: ASYNC110  # it must not wait for room
                await anyio.sleep(0.01)
            raise ValueError("not yet")

    agents = {chief: Limits(), one: Limits(concurrency=1)}
    settings, where = settings_of(shared_server().url, new_name()), str(tmp_path / "j.db")
    found = list["RunOutcome"]()

    async def run(client: System) -> None:
        found.append(await client.run(chief, options=RunOptions(deadline_s=60)))

    async with (
        cluster(settings, where, agents, nodes=1, spread=False) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(run, client)
        await is_here.wait()
        async with member(settings, where, agents, serves=True, spread=False):
            with anyio.move_on_after(20):
                await is_there.wait()
            is_shared = is_there.is_set()
            is_there.set()
            while not found:  # noqa: ASYNC110  # as long as both are there
                await anyio.sleep(0.01)
    assert is_shared
    assert found[0].value == [*range(6)]
