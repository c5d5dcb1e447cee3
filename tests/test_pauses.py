"""Runs are cancelled and paused by others than who has started them, and paused ones go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime import Context, RunOptions, mag, running, sag, skill
from runtime.errors import ConfigurationError, UnknownName
from runtime.journal import MemoryJournal, Record
from tests.interrupted import ends, journal_of, recorded_until
from tests.resumable import events_of
from tests.test_approvals import alone, system_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime import RunOutcome, System

DONE: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    DONE.clear()


@pytest.fixture
async def journal() -> AsyncIterator[MemoryJournal]:
    one = MemoryJournal()
    yield one
    await one.close()


@skill
async def work(name: str, seconds: float) -> str:
    """Take its time."""
    DONE.append(f"{name} begins")
    await anyio.sleep(seconds)
    DONE.append(f"{name} ends")
    return name


@sag
async def worker(ctx: Context, number: int) -> str:
    """Do two things, one after the other."""
    first = await ctx.use(work, f"{number}a", 10)
    return first + await ctx.use(work, f"{number}b", 10)


@mag
async def chief(ctx: Context) -> list[str]:
    """Fan out."""
    return [each.unwrap() for each in await ctx.fan_out(worker, [1, 2])]


@mag
async def slow(ctx: Context) -> str:
    """Do what takes long."""
    return await ctx.use(work, "slow", 1_000)


async def run_and(
    journal: MemoryJournal, agent: Any, act: Any, *, after: float = 5.0, **options: Any
) -> RunOutcome:
    """Run an agent, do something to the run after a while, and return what came of it."""
    found: list[RunOutcome] = []

    async def run(system: System) -> None:
        found.append(await system.run(agent, None, RunOptions(run_id="one", **options)))

    agents = chief, worker, slow, alone, works_and_asks
    async with system_of(journal, *agents) as system, anyio.create_task_group() as tasks:
        tasks.start_soon(run, system)
        await anyio.sleep(after)
        await act(system)
    return found[0]


async def test_a_run_that_is_cancelled_ends_with_its_children_and_says_by_whom(
    journal: MemoryJournal,
) -> None:
    async def cancel(system: System) -> None:
        row = await system.cancel("one", "too dear", by="anna@here")
        assert (row.status, row.error) == ("cancelled", "it was cancelled by anna@here: too dear")
        with pytest.raises(ConfigurationError, match="is over: cancelled; nothing is left to"):
            await system.cancel("one")

    outcome = await run_and(journal, chief, cancel)
    assert (outcome.status, outcome.exit_code) == ("cancelled", 130)
    assert DONE == ["1a begins", "2a begins"]
    last = (await events_of(journal, "one"))[-1]
    assert last.kind == "run_cancelled"
    assert (last.body["by"], last.body["why"]) == ("anna@here", "too dear")


async def test_a_paused_run_ends_what_is_in_flight_and_begins_nothing_more(
    journal: MemoryJournal,
) -> None:
    async def pause(system: System) -> None:
        row = await system.pause("one", by="anna@here")
        assert (row.status, row.parked_at is not None) == ("paused", True)
        with pytest.raises(ConfigurationError, match="is paused already"):
            await system.pause("one")

    outcome = await run_and(journal, chief, pause)
    assert (outcome.status, outcome.exit_code) == ("paused", 6)
    assert sorted(DONE) == ["1a begins", "1a ends", "2a begins", "2a ends"]
    DONE.clear()
    async with system_of(journal, chief, worker) as system:
        done = await system.resume("one")
    assert done.output == ["1a1b", "2a2b"]
    assert done.trace_id == outcome.trace_id
    assert sorted(DONE) == ["1b begins", "1b ends", "2b begins", "2b ends"]


@mag
async def works_and_asks(ctx: Context) -> str:
    """Ask a model after some work."""
    return await ctx.ask(await ctx.use(work, "first", 10))


async def test_a_paused_run_asks_no_model_any_more(journal: MemoryJournal) -> None:
    async def pause(system: System) -> None:
        await system.pause("one")

    assert (await run_and(journal, works_and_asks, pause)).status == "paused"
    kinds = [event.kind for event in await events_of(journal, "one")]
    assert "skill_completed" in kinds
    assert "invocation_started" not in kinds


async def test_what_does_not_end_in_time_is_done_again(journal: MemoryJournal) -> None:
    async def pause(system: System) -> None:
        assert (await system.pause("one")).status == "paused"

    assert (await run_and(journal, slow, pause)).status == "paused"
    assert DONE == ["slow begins"]
    assert (await events_of(journal, "one"))[-1].kind == "run_paused"  # as if killed then
    async with system_of(journal, slow) as system:
        assert (await system.resume("one")).output == "slow"
    assert DONE == ["slow begins", "slow begins", "slow ends"]


async def test_time_in_which_a_run_is_paused_does_not_count(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000.0]
    monkeypatch.setattr("runtime.launch.wall_clock", lambda: now[0])

    async def pause(system: System) -> None:
        await system.pause("one")

    assert (await run_and(journal, chief, pause, deadline_s=60)).status == "paused"
    now[0] += 100_000
    async with system_of(journal, chief, worker) as system:
        assert (await system.resume("one")).ok


async def test_a_run_that_waits_may_be_paused_and_then_no_decision_wakes_it(
    journal: MemoryJournal,
) -> None:
    async with system_of(journal, alone) as system:
        (asked,) = (await system.run(alone, None, RunOptions(run_id="one"))).waits_for
        assert (await system.pause("one")).status == "paused"
        await system.approve("one", asked.ticket, by="anna@here")
        row = await journal.run("one")
        assert row is not None
        assert row.status == "paused"
        assert (await system.resume("one")).output == "anna@here has approved it"


async def test_a_run_that_asks_and_is_paused_at_once_is_paused(journal: MemoryJournal) -> None:
    async def pause(system: System) -> None:
        await system.pause("one")

    assert (await run_and(journal, alone, pause, after=0.1)).status == "paused"


@pytest.mark.parametrize("halt", ["pause", "wait"])
async def test_a_parked_run_is_cancelled_by_whoever_wants_that(
    journal: MemoryJournal, halt: str
) -> None:
    async with system_of(journal, alone) as system:
        await system.run(alone, None, RunOptions(run_id="one"))
        if halt == "pause":
            await system.pause("one")
        row = await system.cancel("one", by="anna@here")
        assert (row.status, row.reason, row.parked_at) == ("cancelled", "cancelled", None)
        with pytest.raises(ConfigurationError, match="is over: cancelled"):
            await system.resume("one")
        assert await system.approvals() == []


@pytest.mark.parametrize("verb", ["cancel", "pause"])
async def test_a_run_whose_process_has_died_is_halted_by_whoever_wants_that(verb: str) -> None:
    records = await recorded_until(chief, ends("skill_completed"), agents=(worker,))
    run_id = records[0].run_id
    async with running(agents=(chief, worker), environ={}, journal=journal_of(records)) as system:
        row = await getattr(system, verb)(run_id, by="anna@here")
        assert row.status == {"cancel": "cancelled", "pause": "paused"}[verb]
        if verb == "pause":
            assert (await system.resume(run_id)).output == ["1a1b", "2a2b"]


async def test_a_cancel_that_a_process_died_over_is_carried_out_by_the_next_owner() -> None:
    records = await recorded_until(chief, ends("skill_completed"), agents=(worker,))
    run_id, journal = records[0].run_id, journal_of(records)
    async with running(agents=(chief, worker), environ={}, journal=journal) as system:
        body = {"by": "anna@here", "why": "no"}
        assert await journal.request(Record(run_id, "cancel_requested", "", body, 2.0, epoch=0))
        DONE.clear()
        outcome = await system.resume(run_id)
    assert (outcome.status, outcome.error) == ("cancelled", "it was cancelled by anna@here: no")
    assert DONE == []


async def test_a_run_that_goes_on_again_is_cancelled_as_well(journal: MemoryJournal) -> None:
    async with system_of(journal, slow) as system, anyio.create_task_group() as tasks:
        tasks.start_soon(system.run, slow, None, RunOptions(run_id="one"))
        await anyio.sleep(1)
        assert (await system.pause("one")).status == "paused"
        tasks.start_soon(system.resume, "one")
        await anyio.sleep(1)
        assert (await system.cancel("one")).status == "cancelled"


async def test_who_does_not_exist_is_neither_cancelled_nor_paused(journal: MemoryJournal) -> None:
    async with system_of(journal, slow) as system:
        for act in (system.cancel, system.pause):
            with pytest.raises(UnknownName, match="no run 'nobody'"):
                await act("nobody")
