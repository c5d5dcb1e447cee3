"""Nodes of a cluster that die, or that others take for dead: real processes, really killed."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.to_thread import run_sync

from runtime import RunOptions
from tests.cluster_node import (
    AGENTS,
    JOURNAL,
    Traces,
    catalog,
    chief,
    holder,
    nodes,
    nodes_at,
)
from tests.clustering import member, settings_of
from tests.nats_server import new_name, shared_server
from tests.resumable import events_of
from tests.stores import SHARED, open_at, place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runtime import Agent, RunOutcome
    from runtime.journal import EventRow
    from runtime.system import System

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(180)]
RUN = "the-run"
LEAVES = 6  # more than one node takes
LEASE_S = 3.0  # what a process that is stopped keeps what it has


@pytest.fixture(params=SHARED)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with place(request.param, tmp_path) as where:
        yield where


async def _run(system: System, agent: Agent, count: int, found: list[RunOutcome]) -> None:
    options = RunOptions(run_id=RUN, deadline_s=90, durability="strict")
    found.append(await system.run(agent, count, options))


def _completed(events: list[EventRow]) -> Counter[str]:
    return Counter(event.op for event in events if event.kind == "invocation_completed")


async def test_what_a_killed_worker_had_begun_goes_on_elsewhere(where: str, tmp_path: Path) -> None:
    url, name = shared_server().url, new_name()
    traces, found = Traces(tmp_path), list["RunOutcome"]()
    with nodes(url, name, where, tmp_path) as started:
        async with (
            member(
                settings_of(url, name), where, AGENTS, catalog=catalog(), serves=False
            ) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(_run, client, chief, LEAVES, found)
            victims = {await run_sync(traces.holder, f"leaf-{number}") for number in range(LEAVES)}
            row = await client.journal.run(RUN)
            assert row is not None
            victim = next((pid for pid in victims if pid != row.pid), None)
            if victim is not None:
                started[victim].kill()
            traces.go()
        events = await _events(where)
    assert victim is not None, "all was done where the run is at home"
    assert found[0].value == sum(
        len(f"{when} {n}") for n in range(LEAVES) for when in ("before", "after")
    )
    assert set(_completed(events).values()) == {1}
    assert set(traces.effects().values()) == {1}


async def test_a_run_whose_home_is_killed_goes_on_at_another_one(
    where: str, tmp_path: Path
) -> None:
    url, name = shared_server().url, new_name()
    traces, found = Traces(tmp_path), list["RunOutcome"]()
    with nodes(url, name, where, tmp_path) as started:
        async with (
            member(
                settings_of(url, name), where, AGENTS, catalog=catalog(), serves=False
            ) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(_run, client, holder, 3, found)
            home = await run_sync(traces.holder, "holder")
            started[home].kill()
            (tmp_path / "holder.held").unlink()
            assert await run_sync(traces.holder, "holder") != home
            traces.go()
        events = await _events(where)
    assert found[0].status == "completed"
    assert set(_completed(events).values()) == {1}
    assert traces.effects() == {f"quick {number}": 1 for number in range(3)}


async def test_a_worker_that_was_stopped_does_nothing_more_of_what_another_has_by_then(
    where: str, tmp_path: Path
) -> None:
    url, name = shared_server().url, new_name()
    traces, found = Traces(tmp_path), list["RunOutcome"]()
    lease = json.dumps({"lease_s": LEASE_S})
    with nodes_at([(url, where)] * 3, name, tmp_path, **{JOURNAL: lease}) as started:
        settings = settings_of(url, name)
        async with member(settings, where, AGENTS, catalog=catalog(), serves=False) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_run, client, chief, 3, found)
                holders = {
                    await run_sync(traces.holder, f"leaf-{number}"): number for number in range(3)
                }
                row = await client.journal.run(RUN)
                assert row is not None
                stopped = next(pid for pid in holders if pid != row.pid)
                os.kill(stopped, signal.SIGSTOP)
                again = tmp_path / f"leaf-{holders[stopped]}.held"
                again.unlink()
                assert await run_sync(traces.holder, again.stem) != stopped
                traces.go()
            before = traces.effects()
            os.kill(stopped, signal.SIGCONT)
            later = await client.run(chief, 0, RunOptions(deadline_s=30))
            await anyio.sleep(1.0)
        assert started[stopped].poll() is None
        events = await _events(where)
    assert found[0].status == later.status == "completed"
    assert set(_completed(events).values()) == {1}
    assert set(before.values()) == {1}
    assert traces.effects() == before + Counter(("begun", "ended"))


async def _events(where: str) -> list[EventRow]:
    """Return the records of the run; the client's journal is closed by then."""
    journal = await open_at(where)
    try:
        return await events_of(journal, RUN)
    finally:
        await journal.close()
