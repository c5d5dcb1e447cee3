"""The home of a run in a cluster: the node that has pulled it carries it out, and answers for it.

A run that is pulled once more has lost its home, or another has it still; the journal knows which.
But for a run that was left here, as nothing could be noted: the journal has it that this process
is at work on it, whose lease goes on, so nobody else may have it. It is gone on with here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runtime.engines.cluster.runs import MOST_HOMES, NotNow
from runtime.errors import Cancelled, ConfigurationError, DeadlineExceeded, UnknownName
from runtime.identity import wall_clock
from runtime.journal import PARKED, Fenced, JournalFailed
from runtime.journal.liveness import is_ours
from runtime.options_data import resume_options, run_options
from runtime.outcome import ResumeOptions
from runtime.resumption import is_at_work
from runtime.routing import Wish
from runtime.start import Start

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.engines.cluster.runs import Order
    from runtime.journal import Journal, RunRow
    from runtime.outcome import RunOutcome


class GoOn(Protocol):
    """Goes on with a run here."""

    def __call__(
        self, run_id: str, options: ResumeOptions, *, left_here: bool
    ) -> Awaitable[RunOutcome]:
        """See ``System.resume``; ``left_here``: it may be one that this process has left."""
        ...


class Household:
    """Carries out the runs that are at home here; see ``Household`` in ``engines.cluster.runs``.

    Args:
        journal: the one that all nodes share.
        begin: begins a run.
        go_on: goes on with one.
    """

    def __init__(
        self,
        journal: Journal,
        begin: Callable[[Start], Awaitable[RunOutcome]],
        go_on: GoOn,
    ) -> None:
        self._journal = journal
        self._begin = begin
        self._go_on = go_on
        self._left: dict[str, None] = {}
        self._carried_out: set[str] = set()

    async def carry_out(self, order: Order) -> None:
        """Begin a run, or go on with it, until it is over or parked, and the journal has that."""
        if order.run_id in self._carried_out:  # and perhaps not in the journal yet
            raise NotNow(f"run {order.run_id} is at home here")
        self._carried_out.add(order.run_id)
        try:
            row = await self._journal.run(order.run_id)
            if row is None:
                await self._begin(_start(order))
            elif not _is_done(row, order):
                await self._resume(row, order)
            await self._journal.flush()  # who has asked looks there, and the message goes
        except (Cancelled, Fenced) as fault:
            raise NotNow(str(fault)) from fault
        except JournalFailed as fault:
            self._leave(order.run_id)
            raise NotNow(str(fault)) from fault
        finally:
            self._carried_out.remove(order.run_id)

    async def _resume(self, row: RunRow, order: Order) -> None:
        left_here = is_ours(row) and row.run_id in self._left
        if is_at_work(row) and not left_here:
            raise NotNow(f"another process has run {row.run_id}")
        self._left.pop(row.run_id, None)
        options = ResumeOptions() if order.resume is None else resume_options(order.resume)
        try:
            await self._go_on(row.run_id, options, left_here=left_here)
        except ConfigurationError as fault:
            found = await self._journal.run(row.run_id)
            if found is None or is_ours(found) or not is_at_work(found):
                raise
            raise NotNow(str(fault)) from fault  # another was quicker, after that look

    def _leave(self, run_id: str) -> None:
        self._left[run_id] = None
        if len(self._left) > MOST_HOMES:
            del self._left[next(iter(self._left))]


def _is_done(row: RunRow, order: Order) -> bool:
    """Whether there is nothing to do, or it was done: an order comes again if its home has died."""
    was_begun = order.resume is None or row.epoch > order.epoch
    return row.is_over or (row.status in PARKED and was_begun)


def _start(order: Order) -> Start:
    if order.start is None:
        raise UnknownName(f"no run {order.run_id!r} is in the journal")
    if order.expires_at is not None and wall_clock() > order.expires_at:
        raise DeadlineExceeded(
            f"the time of run {order.run_id} was over in the queue", stage="queue"
        )
    said = order.start
    options = run_options(said["options"])
    wishes = tuple(Wish(*wish) for wish in said["wishes"])
    return Start(said["name"], order.agent, said["payload"], options, wishes)
