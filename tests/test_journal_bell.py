"""Who waits for a thread is woken once, by what it waits for, and never left waiting."""

from __future__ import annotations

import threading

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.journal.bell import Bell


class Work:
    """What a thread has reached, and whether it has ended."""

    def __init__(self) -> None:
        self.reached = 0
        self.is_over = False
        self.bell = Bell(lambda: self.reached, lambda: self.is_over)
        self.woken: list[int] = []

    async def wait(self, number: int, within_s: float = 60.0) -> None:
        await self.bell.at(number, within_s)
        self.woken.append(number)

    async def reach(self, number: int) -> None:
        self.reached = number
        self.bell.ring()
        await anyio.wait_all_tasks_blocked()


@settings(max_examples=25)  # each has an event loop of its own
@given(numbers=st.lists(st.integers(0, 9), max_size=12), steps=st.lists(st.integers(1, 4)))
def test_each_is_woken_when_its_number_is_reached_and_not_before(
    numbers: list[int], steps: list[int]
) -> None:
    async def main() -> None:
        work, numbers_in_order = Work(), sorted(numbers)
        async with anyio.create_task_group() as tasks:
            for number in numbers_in_order:
                tasks.start_soon(work.wait, number)
            await anyio.wait_all_tasks_blocked()
            for step in [*steps, 9]:
                await work.reach(work.reached + step)
                assert work.woken == [n for n in numbers_in_order if n <= work.reached]

    anyio.run(main)


async def test_all_are_woken_by_its_end_and_nobody_waits_after_that() -> None:
    work = Work()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work.wait, 1)
        tasks.start_soon(work.wait, 2)
        await anyio.wait_all_tasks_blocked()
        work.is_over = True
        await work.reach(1)
    await work.wait(3)
    assert work.woken == [1, 2, 3]


async def test_who_waits_for_too_long_may_ask_why() -> None:
    work, began = Work(), anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work.wait, 1, 5.0)
        tasks.start_soon(work.wait, 2, 5.0)
    assert work.woken == [1, 2]
    assert anyio.current_time() == began + 5.0


async def test_who_is_cancelled_keeps_nobody_else_waiting() -> None:
    work = Work()
    async with anyio.create_task_group() as tasks:
        with anyio.move_on_after(1):
            await work.wait(1)
        tasks.start_soon(work.wait, 2)
        await anyio.wait_all_tasks_blocked()
        await work.reach(2)
    assert work.woken == [2]


@pytest.mark.real_time
async def test_a_thread_that_finds_nobody_waiting_is_not_missed() -> None:
    work = Work()

    def run() -> None:
        for _ in range(2_000):
            work.reached += 1
            work.bell.ring()

    thread = threading.Thread(target=run)
    thread.start()
    with anyio.fail_after(30):
        for number in range(1, 2_001):
            await work.bell.at(number, 60.0)
    thread.join()
