"""What a node does with an order for a run that it has pulled: by what the journal says of it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime.engines.cluster.runs import NotNow, Order
from runtime.errors import ConfigurationError, DeadlineExceeded, UnknownName
from runtime.homes import Household
from runtime.journal import JournalFailed, MemoryJournal, Record
from runtime.journal.liveness import look, owner_note, this_process
from runtime.options_data import options_as_data, resume_options, run_options
from runtime.outcome import ResumeOptions, RunOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.journal import RunRow

RESUME = options_as_data(ResumeOptions())


class AwayJournal(MemoryJournal):
    """A journal that is away at times."""

    is_away = False
    goes_away = False  # once it has been read

    async def run(self, run_id: str) -> RunRow | None:
        if self.is_away:
            raise JournalFailed("it is away")
        self.is_away = self.goes_away
        return await super().run(run_id)


class House:
    """A home whose runs are parked at once, or come to their end."""

    def __init__(self, *, ends: bool = False) -> None:
        self.journal = AwayJournal()
        self.begun: list[str] = []
        self.resumed: list[str] = []
        self._ends = ends
        self.left_here = False
        self.household = Household(self.journal, self.begin, self.go_on)

    async def begin(self, start: Any) -> Any:
        self.begun.append(start.options.run_id)
        self.enter(start.options.run_id)
        if self.journal.is_away:
            raise JournalFailed("it is away")
        await self._end(start.options.run_id, 1)

    async def go_on(self, run_id: str, _options: Any, *, left_here: bool) -> Any:
        self.left_here = left_here
        self.resumed.append(run_id)
        row = await self.journal.run(run_id)
        assert row is not None
        epoch = row.epoch + 1
        body = owner_note() | {"epoch": epoch}
        taken = Record(run_id, "run_resumed", f"resumed:{epoch}", body, 3.0, epoch=epoch)
        assert await self.journal.take_over(taken)
        await self._end(run_id, epoch)

    def enter(self, run_id: str) -> None:
        body = {"target": "t", "input": 1, "trace_id": "0" * 32, **owner_note()}
        self.journal.append(Record(run_id, "run_started", "", body, 1.0))

    async def _end(self, run_id: str, epoch: int) -> None:
        if self._ends:
            self.journal.append(
                Record(run_id, "run_completed", "", {"output": 2}, 2.0, epoch=epoch)
            )
            return
        parked = Record(run_id, "run_waiting", f"parked:{epoch}", {"tickets": []}, 2.0, epoch=epoch)
        assert await self.journal.park(parked, 0)


def order(
    start: Mapping[str, Any] | None = None, *, resume: Any = None, epoch: int = 0, by: Any = None
) -> Order:
    return Order("run", "agent", start, resume, by, "", epoch)


def started() -> dict[str, Any]:
    options = options_as_data(RunOptions(run_id="run"))
    return {"name": "t", "payload": 1, "options": options, "wishes": []}


@pytest.mark.parametrize("ends", [True, False])
async def test_an_order_to_begin_that_comes_again_begins_nothing(ends: bool) -> None:
    house = House(ends=ends)
    for _ in range(2):
        await house.household.carry_out(order(started()))
    assert (house.begun, house.resumed) == (["run"], [])


async def test_an_order_to_go_on_that_comes_again_goes_on_once() -> None:
    house = House()
    await house.household.carry_out(order(started()))
    for _ in range(2):
        await house.household.carry_out(order(resume=RESUME, epoch=1))
    assert house.resumed == ["run"]
    await house.household.carry_out(order(resume=RESUME, epoch=2))
    assert house.resumed == ["run", "run"]


async def test_a_run_that_another_has_still_is_left_to_it() -> None:
    house = House()
    house.enter("run")
    with pytest.raises(NotNow):
        await house.household.carry_out(order(started()))
    assert house.resumed == []


async def test_an_order_that_comes_again_as_its_run_begins_is_no_second_one() -> None:
    house = House()
    goes_on = anyio.Event()

    async def begin(_start: Any) -> Any:
        await goes_on.wait()  # so the journal has nothing of it
        house.enter("run")

    household = Household(house.journal, begin, house.go_on)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(household.carry_out, order(started()))
        await anyio.sleep(1)
        with pytest.raises(NotNow):
            await household.carry_out(order(started()))
        goes_on.set()


async def test_a_run_that_another_takes_at_the_same_time_is_left_to_it() -> None:
    house = House()
    await house.household.carry_out(order(started()))
    parent = replace(this_process(), pid=os.getppid(), started=look(os.getppid()).started)
    other = {"pid": parent.pid, "host": parent.host, "owner": str(parent), "epoch": 2}

    async def go_on(run_id: str, _options: Any, *, left_here: bool) -> Any:
        del left_here
        taken = Record(run_id, "run_resumed", "resumed:2", other, 3.0, epoch=2)
        assert await house.journal.take_over(taken)
        raise ConfigurationError(f"run {run_id} is under way")

    household = Household(house.journal, house.begin, go_on)
    with pytest.raises(NotNow):
        await household.carry_out(order(resume=RESUME, epoch=1))
    with pytest.raises(NotNow):
        await household.carry_out(order(resume=RESUME, epoch=2))


async def test_an_order_waits_in_the_queue_while_the_journal_cannot_be_read() -> None:
    house = House(ends=True)
    house.journal.is_away = True
    with pytest.raises(NotNow):
        await house.household.carry_out(order(started()))
    house.journal.is_away = False
    await house.household.carry_out(order(started()))
    assert house.begun == ["run"]


async def test_a_run_that_was_left_here_as_nothing_could_be_noted_goes_on_here() -> None:
    """Its owner is alive, and keeps its lease for what else it does: nobody else may have it."""
    house = House(ends=True)
    house.journal.goes_away = True
    with pytest.raises(NotNow):
        await house.household.carry_out(order(started()))
    house.journal.goes_away = house.journal.is_away = False
    await house.household.carry_out(order(started()))
    assert (house.begun, house.resumed, house.left_here) == (["run"], ["run"], True)


async def test_what_came_too_late_or_is_not_there_is_refused() -> None:
    house = House()
    with pytest.raises(DeadlineExceeded):
        await house.household.carry_out(order(started(), by=1.0))
    with pytest.raises(UnknownName):
        await house.household.carry_out(order(resume=RESUME))
    assert house.begun == []


def test_options_come_out_as_they_went_in() -> None:
    options = RunOptions(run_id="r", budget_usd=0.25, argv=("run", "x"), durability="strict")
    again = ResumeOptions(deadline="extend", budget_usd=2, retry_in_doubt=True)
    assert run_options(options_as_data(options)) == options
    assert resume_options(options_as_data(again)) == again
