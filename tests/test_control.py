"""How runs hear what others ask of them, whatever the order, and what spans say of questions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import Context, RunOptions, mag, running, sag, skill
from runtime.conduct import Halt
from runtime.errors import ConfigurationError, UnknownName
from runtime.identity import wall_clock
from runtime.journal import MemoryJournal, SqliteJournal
from runtime.requests import halt
from tests.recorded_spans import Recorded, said, seconds
from tests.stores import SHARED, several
from tests.test_approvals import alone, system_of

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from runtime import RunOutcome, System

DONE: Counter[str] = Counter()
PLAN: list[list[str]] = []


@skill
async def tick(name: str) -> str:
    """Take a second."""
    await anyio.sleep(1)
    DONE[name] += 1
    return name


@sag
async def planned(ctx: Context, number: int) -> list[Any]:
    """Do what the plan says."""
    done: list[Any] = []
    for at, what in enumerate(PLAN[number]):
        name = f"{number}.{at}"
        if what == "ask":
            done.append(await ctx.ask(name))
        elif what == "use":
            done.append(await ctx.use(tick, name))
        else:
            done.append(bool(await ctx.approve(name)))
    return done


@mag
async def planner(ctx: Context) -> list[Any]:
    """Do everything side by side."""
    return [each.unwrap() for each in await ctx.fan_out(planned, range(len(PLAN)))]


async def with_a_pause(system: System, run: Awaitable[RunOutcome], after: float) -> RunOutcome:
    """Wait for a run, and pause it after a while if it is there to be paused."""
    found: list[RunOutcome] = []

    async def wait() -> None:
        found.append(await run)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.sleep(after)
        try:
            await system.pause("one")
        except (ConfigurationError, UnknownName):
            assert True  # it is over, or paused already
    return found[0]


def expected(decisions: dict[str, bool]) -> list[list[Any]]:
    return [
        [
            decisions[f"{number}.{at}"] if what == "approve" else f"{number}.{at}"
            for at, what in enumerate(steps)
        ]
        for number, steps in enumerate(PLAN)
    ]


@given(
    plan=st.lists(
        st.lists(st.sampled_from(["ask", "use", "approve"]), max_size=4), min_size=1, max_size=3
    ),
    pauses=st.lists(st.floats(0, 4), max_size=4),
    answers=st.lists(st.booleans(), min_size=12, max_size=12),
)
@settings(deadline=None, max_examples=60)
async def test_however_it_is_paused_and_decided_about_everything_is_done_once(
    plan: list[list[str]], pauses: list[float], answers: list[bool]
) -> None:
    PLAN[:] = plan
    DONE.clear()
    journal, left, decisions = MemoryJournal(), iter(answers), dict[str, bool]()
    waits = iter(pauses)

    async with system_of(journal, planner, planned) as system:
        run = system.run(planner, None, RunOptions(run_id="one"))
        outcome = await with_a_pause(system, run, next(waits, 50.0))
        while outcome.is_parked:
            for asked in await system.approvals():
                if asked.question in decisions:
                    continue
                yes = decisions[asked.question] = next(left)
                await (system.approve if yes else system.deny)("one", asked.ticket)
                break
            outcome = await with_a_pause(system, system.resume("one"), next(waits, 50.0))
        events = await journal.events("one")
    assert outcome.output == expected(decisions)
    used = Counter(
        f"{number}.{at}"
        for number, steps in enumerate(plan)
        for at, what in enumerate(steps)
        if what == "use"
    )
    assert used == DONE
    kinds = Counter(event.kind for event in events)
    whats = Counter(what for steps in plan for what in steps)
    assert kinds["approval_requested"] == kinds["approval_decided"] == whats["approve"]
    assert kinds["invocation_started"] == whats["ask"]


@mag
async def waits_long(ctx: Context) -> None:
    """Wait."""
    await ctx.use(long_wait)


@skill
async def long_wait() -> None:
    """Wait."""
    await anyio.sleep(30)


@pytest.mark.real_time
@pytest.mark.parametrize("store", SHARED)
@pytest.mark.parametrize("status", ["cancelled", "paused"])
async def test_a_run_hears_of_it_through_the_journal_that_it_shares(
    store: str, status: Any, tmp_path: Path
) -> None:
    found: list[RunOutcome] = []
    began = anyio.Event()

    async def run(system: System) -> None:
        options = RunOptions(run_id="one", listener=lambda _: began.set())
        found.append(await system.run(waits_long, None, options))

    async with (
        several(store, tmp_path, 2) as (here, there),
        running(agents=(waits_long,), environ={}, journal=here) as system,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(run, system)
        await began.wait()
        await here.flush()
        wanted = Halt(status, "anna@there", "")
        row = await halt(there, "one", wanted, wall_clock, wait_s=20, grace_s=0.2)
        assert row.status == status
    assert found[0].status == status


@pytest.mark.real_time
async def test_nobody_looks_at_the_journal_while_no_run_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    watching = SqliteJournal.changed

    async def changed(self: SqliteJournal) -> bool:
        looks.append(anyio.current_time())
        return await watching(self)

    monkeypatch.setattr(SqliteJournal, "changed", changed)
    journal = await SqliteJournal.open(tmp_path / "journal.db", synchronous="normal")
    async with running(agents=(alone,), environ={}, journal=journal) as system:
        await anyio.sleep(0.7)
        assert looks == []
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(system.run, alone, None, RunOptions(run_id=f"run-{number}"))
        during = len(looks)
        assert 1 <= during <= 5  # one listens for all
        await anyio.sleep(1.2)
        assert len(looks) <= during + 1


async def test_a_question_has_a_span_that_says_what_was_decided_and_when() -> None:
    journal, recorded = MemoryJournal(), Recorded()
    async with system_of(journal, alone) as system:
        (asked,) = (await system.run(alone, None, RunOptions(run_id="one"))).waits_for
        await system.approve("one", asked.ticket, by="anna@here")
    journal_of_old = running(agents=(alone,), environ={}, journal=journal, tracing=recorded)
    async with journal_of_old as system:
        assert (await system.resume("one")).ok
    span = recorded.one("approve alone")
    told = said(span)
    assert told["magsag.approval.ticket"] == asked.ticket
    assert (told["magsag.approval.approved"], told["magsag.approval.by"]) == (True, "anna@here")
    assert told["magsag.approval.wait_ms"] >= 0
    assert told["gen_ai.operation.name"] == "approve"
    assert seconds(span) >= 0
    assert recorded.all_ended


async def test_a_parked_run_leaves_no_span_open_and_none_that_has_failed() -> None:
    recorded = Recorded()
    async with running(agents=(alone,), environ={}, tracing=recorded) as system:
        outcome = await system.run(alone)
    assert recorded.all_ended
    root, asked = recorded.one("invoke_workflow alone"), recorded.one("approve alone")
    assert said(root)["magsag.run.status"] == outcome.status == "waiting"
    assert said(asked)["magsag.approval.parked"] is True
    assert all("error.type" not in said(each) for each in (root, asked))
