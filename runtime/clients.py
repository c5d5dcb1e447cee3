"""The client of a run in a cluster: it has the run carried out, and says what came of it.

It looks into the journal for all that it says: what happens, and what came of it. So it may be cut
off from the home of the run, and that may die and another one go on, and it does not notice.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

import anyio

from runtime import errors
from runtime.approval import ApprovalRequest, Decision
from runtime.approval_steps import AT_ITS_START
from runtime.conduct import Halt
from runtime.errors import (
    ConfigurationError,
    DeadlineExceeded,
    RuntimeFault,
    UnknownName,
)
from runtime.identity import new_run_id, wall_clock, whoami
from runtime.journal import PARKED, JournalFailed, Record
from runtime.options_data import options_as_data
from runtime.outcome import outcome_of
from runtime.recorded import Recorded, events_of
from runtime.requests import decide, halt, row_of, tickets_of
from runtime.resumption import check_resumable
from runtime.signature import to_json

if TYPE_CHECKING:
    from runtime.approval import Approve
    from runtime.directory import Directory
    from runtime.engines.cluster.orders import Orders, Placed
    from runtime.journal import EventRow, Journal, RunRow
    from runtime.outcome import ResumeOptions, RunOptions, RunOutcome
    from runtime.start import Start

UNHEARD_S = 5.0  # without a home, after which people are told so
LOOK_S = 0.5  # between two looks into the journal
AWAY_S = 60.0  # that the journal may be away while a run is followed; its home goes on meanwhile
CANCEL_S = 10.0  # what a home gets to end a run whose client is cancelled
LOOK_AT_NODES = "; python -m runtime nodes shows which there are, and --json what they serve"
logger = logging.getLogger("runtime.cluster")


class Client:
    """Has runs carried out by the cluster, and says what came of them.

    Args:
        orders: takes them there.
        journal: the one that all nodes share.
        directory: the agents.
    """

    def __init__(self, orders: Orders, journal: Journal, directory: Directory) -> None:
        self._orders = orders
        self._journal = journal
        self._directory = directory

    async def run(self, start: Start) -> RunOutcome:
        """Have a run begun, and return what came of it; see ``Workflows.run``."""
        options = start.options
        run_id = options.run_id or new_run_id(int(wall_clock() * 1_000))
        if await self._journal.run(run_id) is not None:
            raise ConfigurationError(f"run {run_id} is in the journal already")
        said = {
            "name": start.name,
            "payload": to_json(start.payload),
            "options": options_as_data(replace(options, run_id=run_id)),
            "wishes": [list(wish) for wish in start.wishes],
        }
        expires_at = None if options.deadline_s is None else wall_clock() + options.deadline_s
        placed = await self._orders.place(run_id, start.agent, start=said, expires_at=expires_at)
        following = _Following(self._journal, run_id, options, 0, expires_at)
        return await self._followed(placed, following, start.agent)

    async def resume(self, run_id: str, options: ResumeOptions) -> RunOutcome:
        """Have a run gone on with, and return what came of it; see ``Workflows.resume``."""
        row = await row_of(self._journal, run_id)
        check_resumable(row)
        recorded = Recorded()
        await recorded.read(self._journal, run_id)
        agent = str(recorded.beginning["agent"])
        said = options_as_data(options)
        placed = await self._orders.place(row.run_id, agent, resume=said, epoch=row.epoch)
        following = _Following(self._journal, row.run_id, options, row.epoch, None)
        following.seen = row.parked_seq or 0
        return await self._followed(placed, following, agent)

    async def _followed(self, placed: Placed, following: _Following, agent: str) -> RunOutcome:
        try:
            row = await following.end(placed)
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(CANCEL_S, shield=True):
                await self._orders.withdraw(placed)
                await _cancel(self._journal, following.run_id)
            raise
        finally:
            self._orders.forget(placed)
        return await self._outcome(row, agent)

    async def _outcome(self, row: RunRow, agent: str) -> RunOutcome:
        outcome = outcome_of(row)
        if row.status == "completed":
            signature = self._directory.agents[agent].agent.signature
            return replace(outcome, value=signature.restore(row.output))
        if row.status in PARKED:
            await self._check_parked(row)
            now, tickets = wall_clock(), await tickets_of(self._journal)
            ours = (each for each in tickets if each.request.run_id == row.run_id)
            open_ = tuple(each.request for each in ours if each.is_open(now))
            return replace(outcome, waits_for=open_)
        return outcome

    async def _check_parked(self, row: RunRow) -> None:
        """Raise what has kept its home from going on with a run, if anything did."""
        after = (row.parked_seq or 1) - 1
        for event in await self._journal.events(row.run_id, after=after, limit=1):
            if "fault" in event.body:
                raise _error(event.body["fault"], event.body["why"])


class _Following:
    """A run as its client sees it in the journal."""

    def __init__(
        self,
        journal: Journal,
        run_id: str,
        options: RunOptions | ResumeOptions,
        epoch: int,
        expires_at: float | None,
    ) -> None:
        self.run_id = run_id
        self.seen = 0
        self._journal = journal
        self._options = options
        self._epoch = epoch
        self._expires_at = expires_at

    async def end(self, placed: Placed) -> RunRow:
        """Wait until the run is over or parked, and return it.

        Raises:
            RuntimeFault: no node has it.
            ConfigurationError: the node that has it has another journal.
        """
        unheard_at = anyio.current_time() + UNHEARD_S
        while True:
            with anyio.move_on_after(LOOK_S):
                await placed.told.wait()
            was_told = placed.told.is_set()
            row = await self._look()
            if row is None and anyio.current_time() > unheard_at:
                unheard_at = inf
                logger.warning("no node has begun run %s yet%s", self.run_id, LOOK_AT_NODES)
            if row is not None and self._has_ended(row):
                return row
            if placed.refusal is not None:
                raise _error(placed.refusal.error, placed.refusal.text)
            if row is None and was_told:  # which comes once it is in the journal of its home
                raise ConfigurationError(
                    f"a node has carried out run {self.run_id}, but not in this journal: all of a"
                    " cluster share one, so give --db here as the nodes have it"
                )
            if row is None and self._expires_at is not None and wall_clock() > self._expires_at:
                raise DeadlineExceeded(
                    f"no node has begun run {self.run_id} in its time{LOOK_AT_NODES}",
                    stage="queue",
                )
            if placed.told.is_set():  # it was told, but the journal's answer is older than that
                await anyio.sleep(LOOK_S)

    async def _look(self) -> RunRow | None:
        """Return the run, and show what is new; a database that is away for a while is waited for.

        Raises:
            JournalFailed: it is away for longer.
        """
        end = anyio.current_time() + AWAY_S
        while True:
            try:
                row = await self._journal.run(self.run_id)
                if row is not None:
                    await self._relay()
            except JournalFailed:
                if anyio.current_time() > end:
                    raise
                await anyio.sleep(LOOK_S)
            else:
                return row

    def _has_ended(self, row: RunRow) -> bool:
        return row.is_over or (row.status in PARKED and row.epoch > self._epoch)

    async def _relay(self) -> None:
        """Show new records to whoever listens, and answer what was answered beforehand."""
        options = self._options
        if options.listener is None and options.approve is None:
            return
        async for event in events_of(self._journal, self.run_id, self.seen):
            self.seen = event.seq
            if options.listener is not None:
                options.listener(_record(self.run_id, event))
            if options.approve is not None and event.kind == "approval_requested":
                await self._decide(event, options.approve)

    async def _decide(self, event: EventRow, approve: Approve) -> None:
        request = ApprovalRequest.of_body(self.run_id, event.at, event.body)
        said = await approve(request)
        if said is None:
            return
        decision = Decision(said, whoami(), wall_clock(), AT_ITS_START)
        try:
            await decide(self._journal, self.run_id, request.ticket, decision)
        except RuntimeFault:
            return  # somebody was faster, or the run is over


async def _cancel(journal: Journal, run_id: str) -> None:
    """End a run whose client is cancelled; one that a node is just beginning is waited for."""
    wanted = Halt("cancelled", whoami(), "its client was cancelled")
    for _ in range(4):
        try:
            await halt(journal, run_id, wanted, wall_clock, wait_s=CANCEL_S)
        except UnknownName:
            await anyio.sleep(LOOK_S)
        except ConfigurationError:
            return  # it is over
        else:
            return


def _record(run_id: str, event: EventRow) -> Record:
    kind: Any = event.kind
    return Record(run_id, kind, event.op, event.body, event.at, event.cost_nano_usd)


def _error(name: str, text: str) -> RuntimeFault:
    """Return the error of a node as one of ours."""
    known: object = getattr(errors, name, None)
    if isinstance(known, type) and issubclass(known, ConfigurationError):
        return known(text)
    return ConfigurationError(text)
