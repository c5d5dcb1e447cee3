"""The pipeline of a Delegation, through the doors that authors use."""

from __future__ import annotations

import contextlib
import pickle
from typing import Any

import anyio
import pytest

from runtime import Context, Delegation, Result, mag, running, sag
from runtime.errors import DelegationFailed, UnknownName
from tests.authors import Point, boom, double, mirror, nap, run


def test_delegation_and_result_keep_the_guides_fields_and_positional_order() -> None:
    delegation = Delegation("t", "a-sag", {"x": 1})
    assert (delegation.task_id, delegation.sag_id, delegation.input) == ("t", "a-sag", {"x": 1})
    assert delegation.context == {}
    assert Delegation("t", "s", {}, {"hint": 1}).context == {"hint": 1}
    result: Result[Any] = Result("t", "failure", {}, {"n": 1}, "why")
    assert (result.metrics, result.error, result.ok) == ({"n": 1}, "why", False)
    assert Result("t", "success", {}).metrics == {}


def test_messages_are_data_that_survive_a_pickle() -> None:
    delegation = Delegation("t", "s", {"x": [1]}, {"y": 2}, run_id="r", deadline=3.0)
    assert pickle.loads(pickle.dumps(delegation)) == delegation  # noqa: S301  # our own bytes
    failed = DelegationFailed("t", "crashed", "boom")
    assert str(pickle.loads(pickle.dumps(failed))) == str(failed)  # noqa: S301  # our own bytes


async def test_a_delegation_gives_a_result_of_the_declared_type() -> None:
    @mag
    async def main(ctx: Context) -> dict[str, Any]:
        result = await ctx.delegate(mirror, Point(x=1, y=2))
        return {"value": result.unwrap() == Point(x=2, y=1), "output": result.output}

    outcome = await run(main)
    assert outcome.output == {"value": True, "output": {"x": 2, "y": 1}}


async def test_a_whole_delegation_keeps_its_task_id_and_context() -> None:
    @sag
    async def tell(ctx: Context) -> dict[str, Any]:
        return {"task": ctx.task_id, "hints": dict(ctx.hints)}

    @mag
    async def main(ctx: Context) -> dict[str, Any]:
        result = await ctx.delegate(Delegation("analyze-1", "tell", None, {"preferred_model": "m"}))
        return {"task": result.task_id, "said": result.output}

    outcome = await run(main, agents=(tell,))
    assert outcome.output == {
        "task": "analyze-1",
        "said": {"task": "analyze-1", "hints": {"preferred_model": "m"}},
    }


async def test_fan_out_keeps_input_order_and_never_raises_for_a_child() -> None:
    @sag
    async def odd(ctx: Context, n: int) -> int:
        await anyio.sleep(10 - n)
        if n % 2:
            raise ValueError(f"{n} is odd")
        return n

    @mag
    async def main(ctx: Context) -> list[Any]:
        results = await ctx.fan_out(odd, range(10))
        return [r.output if r.ok else r.error for r in results]

    outcome = await run(main)
    assert outcome.output == [n if n % 2 == 0 else f"ValueError: {n} is odd" for n in range(10)]


async def test_fan_out_takes_whole_delegations_to_different_agents() -> None:
    @mag
    async def main(ctx: Context) -> list[Any]:
        wishes = [
            Delegation("t-1", "double", 1),
            Delegation("t-2", "nobody", 1),
            Delegation("t-3", "mirror", {"x": 1}),
        ]
        results = await ctx.fan_out(wishes)
        return [[r.task_id, r.output if r.ok else r.error] for r in results]

    outcome = await run(main, agents=(double, mirror))
    assert outcome.output == [
        ["t-1", 2],
        ["t-2", "no agent 'nobody'; there are double, main, mirror"],
        ["t-3", {"x": 0, "y": 1}],
    ]


async def test_map_runs_no_more_than_its_concurrency_and_keeps_order() -> None:
    running_now = most = 0

    @sag
    async def work(ctx: Context, n: int) -> int:
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        await anyio.sleep(5 - n % 5)
        running_now -= 1
        return n

    @mag
    async def main(ctx: Context) -> list[int]:
        return [r.unwrap() for r in await ctx.map(work, range(50), concurrency=7)]

    outcome = await run(main)
    assert outcome.output == list(range(50))
    assert most == 7


async def test_map_takes_its_payloads_lazily() -> None:
    taken: list[int] = []
    done = 0

    def payloads() -> Any:
        for n in range(100):
            taken.append(n - done)
            yield n

    @sag
    async def work(ctx: Context, n: int) -> int:
        nonlocal done
        await anyio.sleep(1)
        done += 1
        return n

    @mag
    async def main(ctx: Context) -> int:
        return len(await ctx.map(work, payloads(), concurrency=4))

    assert (await run(main)).output == 100
    assert max(taken) <= 4


async def test_first_returns_the_first_success_and_ends_the_rest() -> None:
    ended: list[str] = []

    @sag
    async def slow(ctx: Context) -> str:
        try:
            await anyio.sleep(100)
        finally:
            ended.append("slow")
        return "slow"

    @sag
    async def wrong(ctx: Context) -> str:
        raise DelegationFailed("x", "crashed", "no")

    @sag
    async def quick(ctx: Context) -> str:
        await anyio.sleep(1)
        return "quick"

    @mag
    async def main(ctx: Context) -> str:
        result = await ctx.first([slow, wrong, quick])
        await anyio.sleep(0.1)
        assert ended == ["slow"]
        return str(result.unwrap())

    outcome = await run(main)
    assert outcome.output == "quick", outcome.error
    assert outcome.duration_s == pytest.approx(1.1)


async def test_first_without_a_success_is_a_failure() -> None:
    @mag
    async def main(ctx: Context) -> Any:
        result = await ctx.first([boom, boom])
        return result.reason

    assert (await run(main)).output == "crashed"


async def test_a_sag_that_raises_gives_a_result_and_the_supervisors_record_shows_the_restart() -> (
    None
):
    @mag
    async def main(ctx: Context) -> list[Any]:
        result = await ctx.delegate(boom)
        return [result.reason, result.error, result.metrics["attempts"]]

    async with running(agents=(main,), environ={}) as system:
        outcome = await system.run(main)
        assert outcome.output == ["crashed", "ValueError: boom", 2]
        record = [(r.supervisor, r.context, r.restarts) for r in system.actors.reports]
    assert ("agents/boom", "restart", 1) in record


async def test_a_sag_that_hangs_past_its_deadline_is_ended_with_that_reason() -> None:
    ended: list[float] = []

    @sag
    async def hang(ctx: Context) -> None:
        try:
            await anyio.sleep(1_000)
        finally:
            ended.append(anyio.current_time())

    @mag
    async def main(ctx: Context) -> Any:
        begun = anyio.current_time()
        result = await ctx.delegate(hang, deadline=2)
        assert ended[0] - begun == pytest.approx(2)
        return result.reason

    outcome = await run(main)
    assert outcome.output == "deadline", outcome.error


async def test_a_sag_that_swallows_every_cancellation_is_cut_off_and_its_caller_goes_on() -> None:
    release = anyio.Event()

    @sag
    async def stubborn(ctx: Context) -> None:
        while not release.is_set():
            with contextlib.suppress(BaseException):
                await release.wait()

    @mag
    async def main(ctx: Context) -> Any:
        result = await ctx.delegate(stubborn, deadline=1)
        return result.reason

    async with running(agents=(main,), environ={}) as system:
        outcome = await system.run(main)
        assert outcome.output == "deadline"
        assert system.actors.leaked == 1
        release.set()


async def test_a_sag_that_kills_its_own_actor_gives_a_result_with_that_reason() -> None:
    @sag
    async def suicidal(ctx: Context) -> None:
        import asyncio  # noqa: PLC0415, TID251  # what such an author would write

        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await anyio.sleep(1)

    @mag
    async def main(ctx: Context) -> Any:
        return (await ctx.delegate(suicidal)).reason

    assert (await run(main)).output == "killed"


async def test_a_sag_that_exits_ends_neither_the_process_nor_its_siblings() -> None:
    @sag
    async def quitter(ctx: Context) -> None:
        raise SystemExit(3)

    @mag
    async def main(ctx: Context) -> Any:
        result = await ctx.delegate(quitter)
        return [result.reason, (await ctx.delegate(double, 2)).unwrap()]

    assert (await run(main)).output == ["exited", 4]


async def test_deadlines_only_shrink_down_the_tree() -> None:
    left: list[float] = []

    @sag
    async def leaf(ctx: Context) -> None:
        left.append(ctx.deadline)

    @sag
    async def middle(ctx: Context) -> None:
        left.append(ctx.deadline)
        await ctx.delegate(leaf, deadline=500)

    @mag
    async def main(ctx: Context) -> None:
        left.append(ctx.deadline)
        await ctx.delegate(middle, deadline=50)

    assert (await run(main, deadline_s=100)).ok
    assert left == pytest.approx([100, 50, 50])


async def test_a_run_past_its_deadline_leaves_nothing_alive() -> None:
    alive: set[int] = set()

    @sag
    async def leaf(ctx: Context, n: int) -> None:
        alive.add(n)
        try:
            await anyio.sleep(1_000)
        finally:
            alive.discard(n)

    @mag
    async def main(ctx: Context) -> None:
        await ctx.fan_out(leaf, range(20))

    outcome = await run(main, deadline_s=3)
    assert (outcome.status, outcome.reason) == ("failed", "deadline")
    assert outcome.duration_s == pytest.approx(3, abs=0.1)
    assert not alive


async def test_cancelling_a_run_reaches_every_child_and_writes_the_terminal_record() -> None:
    alive: set[int] = set()
    all_up = anyio.Event()

    @sag
    async def leaf(ctx: Context, n: int) -> None:
        alive.add(n)
        if len(alive) == 30:
            all_up.set()
        try:
            await anyio.sleep(1_000)
        finally:
            alive.discard(n)

    @sag
    async def branch(ctx: Context, n: int) -> None:
        await ctx.fan_out(leaf, range(n * 10, n * 10 + 10))

    @mag
    async def main(ctx: Context) -> None:
        await ctx.fan_out(branch, range(3))

    async with running(agents=(main,), environ={}) as system:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(system.run, main)
            await all_up.wait()
            tasks.cancel_scope.cancel()
        assert not alive
        (row,) = await system.journal.runs()
        assert (row.status, row.reason) == ("cancelled", "cancelled")


async def test_children_that_nobody_awaits_end_with_their_parent() -> None:
    ended: list[str] = []

    @sag
    async def orphan(ctx: Context) -> None:
        try:
            await anyio.sleep(1_000)
        finally:
            ended.append("orphan")

    @sag
    async def careless(ctx: Context) -> str:
        with anyio.move_on_after(1):
            await ctx.delegate(orphan)
        return "done"

    @mag
    async def main(ctx: Context) -> Any:
        result = await ctx.delegate(careless)
        await anyio.sleep(0.1)
        assert ended == ["orphan"]
        return result.output

    outcome = await run(main)
    assert outcome.output == "done", outcome.error


async def test_a_recursive_delegation_with_concurrency_one_does_not_deadlock() -> None:
    @sag
    async def countdown(ctx: Context, n: int) -> int:
        if n == 0:
            return 0
        results = await ctx.fan_out(countdown, [n - 1, 0])
        return 1 + max(r.unwrap() for r in results)

    outcome = await _with_limits(countdown, 12, concurrency=1, mailbox=1)
    assert outcome.output == 12, outcome.error


async def _with_limits(agent: Any, payload: Any, **limits: Any) -> Any:
    from runtime.agent import Limits  # noqa: PLC0415

    async with running(environ={}) as system:
        system.directory.add_agent(agent, Limits(**limits))
        return await system.run(agent, payload)


async def test_the_concurrency_limit_counts_bodies_that_run() -> None:
    most = now = 0

    @sag
    async def work(ctx: Context, n: int) -> int:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await anyio.sleep(1)
        now -= 1
        return n

    @mag
    async def main(ctx: Context) -> int:
        return len(await ctx.fan_out(work, range(40)))

    from runtime.agent import Limits  # noqa: PLC0415

    async with running(agents=(main,), environ={}) as system:
        system.directory.add_agent(work, Limits(concurrency=4, mailbox=3))
        outcome = await system.run(main)
    assert (outcome.output, most) == (40, 4)
    assert outcome.duration_s == pytest.approx(10)


async def test_a_recursion_without_end_is_stopped() -> None:
    @sag
    async def forever(ctx: Context) -> Any:
        result = await ctx.delegate(forever)
        return result.unwrap()

    outcome = await run(forever)
    assert outcome.status == "failed"
    assert "64 agents wait for one another" in (outcome.error or "")


async def test_unknown_agents_are_named_with_the_nearest_known_one() -> None:
    @mag
    async def main(ctx: Context) -> None:
        (await ctx.delegate("dubble", 1)).unwrap()

    outcome = await run(main, agents=(double,))
    assert outcome.error == "dubble-1: no agent 'dubble'; did you mean 'double'?"
    async with running(agents=(main,), environ={}) as system:
        with pytest.raises(UnknownName, match="did you mean 'main'"):
            await system.run("mian")


async def test_a_hundred_sags_that_sleep_do_so_together() -> None:
    @mag
    async def main(ctx: Context) -> int:
        return len(await ctx.fan_out(nap, [0.1] * 100))

    outcome = await run(main)
    assert outcome.duration_s == pytest.approx(0.1)


async def test_a_mag_with_ten_thousand_delegations_completes() -> None:
    @mag
    async def main(ctx: Context) -> bool:
        results = await ctx.fan_out(double, range(10_000))
        return [r.value for r in results] == [2 * n for n in range(10_000)]

    assert (await run(main)).output is True
