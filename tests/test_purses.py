"""One ledger for a run whose parts are done on several nodes: it is never overdrawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.engines.cluster.envelope import Asked
from runtime.errors import BudgetExceeded
from runtime.governance.budget import Budget
from runtime.guest_run import GuestRun
from runtime.identity import wall_clock
from runtime.invocations.reservation import reserve
from runtime.journal import Branch, Fenced, MemoryJournal
from runtime.messages import Delegation
from runtime.purses import GONE, FarBudget, Ledger, Purse, as_data
from runtime.run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping


def home(limit: int) -> tuple[Run, Ledger]:
    run = Run("run", "target", budget=Budget(limit), journal=MemoryJournal(), clock=wall_clock)
    return run, Ledger(run)


def guest(run: Run, ledger: Ledger, op: str, attempt: int = 1) -> tuple[Run, Purse]:
    """Return a guest of a run, which speaks to its home without a network between them."""
    said = as_data(run.budget)
    assert said is not None
    budget = FarBudget(said)
    purse = Purse(budget, ledger.take, Branch(op, attempt))

    class Guest(Run):
        async def next_settlement(self) -> None:
            await purse.more()

    journal = MemoryJournal()
    return Guest("run", "target", budget=budget, journal=journal, clock=wall_clock), purse


async def test_a_guest_waits_for_what_another_guest_has_reserved() -> None:
    run, ledger = home(100)
    (one, purse), (two, _) = guest(run, ledger, "a"), guest(run, ledger, "b")
    await reserve(one, 80, None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reserve, two, 50, None)
        await anyio.sleep(1)
        assert (run.budget.spent, run.budget.reserved) == (0, 80)
        await purse.settle(80, 30)
    assert (run.budget.spent, run.budget.reserved) == (30, 50)


async def test_what_cannot_fit_is_refused_with_what_the_home_knows() -> None:
    run, ledger = home(100)
    run.budget.settle(0, 60)
    other, _ = guest(run, ledger, "a")
    with pytest.raises(BudgetExceeded, match="the run's budget") as raised:
        await reserve(other, 50, None)
    assert (raised.value.limit, raised.value.spent, raised.value.needed) == (100, 60, 50)


async def test_what_a_guest_has_not_settled_counts_as_spent_when_its_branch_ends() -> None:
    run, ledger = home(100)
    for op in ("a", "a/b", "ab"):
        other, _ = guest(run, ledger, op)
        await reserve(other, 20, None)
    ledger.close("a")
    assert (run.budget.spent, run.budget.reserved) == (40, 20)


async def test_what_is_settled_after_the_end_of_a_branch_is_not_counted_twice() -> None:
    run, ledger = home(100)
    other, purse = guest(run, ledger, "a")
    await reserve(other, 20, None)
    ledger.close("a")
    await purse.settle(20, 5)
    assert (run.budget.spent, run.budget.reserved) == (20, 0)


async def test_what_a_guest_that_died_had_reserved_keeps_nobody_waiting() -> None:
    run, ledger = home(100)
    one, purse = guest(run, ledger, "a")
    await reserve(one, 60, None)
    run.budget.settle(0, 10)
    below, _ = guest(run, ledger, "a/b")

    async def wait() -> None:
        with pytest.raises(BudgetExceeded):
            await reserve(below, 35, None)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.sleep(1)
        await guest(run, ledger, "a", 2)[1].take_over()
    await purse.settle(60, 5)
    await reserve(one, 30, None)  # the journal refuses what begins with that
    assert (run.budget.spent, run.budget.reserved) == (70, 0)


async def test_what_a_guest_that_died_had_waited_for_is_given_back() -> None:
    run, ledger = home(100)
    (one, _), (other, purse) = guest(run, ledger, "a"), guest(run, ledger, "b")
    await reserve(other, 60, None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reserve, one, 50, None)
        await anyio.sleep(1)
        await guest(run, ledger, "a", 2)[1].take_over()
        await purse.settle(60, 10)
    assert (run.budget.spent, run.budget.reserved) == (10, 0)


async def test_what_was_waited_for_is_given_back_when_its_branch_has_ended_meanwhile() -> None:
    run, ledger = home(100)
    (one, _), (other, purse) = guest(run, ledger, "a/b"), guest(run, ledger, "c")
    await reserve(other, 60, None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reserve, one, 50, None)
        await anyio.sleep(1)
        ledger.close("a")
        await purse.settle(60, 10)
    assert (run.budget.spent, run.budget.reserved) == (10, 0)


async def test_a_guest_of_a_former_home_stops_where_it_hears_so() -> None:
    run, _ = home(100)
    said = {
        "target": "target",
        "wishes": [],
        "routing": None,
        "tenant": "",
        "dialogue": ["", ""],
        "durability": "fast",
        "overrides": [],
        "on_code_change": None,
        "budget": as_data(run.budget),
    }
    asked = Asked(Delegation("a-1", "a", None, run_id="run", op="a"), said, 1, "node/1", "")

    async def ask_home(*_: object) -> Mapping[str, Any]:
        return dict(GONE)

    stays = GuestRun(asked, Branch("a", 1), MemoryJournal(), wall_clock, ask_home)
    with pytest.raises(Fenced):
        await reserve(stays, 50, None)
    assert isinstance(stays.left, Fenced)


async def test_another_attempt_is_only_begun_where_it_fits_at_once() -> None:
    run, ledger = home(100)
    other, purse = guest(run, ledger, "a")
    await reserve(other, 60, None)
    assert not await purse.at_once(50)
    assert await purse.at_once(40)
    assert run.budget.reserved == 100


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60), st.floats(0, 1)))


@given(STEPS)
def test_the_ledger_is_never_overdrawn(steps: list[tuple[str, int, float]]) -> None:
    async def play() -> None:
        run, ledger = home(100)
        guests = {op: guest(run, ledger, op) for op in "abc"}
        open_: list[tuple[str, int]] = []
        for op, amount, share in steps:
            said: Mapping[str, Any] = await ledger.take({"op": op, "attempt": 1, "at_once": amount})
            if said["fits"] and said["exceeded"] is None:
                open_.append((op, amount))
            assert run.budget.spent + run.budget.reserved <= 100
            if open_ and share < 0.5:
                who, reserved = open_.pop()
                await guests[who][1].settle(reserved, int(reserved * share))
            assert run.budget.reserved == sum(amount for _, amount in open_)

    anyio.run(play)
