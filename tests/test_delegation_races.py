"""Branches, gates, queues and restarts, at every moment at which something may be cancelled."""

from __future__ import annotations

import itertools
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime import Context, RunOptions, mag, running, sag
from runtime.agent import Limits
from tests.authors import double, run


async def with_limits(agent: Any, payload: Any, *agents: Any, **limits: Any) -> Any:
    async with running(environ={}) as system:
        for each in (agent, *agents):
            system.directory.add_agent(each, Limits(**limits))
        return await system.run(agent, payload, RunOptions(deadline_s=1_000))


@pytest.mark.parametrize("seconds", [(1, 5), (5, 1), (1, 1)])
async def test_two_branches_that_delegate_to_their_own_agent_with_concurrency_one(
    seconds: tuple[int, int],
) -> None:
    @sag
    async def forked(ctx: Context, depth: int) -> int:
        if depth == 0:
            return 1
        got: list[int] = []

        async def branch(wait: int) -> None:
            await anyio.sleep(wait)
            for _ in range(2):
                got.extend([(await ctx.delegate(forked, depth - 1)).unwrap()])

        async with anyio.create_task_group() as tasks:
            for wait in seconds:
                tasks.start_soon(branch, wait)
        return sum(got)

    outcome = await with_limits(forked, 3, concurrency=1, mailbox=1)
    assert outcome.output == 64, outcome.error


async def test_map_to_its_own_agent_with_concurrency_one_and_a_line_of_one() -> None:
    @sag
    async def tree(ctx: Context, depth: int) -> int:
        if depth == 0:
            return 1
        results = await ctx.map(tree, [depth - 1] * 4, concurrency=3)
        return sum(r.unwrap() for r in results)

    outcome = await with_limits(tree, 3, concurrency=1, mailbox=1)
    assert outcome.output == 64, outcome.error


async def test_a_branch_that_gives_up_waiting_runs_on_inside_the_limit() -> None:
    most = now = 0

    @sag
    async def patient(ctx: Context, n: int) -> int:
        nonlocal most, now
        with anyio.move_on_after(1):
            await ctx.delegate(never)
        now += 1
        most = max(most, now)
        await anyio.sleep(1)
        now -= 1
        return n

    @sag
    async def never(ctx: Context) -> None:
        await anyio.sleep_forever()

    @mag
    async def main(ctx: Context) -> int:
        return len([r for r in await ctx.fan_out(patient, range(10)) if r.ok])

    async with running(agents=(main,), environ={}) as system:
        system.directory.add_agent(patient, Limits(concurrency=2))
        outcome = await system.run(main)
        statistics = {each.agent: each for each in system.statistics().agents}
    assert outcome.output == 10
    assert (statistics["patient"].running, statistics["patient"].waiting) == (0, 0)


async def test_a_crashed_body_leaves_its_place_to_others_until_it_is_restarted() -> None:
    from runtime.backoff import Backoff  # noqa: PLC0415

    done: list[int] = []
    crashed = False

    @sag
    async def work(ctx: Context, n: int) -> int:
        nonlocal crashed
        if n == 0 and not crashed:
            crashed = True
            raise ValueError("once")
        done.append(n)
        return n

    @mag
    async def main(ctx: Context) -> list[Any]:
        return [r.output for r in await ctx.fan_out(work, range(3))]

    async with running(agents=(main,), environ={}) as system:
        slow = Backoff(first=30, longest=30, jitter=0)
        system.directory.add_agent(work, Limits(concurrency=1, backoff=slow))
        outcome = await system.run(main)
    assert (outcome.output, done) == ([0, 1, 2], [1, 2, 0])


async def test_a_delegation_is_ended_while_it_waits_for_its_restart() -> None:
    from runtime.backoff import Backoff  # noqa: PLC0415

    @sag
    async def crash(ctx: Context) -> None:
        raise ValueError("boom")

    @mag
    async def main(ctx: Context) -> list[Any]:
        late = await ctx.delegate(crash, deadline=2)
        with anyio.move_on_after(1):
            await ctx.delegate(crash)
        return [late.reason, late.metrics["duration_ms"]]

    async with running(agents=(main,), environ={}) as system:
        slow = Backoff(first=30, longest=30, jitter=0)
        system.directory.add_agent(crash, Limits(concurrency=1, backoff=slow))
        outcome = await system.run(main)
    assert outcome.output == ["deadline", 2000.0]
    assert outcome.duration_s == pytest.approx(3)


async def test_map_starts_no_more_workers_than_there_are_payloads() -> None:
    @mag
    async def main(ctx: Context) -> list[Any]:
        return [r.output for r in await ctx.map(double, range(3), concurrency=10**9)]

    assert (await run(main)).output == [0, 2, 4]


@pytest.mark.parametrize("way", ["map", "fan_out"])
async def test_payloads_that_raise_end_what_was_sent_and_raise_at_their_owner(way: str) -> None:
    alive = 0

    @sag
    async def work(ctx: Context, n: int) -> None:
        nonlocal alive
        alive += 1
        try:
            await anyio.sleep(100)
        finally:
            alive -= 1

    def payloads() -> Any:
        yield from (1, 2)
        raise KeyError("third")

    @mag
    async def main(ctx: Context) -> Any:
        with pytest.raises(KeyError):
            await getattr(ctx, way)(work, payloads())
        await anyio.sleep(0.1)
        return alive

    outcome = await run(main)
    assert (outcome.output, outcome.duration_s) == (0, 0.1), outcome.error


@pytest.mark.parametrize("per", ["run", "process"])
async def test_a_stateful_agent_has_a_bounded_line_and_skips_what_was_cancelled(per: Any) -> None:
    begun: list[int] = []

    @sag(per=per)
    class Slow:
        async def run(self, ctx: Context, n: int) -> int:
            begun.append(n)
            await anyio.sleep(1)
            return n

    @mag
    async def main(ctx: Context) -> list[Any]:
        first = [r.output for r in await ctx.map(Slow, range(6), concurrency=6)]
        late = [r.reason for r in await ctx.fan_out(Slow, range(10, 15), deadline=1.5)]
        return [first, late]

    most = 0
    async with running(agents=(main,), environ={}) as system:
        system.directory.add_agent(Slow, Limits(mailbox=2))

        async def watch() -> None:
            nonlocal most
            while True:
                slow = [s for s in system.statistics().agents if s.agent == "slow"]
                most = max([most, *(s.waiting for s in slow)])
                await anyio.sleep(0.1)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            outcome = await system.run(main)
            tasks.cancel_scope.cancel()
    first, late = outcome.output
    assert (first, late[:3]) == (list(range(6)), [None, "deadline", "deadline"])
    assert most == 2
    assert begun == [*range(6), 10, 11, 13, 14]


async def test_a_cycle_through_a_full_line_is_refused_at_once() -> None:
    @sag(per="run")
    class Hub:
        async def run(self, ctx: Context, n: int) -> Any:
            results = await ctx.fan_out(spoke, range(5))
            return [r.output for r in results]

    @sag
    async def spoke(ctx: Context, n: int) -> Any:
        return (await ctx.delegate(Hub, n)).reason

    outcome = await with_limits(Hub, 1, mailbox=1, concurrency=1)
    assert outcome.output == ["cycle"] * 5, outcome.error
    assert outcome.duration_s < 1


async def test_a_stateful_agent_that_cannot_be_made_says_why() -> None:
    @sag(per="run")
    class Broken:
        def __init__(self) -> None:
            raise ValueError("no database")

        async def run(self, ctx: Context) -> None: ...

    outcome = await run(Broken)
    assert (outcome.reason, outcome.error) == ("crashed", "ValueError: no database")


async def test_a_class_may_have_an_object_for_each_delegation() -> None:
    @sag(per="delegation")
    class Counter:
        count = 0

        async def run(self, ctx: Context) -> int:
            self.count += 1
            return self.count

    @mag
    async def main(ctx: Context) -> list[Any]:
        return [r.output for r in await ctx.fan_out(Counter, [None] * 3)]

    assert (await run(main)).output == [1, 1, 1]


MOMENTS = st.lists(st.floats(0, 12, allow_nan=False), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    moments=MOMENTS,
    concurrency=st.integers(1, 3),
    mailbox=st.integers(1, 3),
    how=st.sampled_from(["fan_out", "map", "first", "branches"]),
    deadline=st.one_of(st.none(), st.floats(0.1, 12)),
)
def test_whenever_runs_are_cancelled_nothing_is_left(
    moments: list[float], concurrency: int, mailbox: int, how: str, deadline: float | None
) -> None:
    from tests.conftest import LeapingEventLoop  # noqa: PLC0415  # a loop for each example

    loop = LeapingEventLoop()
    try:
        loop.run_until_complete(
            _cancelled_at(moments, how, deadline, concurrency=concurrency, mailbox=mailbox)
        )
    finally:
        loop.close()


async def _cancelled_at(
    moments: list[float], how: str, deadline: float | None, **limits: int
) -> None:
    alive: set[int] = set()
    numbers = itertools.count()

    @sag
    async def leaf(ctx: Context, depth: int) -> int:
        me = next(numbers)
        alive.add(me)
        try:
            await anyio.sleep(0.5)
            await ctx.ask("hello", model="echo-1", max_output_tokens=5)
            if me % 7 == 3:
                raise ValueError("every seventh")
            if depth:
                await spread(ctx, depth - 1)
            await anyio.sleep(0.5)
            return depth
        finally:
            alive.discard(me)

    async def spread(ctx: Context, depth: int) -> None:
        if how == "branches":
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(ctx.delegate, leaf, depth)
        elif how == "first":
            with anyio.move_on_after(2):
                await ctx.first([leaf, leaf, leaf], depth, deadline=deadline)
        else:
            await getattr(ctx, how)(leaf, [depth] * 3, deadline=deadline)

    async with running(environ={}) as system:
        system.directory.add_agent(leaf, Limits(**limits))
        for moment in moments:
            with anyio.move_on_after(moment):
                await system.run(leaf, 2, RunOptions(deadline_s=60, budget_usd=1))
            await anyio.sleep(0.1)
            assert not alive
            for statistics in system.statistics().agents:
                assert (statistics.running, statistics.waiting) == (0, 0)
        rows = await system.journal.runs()
        assert len(rows) == len(moments)
        assert all(row.status in ("completed", "failed", "cancelled") for row in rows)
