"""Runs that are at home in another process, as far as one Delegation of them is done here.

The guest of a run has its name, its trace, its wishes and its tenant, and a claim to one branch:
the Delegation with all the steps below it. It notes these steps and the outcome; that the
Delegation was sent, and that nobody waits for it any more, is noted by who has asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from otel.log_scope import Scope, scoped
from runtime.delegation_steps import answer_of
from runtime.dialogues import Dialogue
from runtime.engines import current_time
from runtime.engines.cluster.envelope import Outcome
from runtime.governance.budget import Budget
from runtime.journal import Fenced
from runtime.recorded import Recorded
from runtime.routing import Wish
from runtime.run import Run, Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime.control import Control
    from runtime.delivery import Answer
    from runtime.directory import Directory
    from runtime.dispatch import Dispatcher
    from runtime.engines import Work
    from runtime.engines.cluster.envelope import Asked
    from runtime.journal import Branch, Journal
    from runtime.journal.records import Kind

_OUTCOMES = frozenset(("delegation_completed", "delegation_failed"))


class GuestRun(Run):
    """A run that is at home elsewhere, as far as one Delegation of it is done here.

    Attributes:
        outcome: how the Delegation ended; None where that is not ours to say.
    """

    def __init__(
        self, asked: Asked, branch: Branch, journal: Journal, clock: Callable[[], float]
    ) -> None:
        said, given = asked.run, asked.delegation
        super().__init__(
            given.run_id,
            said["target"],
            budget=Budget(None),
            journal=journal,
            clock=clock,
            wishes=tuple(Wish(*wish) for wish in said["wishes"]),
            routing=said["routing"],
            tenant=said["tenant"],
            dialogue=Dialogue(*said["dialogue"]),
            durability=said["durability"],
        )
        self.epoch, self.branch = asked.epoch, branch
        self.recorded = Recorded()
        self.overrides = tuple(Wish(*wish) for wish in said["overrides"])
        self.outcome: Outcome | None = None
        self._given = given
        self._recorded = self.recorded

    async def recall(self) -> None:
        """Read what was done before, if anything may have been; its asker has noted that it asks.

        Raises:
            JournalFailed: it cannot be read.
        """
        if self.epoch > 1 or (self.branch is not None and self.branch.attempt > 1):
            await self._recorded.read(self.journal, self.id)
            self.conduct.seen = self._recorded.seq
        self._recorded.note("delegation_sent", self._given.op)

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
            self.outcome = Outcome(kind, body)

    def _is_late(self, body: Mapping[str, Any]) -> bool:
        """Whether it was ended by its deadline, which its asker has noted by then."""
        deadline = self._given.deadline
        return body.get("reason") == "deadline" and current_time() >= (deadline or 0.0)


class Guests:
    """Does Delegations of runs that are at home elsewhere, and speaks for those that are here.

    Args:
        dispatcher: carries the Delegations.
        directory: who is there.
        journal: where everything is noted.
        control: hears what others ask of runs.
        clock: the time, in seconds since the Unix epoch.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        directory: Directory,
        journal: Journal,
        control: Control,
        clock: Callable[[], float],
    ) -> None:
        self._dispatcher = dispatcher
        self._directory = directory
        self._journal = journal
        self._control = control
        self._clock = clock

    def epoch(self, work: Work) -> int:
        """Return the how-manieth owner its run has."""
        run: Run = work.run
        return run.epoch

    def described(self, work: Work) -> Mapping[str, Any]:
        """Return what another node must know of a run: JSON data."""
        run: Run = work.run
        return {
            "target": run.target,
            "wishes": [list(wish) for wish in run.wishes],
            "routing": run.routing,
            "tenant": run.tenant,
            "dialogue": list(run.dialogue),
            "durability": run.durability,
            "overrides": [list(wish) for wish in run.overrides],
        }

    def answer(self, work: Work, outcome: Outcome) -> Answer:
        """Return what an outcome is that another node has noted, as a body here would answer."""
        run, op = work.run, work.delegation.op
        if run.recorded is None:
            run.recorded = Recorded()
        run.recorded.note(outcome.kind, op)
        run.recorded.newly_counted(op)  # the totals below have it all
        totals = Totals(*outcome.body.get("totals", ()))
        run.totals.add(totals)
        agent = self._directory.agents[work.delegation.sag_id].agent
        return answer_of(agent, outcome.kind, outcome.body, totals)

    async def perform(self, asked: Asked, branch: Branch) -> Outcome | None:
        """Do a Delegation as the guest of its run; see ``Pipeline``."""
        run = GuestRun(asked, branch, self._journal, self._clock)
        try:
            await run.recall()
            self._control.add(run)
            try:
                with scoped(Scope({"run_id": run.id}, None)), run.conduct.scope:
                    await self._dispatcher.run_guest(run, asked.delegation)
            finally:
                self._control.remove(run)
            await self._journal.flush()
            self._journal.check_owner(run.id, run.epoch, branch)
        except Fenced:
            return None
        finally:
            with anyio.CancelScope(shield=True):
                await self._journal.leave(run.id, run.epoch, branch)
        return run.outcome
