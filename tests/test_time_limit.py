"""A time limit on some work: it ends the work, and nothing else."""

from __future__ import annotations

import asyncio  # noqa: TID251  # what it limits are tasks of asyncio's

import anyio
import pytest

from runtime.actors import TimeLimit, current_time


async def test_work_ends_at_its_limit_and_the_block_is_left_without_an_error() -> None:
    ended = []
    with TimeLimit(3.0 + current_time()):
        try:
            await anyio.sleep(10)
        finally:
            ended.append(current_time())
    assert ended == [pytest.approx(current_time())]
    await anyio.sleep(1)  # nothing of the limit is left


async def test_work_that_is_done_in_time_hears_nothing_of_it() -> None:
    with TimeLimit(3.0 + current_time()):
        await anyio.sleep(2)
    await anyio.sleep(10)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_limit_that_has_passed_ends_the_work_where_it_first_waits() -> None:
    reached = []
    with TimeLimit(current_time() - 1.0):
        reached.append("begun")
        await anyio.sleep(1)
        reached.append("never")
    assert reached == ["begun"]


async def test_an_error_of_the_work_is_its_own() -> None:
    with pytest.raises(KeyError), TimeLimit(3.0 + current_time()):
        raise KeyError("x")


async def test_the_outer_one_of_two_limits_ends_both() -> None:
    left = []
    with TimeLimit(1.0 + current_time()):
        with TimeLimit(2.0 + current_time()):
            await anyio.sleep(5)
        left.append("the inner block")
    assert not left


async def test_the_inner_one_of_two_limits_ends_itself_alone() -> None:
    with TimeLimit(2.0 + current_time()):
        with TimeLimit(1.0 + current_time()):
            await anyio.sleep(5)
        await anyio.sleep(0.5)
        left = current_time()
    assert left == pytest.approx(current_time())


async def test_a_cancellation_by_others_at_the_same_instant_is_not_taken_for_its_own() -> None:
    async def limited() -> None:
        with TimeLimit(1.0 + current_time()):
            await anyio.sleep(5)

    task = asyncio.ensure_future(limited())
    asyncio.get_running_loop().call_later(1.0, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_scope_that_is_cancelled_inside_does_not_take_the_limit_for_its_own() -> None:
    left = []
    with TimeLimit(1.0 + current_time()):
        with anyio.CancelScope(deadline=2.0 + current_time()):
            await anyio.sleep(5)
        left.append("the scope")
    assert not left


async def test_a_scope_around_it_ends_it() -> None:
    left = []
    with anyio.CancelScope(deadline=1.0 + current_time()) as scope:
        with TimeLimit(2.0 + current_time()):
            await anyio.sleep(5)
        left.append("the limit")
    assert scope.cancelled_caught
    assert not left


async def test_no_shield_within_holds_it_off() -> None:
    began = current_time()
    with TimeLimit(began + 3.0), anyio.CancelScope(shield=True):
        await anyio.sleep(10)
    assert current_time() == pytest.approx(began + 3.0)
