"""A run that is at home in another process, as far as one Delegation of it is done here.

The guest of a run has its name, its trace, its wishes and its tenant, and a claim to one branch:
the Delegation with all the steps below it. It notes these steps and the outcome; that the
Delegation was sent, and that nobody waits for it any more, is noted by who has asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio

from runtime.code import NOT_FORESEEN
from runtime.dialogues import Dialogue
from runtime.engines import current_time
from runtime.engines.cluster.envelope import PARKED, PARTED, Outcome
from runtime.errors import CodeChanged
from runtime.governance.budget import Budget
from runtime.journal.faults import fenced
from runtime.purses import GONE, FarBudget, Purse
from runtime.recorded import Recorded
from runtime.routing import Wish
from runtime.run import Run
from runtime.strictness import parted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import TaskGroup

    from runtime.approval import ApprovalRequest
    from runtime.conduct import Halt
    from runtime.engines.cluster.envelope import Asked
    from runtime.journal import Branch, Journal
    from runtime.journal.records import Kind

AskHome: TypeAlias = Callable[
    [str, Mapping[str, Any], Callable[[], None]], Awaitable[Mapping[str, Any]]
]
_OUTCOMES = frozenset(("delegation_completed", "delegation_failed"))


class GuestRun(Run):
    """A run that is at home elsewhere, as far as one Delegation of it is done here.

    Attributes:
        is_settled: whether the outcome of the Delegation was appended to the journal.
        compared: the code that was found to be that of its home.
    """

    def __init__(
        self,
        asked: Asked,
        branch: Branch,
        journal: Journal,
        clock: Callable[[], float],
        ask_home: AskHome,
    ) -> None:
        said, given = asked.run, asked.delegation
        self._far = None if said["budget"] is None else FarBudget(said["budget"])
        super().__init__(
            given.run_id,
            said["target"],
            budget=self._far or Budget(None),
            journal=journal,
            clock=clock,
            wishes=tuple(Wish(*wish) for wish in said["wishes"]),
            routing=said["routing"],
            tenant=said["tenant"],
            dialogue=Dialogue(*said["dialogue"]),
            durability=said["durability"],
        )
        self.epoch, self.branch = asked.epoch, branch
        self.moves = True
        self.on_code_change = said["on_code_change"]
        self.recorded = Recorded()
        self.overrides = tuple(Wish(*wish) for wish in said["overrides"])
        self.compared = NOT_FORESEEN
        self.is_settled = False
        self._outcome: Outcome | None = None
        self._waits_for: dict[str, ApprovalRequest] = {}
        self._given = given
        self._is_again = asked.is_again
        self._recorded = self.recorded
        self._ask_home = ask_home
        self._purse = None if self._far is None else Purse(self._far, self._ask, branch)
        self._settlements: TaskGroup | None = None

    async def recall(self) -> None:
        """Read what was done before, if anything may have been; its asker has noted that it asks.

        Raises:
            JournalFailed: it cannot be read.
        """
        is_claimed_again = self.branch is not None and self.branch.attempt > 1
        if is_claimed_again and self._purse is not None:
            await self._purse.take_over()
        if self._is_again or is_claimed_again or self.epoch > 1:
            await self._recorded.read(self.journal, self.id, self._given.op)
            self.conduct.seen = self._recorded.seq
            if self.on_code_change == "refuse":
                self._recorded.be_strict(lambda found: self.leave(parted(self.id, found)))
        self._recorded.note("delegation_sent", self._given.op)

    def has_code_of(self, slug: str) -> bool:
        """Whether an agent is among what was compared, where that matters; see ``Run``."""
        return self.on_code_change == "continue" or slug in self.compared.agents

    # --- money -----------------------------------------------------------------------------------

    @asynccontextmanager
    async def settling(self) -> AsyncIterator[None]:
        """Tell the home meanwhile what calls come to, and have told it all at the end."""
        if self._purse is None:
            yield
            return
        async with anyio.create_task_group() as self._settlements:
            yield

    def settle(self, reserved: int, actual: int) -> None:
        """Replace a reservation by what was really spent; see ``Run``."""
        super().settle(reserved, actual)
        if self._purse is not None and self._settlements is not None and (reserved or actual):
            self._settlements.start_soon(self._purse.settle, reserved, actual)

    async def next_settlement(self) -> None:
        """Wait until the home has reserved what did not fit; see ``Run``."""
        if self._purse is not None:
            await self._purse.more()

    async def more(self, amount: int) -> bool:
        """Reserve what does not fit here; see ``Run``."""
        return self._purse is not None and await self._purse.at_once(amount)

    async def _ask(self, wish: Mapping[str, Any]) -> Mapping[str, Any]:
        said = await self._ask_home(self.id, {"epoch": self.epoch, **wish}, self._still)
        if said == GONE:
            fault = fenced(self.id, self.branch)
            self.leave(fault)
            raise fault
        return said

    def _still(self) -> None:
        self.journal.check_owner(self.id, self.epoch, self.branch)

    # --- an end that is none ---------------------------------------------------------------------

    async def park(self, halt: Halt) -> bool:
        """Leave the branch to its home, which asks again when it goes on; see ``Run``."""
        await self.journal.flush()
        self._waits_for = {op: asked.request for op, asked in self.conduct.open.items()}
        self.parked(halt)
        return True

    @property
    def outcome(self) -> Outcome | None:
        """How the Delegation ended; None where that is not ours to say."""
        if self._outcome is None and self.conduct.is_parked:
            asked = [[op, each.asked_at, each.as_body()] for op, each in self._waits_for.items()]
            return Outcome(PARKED, {"asked": asked})
        if self._outcome is None and isinstance(self.left, CodeChanged):
            return Outcome(PARTED, {"why": str(self.left)})
        return self._outcome

    # --- notes -----------------------------------------------------------------------------------

    def task_id(self, agent: str) -> str:
        """Return a short name for a task, which no other guest and not the home gives, too."""
        return f"{self._given.task_id}.{super().task_id(agent)}"

    def record(
        self,
        kind: Kind,
        op: str,
        body: Mapping[str, Any],
        cost: int = 0,
        *,
        terminal: bool | None = None,
    ) -> None:
        """Note that something happened; see ``Run``."""
        if op != self._given.op or kind not in _OUTCOMES:
            super().record(kind, op, body, cost, terminal=terminal)
        elif terminal is None and not self._is_late(body):
            self.totals.add(self._recorded.newly_counted(op))
            body = {**body, "totals": self.totals.as_data()}
            super().record(kind, op, body, cost)
            self._outcome = Outcome(kind, body)
            self.is_settled = self.left is None  # else nothing was noted

    async def begin(self, kind: Kind, op: str, body: Mapping[str, Any]) -> None:
        """Note that a step begins, and wait until it is certain that it may.

        The lease of this process says nothing of the home's: that may be dead, and its run be
        somebody else's by now, who has this branch done by another guest.

        Raises:
            Fenced: so it is.
            JournalFailed: it cannot be written.
        """
        await super().begin(kind, op, body)
        await self.written(always=True)

    def _is_late(self, body: Mapping[str, Any]) -> bool:
        """Whether it was ended by its deadline, which its asker has noted by then."""
        deadline = self._given.deadline
        return body.get("reason") == "deadline" and current_time() >= (deadline or 0.0)
