"""Going on that is cancelled at once: the run stays as it was, or is ended as any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from runtime import Context, mag, running
from runtime.journal import MemoryJournal, Record
from tests.interrupted import died, ends, recorded_until

if TYPE_CHECKING:
    from runtime.journal import RunRow


@mag
async def asks(ctx: Context) -> str:
    """Ask twice."""
    return await ctx.ask("one") + await ctx.ask("two")


class Waiting(MemoryJournal):
    """Lets whoever takes a run over wait before and after."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at = at
        self.waits = anyio.Event()

    async def _wait(self, where: str) -> None:
        if where == self.at:
            self.waits.set()
            await anyio.sleep(1)

    async def run(self, run_id: str) -> RunRow | None:
        await self._wait("before")
        return await super().run(run_id)

    async def take_over(self, record: Record) -> bool:
        await self._wait("in front")
        taken = await super().take_over(record)
        await self._wait("behind")
        return taken


@pytest.mark.parametrize(
    ("at", "status", "epoch"),
    [("before", "running", 1), ("in front", "cancelled", 2), ("behind", "cancelled", 2)],
)
async def test_a_run_is_never_owned_by_a_process_that_does_not_work_on_it(
    at: str, status: str, epoch: int
) -> None:
    records = await recorded_until(asks, ends("invocation_completed"))
    journal = Waiting(at)
    for record in died(records):
        journal.append(record)
    async with (
        running(agents=(asks,), environ={}, journal=journal) as system,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(system.resume, records[0].run_id)
        await journal.waits.wait()
        journal.at = ""
        tasks.cancel_scope.cancel()
    row = journal._runs[records[0].run_id].row()
    assert (row.status, row.epoch) == (status, epoch)
