"""A run that refuses other code does nothing new before it has come to all that it had done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime import Context, ResumeOptions, RunOptions, mag, running, sag, skill
from runtime.errors import CodeChanged, LimitReached
from runtime.journal import EventRow, Record
from tests.interrupted import ends, journal_of, recorded_until, resumed
from tests.resumable import events_of

if TYPE_CHECKING:
    from runtime.agent import Agent

DONE: list[str] = []
DELAY: list[float] = [4]
REFUSE = ResumeOptions(on_code_change="refuse")


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    DONE.clear()
    DELAY[:] = [4]


@skill(inline=True)
def look(what: str) -> str:
    """Look."""
    DONE.append(what)
    return f"saw {what}"


@sag
async def below(ctx: Context, what: str) -> str:
    """Look for somebody."""
    return await ctx.use(look, what)


STEPS: dict[str, Any] = {
    "chat": lambda ctx: ctx.ask("new"),
    "look": lambda ctx: ctx.use(look, "new"),
    "below": lambda ctx: ctx.delegate(below, "new"),
    "approve": lambda ctx: ctx.approve("May I?"),
}
WHICH: list[str] = []


@mag
async def moody(ctx: Context) -> list[Any]:
    """Do something before the rest where somebody says so, as random code would."""
    seen = [await ctx.use(look, "first")]
    if WHICH and WHICH[0] == "its answer":
        return seen
    for which in WHICH:
        await STEPS[which](ctx)
    seen += [(await ctx.delegate(below, "second")).unwrap(), await ctx.ask("third")]
    return [*seen, await ctx.ask("fourth")]


@pytest.mark.parametrize("which", [*STEPS, "its answer"])
async def test_a_step_where_the_journal_has_another_is_not_done_and_the_run_is_kept(
    which: str,
) -> None:
    WHICH[:] = []
    records = await recorded_until(moody, ends("invocation_completed"), agents=(below,))
    WHICH[:] = [which]
    DONE.clear()
    journal = journal_of(records)
    async with running(agents=(moody, below), environ={}, journal=journal) as system:
        with pytest.raises(CodeChanged, match=f"had come to below:.* now comes to {which}.* first"):
            await system.resume(records[0].run_id, REFUSE)
        events: list[EventRow] = await events_of(journal, records[0].run_id)
        row = await journal.run(records[0].run_id)
    assert row is not None
    assert row.status == "running"
    assert DONE == []
    kinds = [event.kind for event in events[len(records) :]]
    assert kinds == ["run_resumed", "delegation_started"]
    WHICH[:] = []
    outcome, _ = await resumed(moody, records, REFUSE, agents=(below,))
    assert outcome.output == ["saw first", "saw second", "third", "fourth"]


@mag
async def long(ctx: Context) -> list[str]:
    """Ask, take a minute, and ask again."""
    said = [await ctx.ask("before")]
    await anyio.sleep(60)
    return [*said, (await ctx.delegate(below, "after")).unwrap()]


async def test_a_run_that_goes_on_and_comes_to_its_deadline_is_left_as_it_is() -> None:
    records = await recorded_until(long, ends("invocation_completed"), agents=(below,))
    journal, run_id = journal_of(records), records[0].run_id
    async with running(agents=(long, below), environ={}, journal=journal) as system:
        with pytest.raises(LimitReached, match=r"used up its time, .* --deadline extend"):
            await system.resume(run_id, ResumeOptions(deadline=30))
        row = await journal.run(run_id)
        events = await events_of(journal, run_id)
    assert row is not None
    assert row.status == "running"
    again = [*records, *(of_event(run_id, event) for event in events[len(records) + 1 :])]
    outcome, _ = await resumed(long, again, ResumeOptions(deadline=90), agents=(below,))
    assert outcome.output == ["before", "saw after"]


def of_event(run_id: str, event: EventRow) -> Record:
    """Return a record as it was written."""
    terminal = False if event.body.get("unfinished") else None
    kind: Any = event.kind
    return Record(run_id, kind, event.op, event.body, event.at, event.cost_nano_usd, terminal)


@mag
async def branches(ctx: Context) -> list[str]:
    """Ask in two branches, whose order depends on the weather."""
    said: list[str] = []

    async def one() -> None:
        said.append(await ctx.ask("one"))
        await anyio.sleep(DELAY[0])
        said.append(await ctx.ask("two"))

    async def other() -> None:
        await anyio.sleep(3)
        said.append(await ctx.ask("other"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one)
        tasks.start_soon(other)
    return sorted(said)


async def test_branches_may_come_in_another_order() -> None:
    second = iter((False, True))

    def stop(record: Record) -> bool:
        return record.kind == "invocation_completed" and next(second)

    records = await recorded_until(branches, stop)
    DELAY[:] = [0]
    outcome, row = await resumed(branches, records, REFUSE)
    assert outcome.output == ["one", "other", "two"]
    assert row.calls == 3


@mag
async def everything(ctx: Context) -> list[Any]:
    """Fan out, give up, fail, and stream."""
    seen = [each.unwrap() for each in await ctx.fan_out(below, ["a", "b", "a"])]
    with anyio.move_on_after(0.5):
        await ctx.delegate(sleeps, "long")
    first = await ctx.first([sleeps, below], "quick")
    pieces = [event.text async for event in ctx.stream("tell")]
    failed = await ctx.delegate("nobody", 1)
    seen.append(bool(await ctx.approve("May I?")))
    return [*seen, first.unwrap(), "".join(pieces), failed.reason, await ctx.ask("end")]


@sag
async def sleeps(ctx: Context, what: str) -> str:
    """Look, and sleep."""
    await ctx.use(look, f"{what} sleep")
    await anyio.sleep(60)
    return await ctx.ask(what)


async def test_the_same_code_goes_on_after_every_record() -> None:
    agents: tuple[Agent, ...] = (below, sleeps)

    async def approve(_: Any) -> bool:
        return True

    options = RunOptions(approve=approve)
    records = await recorded_until(everything, lambda _: False, agents=agents, options=options)
    whole = next(r.body["output"] for r in records if r.kind == "run_completed")
    assert len(records) > 30
    refuse = replace(REFUSE, approve=approve)
    for last in range(2, len(records) - 1):
        outcome, _ = await resumed(everything, records[:last], refuse, agents=agents)
        assert outcome.output == whole, last
