"""Bodies that crash in a living run, and runs that are killed after such a crash."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime import Context, mag, running, sag, skill
from runtime.journal import MemoryJournal
from tests.interrupted import ends, recorded_until, resumed
from tests.resumable import events_of

if TYPE_CHECKING:
    from runtime.journal import EventRow

TRIES: list[str] = []
PAID: list[int] = []
BEGUN: list[int] = []

pytestmark = pytest.mark.real_time


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    TRIES.clear()
    PAID.clear()


def crash_once(who: str) -> None:
    TRIES.append(who)
    if TRIES.count(who) == 1:
        raise ZeroDivisionError


@sag
async def late(ctx: Context) -> str:
    """Answer when it is too late for the first attempt of its caller."""
    if len(TRIES) < 2:
        await anyio.sleep(5)
    return "it answered"


@sag
async def impatient(ctx: Context) -> list[str]:
    """Crash the first time, while it waits."""
    got: list[str] = []

    async def wait() -> None:
        got.append((await ctx.delegate(late)).unwrap())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.sleep(0.02)
        crash_once("impatient")
    return [*got, await ctx.ask("the end")]


@mag
async def above(ctx: Context) -> list[str]:
    """Delegate."""
    return (await ctx.delegate(impatient)).unwrap()


async def test_killed_after_a_crash_it_goes_on_as_the_restarted_body_did() -> None:
    second = ends("delegation_completed", "/late:")
    records = await recorded_until(above, second, agents=(impatient, late))
    outcome, row = await resumed(above, records, agents=(impatient, late))
    assert outcome.output == ["it answered", "the end"]
    assert outcome.usage["calls"] == row.calls == 1


@sag
async def crasher(ctx: Context) -> None:
    """Crash once."""
    await anyio.sleep(0.02)
    crash_once("crasher")


@sag
async def writer(ctx: Context) -> None:
    """Note something now and then."""
    for number in range(8):
        ctx.log("noted", number=number)
        await anyio.sleep(0.02)


@mag
async def both(ctx: Context) -> None:
    """Have both work side by side."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ctx.delegate, crasher)
        tasks.start_soon(ctx.delegate, writer)


async def test_a_crash_takes_nothing_from_those_who_work_beside_it() -> None:
    journal = MemoryJournal()
    async with running(agents=(both, crasher, writer), environ={}, journal=journal) as system:
        outcome = await system.run(both)
        events: list[EventRow] = await events_of(journal, outcome.run_id)
    logged = [event.body["fields"]["number"] for event in events if event.kind == "log"]
    assert logged == list(range(8))
    assert TRIES == ["crasher", "crasher"]


@sag
async def asks_thrice(ctx: Context) -> str:
    """Ask, crash once, ask twice."""
    first = await ctx.ask("one")
    crash_once("asks")
    return first + await ctx.ask("two") + await ctx.ask("three")


@mag
async def above_asks(ctx: Context) -> str:
    """Delegate."""
    return (await ctx.delegate(asks_thrice)).unwrap()


async def test_a_crash_of_a_resumed_run_loses_no_call_from_its_sums() -> None:
    TRIES.append("asks")
    second_call = iter((False, True))

    def stop(record: Any) -> bool:
        return record.kind == "invocation_completed" and next(second_call)

    records = await recorded_until(above_asks, stop, agents=(asks_thrice,))
    TRIES.clear()
    outcome, row = await resumed(above_asks, records, agents=(asks_thrice,))
    assert outcome.output == "onetwothree"
    assert outcome.usage["calls"] == row.calls == 3
    assert outcome.usage["input_tokens"] == row.input_tokens


@skill(side_effects=True)
def wire(amount: int) -> None:
    """Pay slowly, in a thread that nobody can end."""
    BEGUN.append(amount)
    time.sleep(0.1)  # noqa: TID251  # a thread
    PAID.append(amount)


@sag
async def pays(ctx: Context) -> str:
    """Crash once while it pays."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ctx.use, wire, 5)
        while not BEGUN:  # noqa: ASYNC110  # a thread cannot set an event of this loop
            await anyio.sleep(0.001)
        crash_once("pays")
    return "paid"


@mag
async def above_pays(ctx: Context) -> str:
    """Delegate."""
    return (await ctx.delegate(pays)).unwrap()


async def test_what_a_crash_cut_off_and_may_have_taken_place_is_not_repeated() -> None:
    async with running(agents=(above_pays, pays), environ={}) as system:
        outcome = await system.run(above_pays)
    await anyio.sleep(0.2)
    assert outcome.status == "waiting"
    assert "wire had begun when the run was interrupted" in outcome.waits_for[0].question
    assert PAID == [5]


@sag
async def reads(ctx: Context) -> str:
    """Crash at the first piece of an answer, the first time."""
    text = ""
    async for event in ctx.stream("tell"):
        text += event.text
        crash_once("reads")
    return text


@mag
async def above_reads(ctx: Context) -> str:
    """Delegate."""
    return (await ctx.delegate(reads)).unwrap()


async def test_an_answer_that_a_crash_cut_off_is_not_taken_for_a_whole_one() -> None:
    journal = MemoryJournal()
    async with running(agents=(above_reads, reads), environ={}, journal=journal) as system:
        outcome = await system.run(above_reads)
        events = await events_of(journal, outcome.run_id)
    assert outcome.output == "tell"
    calls = [event for event in events if event.kind == "invocation_completed"]
    assert [bool(event.body.get("cut_off")) for event in calls] == [True, False]


async def test_many_crashes_of_one_run_read_only_their_own_steps() -> None:
    read: list[int] = []

    class Counting(MemoryJournal):
        async def outcomes(self, run_id: str, op: str) -> list[EventRow]:
            found = await super().outcomes(run_id, op)
            read.append(len(found))
            return found

    @sag(name="one-of-many")
    async def one(ctx: Context, number: int) -> str:
        answer = await ctx.ask(f"question {number}")
        crash_once(f"many {number}")
        return answer

    @mag(name="many")
    async def many(ctx: Context) -> int:
        return len([each.unwrap() for each in await ctx.fan_out(one, range(50))])

    async with running(agents=(many, one), environ={}, journal=Counting()) as system:
        outcome = await system.run(many)
    assert (outcome.output, outcome.usage["calls"]) == (50, 50)
    assert read == [1] * 50


@skill(inline=True, side_effects=True)
def buy(amount: int) -> str:
    """Pay at once."""
    PAID.append(amount)
    return f"receipt {amount}"


@sag
async def deepest(ctx: Context) -> str:
    """Pay, and answer when it is too late for the first attempt of whoever waits."""
    receipt = await ctx.use(buy, 3)
    if len(TRIES) < 2:
        await anyio.sleep(5)
    return receipt


@sag
async def middle(ctx: Context) -> list[str]:
    """Ask, delegate, ask."""
    first = await ctx.ask("middle")
    return [first, (await ctx.delegate(deepest)).unwrap(), await ctx.ask("middle again")]


@sag
async def hasty(ctx: Context) -> list[str]:
    """Crash the first time, once the deepest has paid."""
    got: list[list[str]] = []

    async def wait() -> None:
        got.append((await ctx.delegate(middle)).unwrap())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        while not PAID:  # noqa: ASYNC110  # a skill cannot set an event of this loop
            await anyio.sleep(0.001)
        crash_once("hasty")
    return got[0]


@mag
async def above_hasty(ctx: Context) -> list[str]:
    """Delegate."""
    return (await ctx.delegate(hasty)).unwrap()


async def test_what_a_crashed_body_had_delegated_goes_on_from_its_own_steps() -> None:
    journal = MemoryJournal()
    family = (above_hasty, hasty, middle, deepest)
    async with running(agents=family, environ={}, journal=journal) as system:
        outcome = await system.run(above_hasty)
        events = await events_of(journal, outcome.run_id)
        row = await journal.run(outcome.run_id)
    assert outcome.output == ["middle", "receipt 3", "middle again"]
    assert (PAID, TRIES) == ([3], ["hasty", "hasty"])
    assert row is not None
    assert outcome.usage["calls"] == row.calls == 2
    sent = [event.op for event in events if event.kind == "delegation_sent"]
    assert len(sent) == len(set(sent)) == 4
    given_up = [event for event in events if event.kind == "delegation_failed"]
    assert [event.body["unfinished"] for event in given_up] == [True, True]


async def test_killed_after_such_a_crash_they_still_do() -> None:
    family = (hasty, middle, deepest)
    for stop in (ends("delegation_failed", "/deepest:"), ends("delegation_completed", "/deepest:")):
        TRIES.clear()
        PAID.clear()
        records = await recorded_until(above_hasty, stop, agents=family)
        outcome, row = await resumed(above_hasty, records, agents=family)
        assert outcome.output == ["middle", "receipt 3", "middle again"]
        assert PAID == [3]
        assert outcome.usage["calls"] == row.calls == 2


@mag
async def gives_up_on_middle(ctx: Context) -> str:
    """Wait only until the deepest has paid."""
    with anyio.move_on_after(0.1):
        await ctx.delegate(middle)
    return await ctx.ask("never mind")


async def test_a_delegation_that_was_given_up_does_nothing_twice_when_the_run_goes_on() -> None:
    family = (middle, deepest)
    calls = iter((False, True))
    records = await recorded_until(
        gives_up_on_middle,
        lambda record: record.kind == "invocation_completed" and next(calls),
        agents=family,
    )
    assert PAID == [3]
    PAID.clear()
    outcome, _ = await resumed(gives_up_on_middle, records, agents=family)
    assert (outcome.output, PAID) == ("never mind", [])
