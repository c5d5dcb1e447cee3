"""Waiting until a call's worst case fits: into the run's budget, then into every limit beyond it.

All of them hold what they need, or none does. A call that can never fit is refused at once. One
that only what others have reserved keeps out stands in line until they have settled: the first in
line is the only one that tries, so a thousand calls that wait cost no more than one. Nobody is
overtaken by a call that comes after it was told to wait.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from runtime.errors import DeadlineExceeded
from runtime.governance.budget import exceeded
from runtime.run import claims_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runtime.errors import BudgetExceeded
    from runtime.governance.policy import SpendingLimit
    from runtime.journal import Kind, Scope, Shortfall
    from runtime.run import Run

STARTED: Kind = "invocation_started"
NO_MATTER: AbstractContextManager[None] = nullcontext()
LOOK_AGAIN_S = 0.25  # what other processes settle, nobody tells us


async def reserve(
    run: Run, amount: int, deadline: float | None, wait: AbstractContextManager[None] = NO_MATTER
) -> None:
    """Reserve what a call may cost at worst in its run's budget.

    Args:
        run: the run.
        amount: nano-USD.
        deadline: how long to wait, in seconds of the event loop's clock; None for ever.
        wait: entered while it waits.

    Raises:
        BudgetExceeded: it does not fit, whatever others settle at.
        DeadlineExceeded: the deadline passed while others held the budget.
    """
    run.budget.check(amount)
    if not run.line.locked() and run.budget.reserve(amount):
        return
    with wait, _until(deadline):
        async with run.line:
            while not run.budget.reserve(amount):
                await run.next_settlement()
        return
    raise _too_late()


class _Call(NamedTuple):
    """A call that is to begin; see ``Reservations.admit``."""

    run: Run
    op: str
    body: Mapping[str, Any]
    limits: Sequence[SpendingLimit]

    def scopes(self) -> Iterator[Scope]:
        """Yield what it would count in if it began now."""
        return (claim.scope for claim in claims_of(self.limits, self.run.now))

    async def admit(self) -> tuple[float, Shortfall | None]:
        """Try to begin now; return when that is, and what it does not fit into."""
        at = self.run.now
        claims = claims_of(self.limits, at)
        return at, await self.run.admit(STARTED, self.op, self.body, claims, at)


class Reservations:
    """Lets calls begin whose worst case fits into the limits beyond their runs."""

    def __init__(self) -> None:
        self._lines: dict[Scope, anyio.Lock] = {}
        self._settlement: anyio.Event | None = None

    def __repr__(self) -> str:
        waiting = sum(line.statistics().tasks_waiting + 1 for line in self._lines.values())
        return f"<Reservations [{waiting} waiting]>"

    def settled(self) -> None:
        """Tell those who wait that a call has settled."""
        if self._settlement is not None:
            self._settlement.set()
            self._settlement = None

    async def admit(
        self,
        run: Run,
        op: str,
        body: Mapping[str, Any],
        limits: Sequence[SpendingLimit],
        deadline: float | None,
        *,
        wait: AbstractContextManager[None] = NO_MATTER,
    ) -> float:
        """Note that a call begins, once it fits.

        Args:
            run: its run.
            op: the step that it is.
            body: what is noted, with ``reserved_nano_usd``.
            limits: what it has to fit into.
            deadline: how long to wait, in seconds of the event loop's clock; None for ever.
            wait: entered while it waits.

        Returns:
            When it began, in seconds since the Unix epoch.

        Raises:
            BudgetExceeded: it does not fit, whatever others settle at.
            DeadlineExceeded: the deadline passed while others held the budget.
            JournalFailed: the journal cannot be written.
        """
        if not limits or not body["reserved_nano_usd"]:
            await run.begin(STARTED, op, body)
            return run.now
        call = _Call(run, op, body, limits)
        blocked = next((scope for scope in call.scopes() if scope in self._lines), None)
        if blocked is None:
            at, short = await call.admit()
            if short is None:
                return at
            blocked = _passing(short)
        with wait, _until(deadline):
            return await self._in_line(blocked, call)
        raise _too_late()

    async def _in_line(self, blocked: Scope, call: _Call) -> float:
        line = self._lines.setdefault(blocked, anyio.Lock())
        try:
            async with line:
                while True:
                    at, short = await call.admit()
                    if short is None:
                        return at
                    _passing(short)
                    with anyio.move_on_after(LOOK_AGAIN_S):
                        await self._next_settlement()
        finally:
            if not line.locked() and not line.statistics().tasks_waiting:
                self._lines.pop(blocked, None)

    async def _next_settlement(self) -> None:
        if self._settlement is None:
            self._settlement = anyio.Event()
        await self._settlement.wait()


def _passing(short: Shortfall) -> Scope:
    """Return the scope of a shortfall that may pass.

    Raises:
        BudgetExceeded: it cannot.
    """
    if not short.may_pass:
        raise refused(short)
    return short.claim.scope


def refused(short: Shortfall) -> BudgetExceeded:
    """Return the error of a call that a limit has no room for."""
    return exceeded(
        str(short.claim.scope),
        short.claim.source,
        limit=short.claim.limit,
        spent=short.spent,
        reserved=short.reserved,
        needed=short.needed,
    )


def _until(deadline: float | None) -> anyio.CancelScope:
    return anyio.CancelScope(deadline=math.inf if deadline is None else deadline)


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("the deadline passed while other calls held the budget", stage="queue")
