"""How what became of a Delegation reaches its sender: once, at any depth, and nothing is left."""

from __future__ import annotations

import gc
from typing import Any, cast

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import Context, RunOptions, mag, running, sag
from runtime.engines import current_time
from runtime.engines.deadlines import Deadlines
from tests.authors import double
from tests.conftest import LeapingEventLoop

DEPTH = 60  # agents above one another


@pytest.mark.parametrize("how", ["cancelled", "deadline"])
async def test_sixty_agents_that_wait_for_one_another_end_together(how: str) -> None:
    """Each end ends the next one, in one go, and every one of them is noted once."""
    ready = anyio.Event()

    @sag
    async def link(ctx: Context, left: int) -> Any:
        if left:
            return (await ctx.delegate(link, left - 1)).unwrap()
        ready.set()
        return await anyio.sleep(1_000)

    @mag
    async def main(ctx: Context) -> Any:
        return (await ctx.delegate(link, DEPTH)).unwrap()

    async with running(agents=(main, link), environ={}) as system:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                options = RunOptions(run_id="r", deadline_s=10 if how == "deadline" else None)
                tasks.start_soon(system.run, main, None, options)
                await ready.wait()
                if how == "cancelled":
                    scope.cancel()
        events = await system.journal.events("r")
        failed = [event.op for event in events if event.kind == "delegation_failed"]
        sent = {event.op for event in events if event.kind == "delegation_sent"}
        assert len(failed) == len(set(failed)) == len(sent) == DEPTH + 2
        assert set(failed) == sent
        assert all(each.running == 0 for each in system.statistics().agents)


async def test_delegations_that_ended_leave_nothing_to_the_garbage_collector() -> None:
    """What they were made of is let go of when they end, not when somebody sweeps."""
    left: list[int] = []

    @mag
    async def main(ctx: Context) -> None:
        await ctx.map(double, range(10))
        gc.collect()
        gc.disable()
        try:
            await ctx.map(double, range(200))
            await anyio.sleep(1)
            left.append(gc.collect())
        finally:
            gc.enable()

    async with running(agents=(main, double), environ={}) as system:
        assert (await system.run(main, None, RunOptions(deadline_s=1_000))).ok
    assert left[0] < 50, "each leaves a cycle"


class _Piece:
    """A piece of work, as far as deadlines know it: what is to be done when its time is up."""

    def __init__(self, then: str) -> None:
        self.then = then
        self.expired: list[float] = []


PLANS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["", "remove", "add"])), max_size=20)


@settings(max_examples=100, deadline=None)
@given(plans=PLANS, removed=st.sets(st.integers(0, 19)))
def test_whatever_is_added_ends_once_at_its_time_unless_it_was_removed_before(
    plans: list[tuple[int, str]], removed: set[int]
) -> None:
    """Also while others of the same time are being ended, which may add and remove some."""
    loop = LeapingEventLoop()
    try:
        loop.run_until_complete(_ended_by(plans, removed))
    finally:
        loop.close()


async def _ended_by(plans: list[tuple[int, str]], removed: set[int]) -> None:
    pieces = [(at, cast("Any", _Piece(then))) for at, then in plans]

    def expire(work: Any) -> None:
        work.expired.append(current_time())
        for other in dues if work.then == "remove" else ():
            dues[other].remove(other)  # too late for those of this very time
        if work.then == "add":
            deadlines.add(current_time() + 1, cast("Any", _Piece("")))

    deadlines = Deadlines(expire)
    dues = {piece: deadlines.add(at, piece) for at, piece in pieces}
    for number in removed:
        if number < len(pieces):
            dues[pieces[number][1]].remove(pieces[number][1])
    await anyio.sleep(10)
    assert len(deadlines) == 0
    kept = [each for number, each in enumerate(pieces) if number not in removed]
    purged = min((at for at, piece in kept if piece.then == "remove"), default=100)
    for number, (at, piece) in enumerate(pieces):
        is_left = number not in removed and at <= purged
        assert piece.expired == ([pytest.approx(at)] if is_left else [])
