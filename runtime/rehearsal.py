"""A run whose code runs again on its own records: nothing is asked, nothing is done, nothing noted.

Theory of operation. Outcomes are given in the order of their records, so that races end as they
ended: who asks for one waits until all before it are given. What has no end in the record (a step
that was given up, a step that the code of an ended body had not come to) is waited for in vain.
When nothing moves any more, the conductor goes on: it gives the next outcome that somebody waits
for, or ends the next body that was ended from outside, with the ending that it had. The first
difference ends the whole.

Nothing can leave: a step can only begin through ``admit`` and ``begin``, and neither ever returns.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Never

import anyio

from runtime.backoff import NO_DELAY
from runtime.engines import LocalEngine
from runtime.engines.deadlines import Deadlines
from runtime.engines.work import Ending
from runtime.errors import ConfigurationError
from runtime.governance.budget import Budget
from runtime.run import Run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from runtime.actors import SupervisorRef
    from runtime.engines import Capacity, Work
    from runtime.journal import Claim, EventRow, Kind, Shortfall
    from runtime.messages import Delegation
    from runtime.playback import Difference, Playback

QUIET_S = 0.02  # nothing has moved for so long: it does not move by itself


class Conductor:
    """Lets what is recorded come to those who wait for it, in its order.

    Args:
        recorded: the records.
        stop: ends the replay.

    Attributes:
        difference: the first difference; None while there is none.
        is_at_its_end: whether the replay has come as far as a run that was ended from outside.
    """

    def __init__(self, recorded: Playback, stop: Callable[[], None]) -> None:
        self.difference: Difference | None = None
        self.is_at_its_end = False
        self._recorded = recorded
        self._stop = stop
        self._due = deque(recorded.turns())
        self._expected = frozenset(self._due)
        self._given: set[int] = set()
        self._waiting: list[tuple[int, anyio.Event]] = []
        self._in_vain: dict[str, Difference] = {}
        self._moves = 0
        self.works: dict[str, Work] = {}
        self.end: Callable[[Work, Ending], None] = lambda *_: None

    def moved(self) -> None:
        """Note that the code has come on."""
        self._moves += 1

    async def turn(self, event: EventRow) -> None:
        """Return when it is the turn of an outcome."""
        self.moved()
        if event.seq in self._expected and event.seq not in self._given:
            ready = anyio.Event()
            heappush(self._waiting, (event.seq, ready))
            self._give()
            await ready.wait()

    async def may_answer(self, op: str) -> None:
        """Return when a body may answer; never where nobody has heard its answer."""
        self.moved()
        event = self._recorded.cut_by(op)
        if self._recorded.is_cut(op):
            await anyio.sleep_forever()
        elif event is not None:
            await self.turn(event)

    async def in_vain(self, kind: str, op: str, body: Mapping[str, Any]) -> Never:
        """Wait for what the record has no end of; if it should have one, that is a difference."""
        self.unexpected(kind, op, body)
        await anyio.sleep_forever()
        raise AssertionError

    def unexpected(self, kind: str, op: str, body: Mapping[str, Any]) -> None:
        """Take a step that the record has no end of."""
        self.moved()
        recorded = self._recorded
        if recorded.was_never_answered(op):
            return
        difference = recorded.unexpected(kind, op, body)
        if recorded.is_within_cut(op):
            self._in_vain[op] = difference
        else:
            self.differ(difference)

    def differ(self, difference: Difference | None) -> None:
        """Note the first difference, and end."""
        if difference is not None and self.difference is None:
            self.difference = difference
            self._stop()

    async def conduct(self) -> None:
        """Go on wherever nothing moves."""
        seen = -1
        while True:
            if seen == self._moves:
                self._go_on()
            seen = self._moves
            await anyio.sleep(QUIET_S)

    def _give(self) -> None:
        """Give all outcomes whose turn it is."""
        while self._waiting:
            while self._due and self._due[0] in self._given:
                self._due.popleft()
            if self._due and self._due[0] < self._waiting[0][0]:
                return
            seq, ready = heappop(self._waiting)
            self._given.add(seq)
            ready.set()

    def _go_on(self) -> None:
        if self._waiting:  # what should come before does not
            first = self._waiting[0][0]
            while self._due and self._due[0] < first:
                self._due.popleft()
            self._give()
            return
        cut = [op for op in self.works if self._recorded.is_cut(op)]
        for op in sorted(cut, key=self._ended_at):
            if not self._recorded.missed_below(op):
                self._end(op)
                return
            asked = (each for name, each in self._in_vain.items() if name.startswith(f"{op}/"))
            self.differ(next(asked, None))

    def _end(self, op: str) -> None:
        """End a body as it was ended."""
        event = self._recorded.cut_by(op)
        if op == self._recorded.root and (event is None or event.body["reason"] == "cancelled"):
            self.is_at_its_end = True
            self._stop()
        elif event is not None and event.body["reason"] != "cancelled":
            self.moved()
            self.end(self.works[op], Ending(event.body["reason"], event.body["error"]))

    def _ended_at(self, op: str) -> float:
        event = self._recorded.cut_by(op)
        return float("inf") if event is None else event.seq


class Rehearsal(Run):
    """A run that is run again on its own records."""

    recorded: Playback
    conductor: Conductor

    def record(
        self,
        kind: Kind,
        op: str,
        body: Mapping[str, Any],
        cost: int = 0,
        *,
        terminal: bool | None = None,
    ) -> None:
        """Compare what happens with what happened; nothing is noted."""
        del cost, terminal
        self.conductor.moved()
        if self.conductor.difference is not None or self.conductor.is_at_its_end:
            return
        if kind == "delegation_sent":
            self.recorded.delegated(op)
            if op not in self.recorded.steps:
                self.conductor.unexpected(kind, op, body)
        elif kind in ("delegation_completed", "delegation_failed"):
            self._compare(kind, op, body)

    def _compare(self, kind: Kind, op: str, body: Mapping[str, Any]) -> None:
        self.conductor.differ(self.recorded.unlike(kind, op, body))
        if kind == "delegation_completed":
            self.conductor.differ(self.recorded.left_out(op))

    async def admit(
        self,
        kind: Kind,
        op: str,
        body: Mapping[str, Any],
        claims: tuple[Claim, ...],
        at: float,
    ) -> Shortfall | None:
        """Never return: no model is asked in a replay."""
        del claims, at
        await self.conductor.in_vain(kind, op, body)

    async def begin(self, kind: Kind, op: str, body: Mapping[str, Any]) -> None:
        """Never return: nothing is done in a replay."""
        await self.conductor.in_vain(kind, op, body)

    async def written(self, *, always: bool = False) -> None:
        """Return at once: nothing is written."""


class Paid(Budget):
    """A budget that shows what was paid and refuses nothing: what it refused is in the record."""

    def check(self, amount: int) -> None:
        """Let everything pass."""

    def reserve(self, amount: int) -> bool:
        """Let everything pass."""
        del amount
        return True

    def settle(self, reserved: int, actual: int) -> None:
        """Count what was spent."""
        del reserved
        self.spent += actual


class Unhurried(LocalEngine):
    """Runs bodies without deadlines, and begins at once again where they crash."""

    conductor: Conductor

    def __init__(self, root: SupervisorRef) -> None:
        super().__init__(root)
        self._deadlines = Deadlines(lambda _: None)

    async def serve(
        self,
        agent: str,
        capacity: Capacity,
        perform: Callable[[Work], Awaitable[Any]],
        make: Callable[[], Any] | None = None,
    ) -> None:
        """Start the agent's supervisor; see ``LocalEngine``."""
        await super().serve(agent, replace(capacity, backoff=NO_DELAY), perform, make)

    def submit(self, delegation: Delegation, settled: Callable[[Work], None]) -> Work:
        """Start the Delegation's actor; see ``LocalEngine``."""
        op, works = delegation.op, self.conductor.works

        def over(work: Work) -> None:
            works.pop(op, None)
            settled(work)

        work = super().submit(delegation, over)
        if not work.is_settled:
            works[op] = work
        return work


class Nobody:
    """The provider accounts of a replay: there are none."""

    def add(self, _profile: object) -> None:
        """Take an address that a payload names; nobody will go there."""

    def ask(self, *_: object, **__: object) -> Never:
        """Refuse to ask.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError("a replay asks no model")
