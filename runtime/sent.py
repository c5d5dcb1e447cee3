"""A Delegation on its way, as the one who sent it knows it: the future of its ``Result``.

It is one object from the sending to the Result, because there is one for each Delegation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.delivery import Answer, note_outcome, result_of, room_given_back
from runtime.engines import Ending, Pending
from runtime.errors import RuntimeFault
from runtime.governance.cost import usd
from runtime.run import Totals

if TYPE_CHECKING:
    from runtime.activation import Activation
    from runtime.engines import Engine, EventLoop, Work
    from runtime.messages import Delegation
    from runtime.run import Run

GIVEN_UP = Ending("cancelled", "its caller gave it up")


class Sent(Pending):
    """What a caller waits for.

    Attributes:
        run: the run it belongs to.
        activation: the body that has sent it; None for the root of a run.
        delegation: what is to be done.
        is_counted: whether it is at work in its run from its sending to its outcome.
    """

    __slots__ = ("_engine", "_work", "activation", "delegation", "is_counted", "run")

    def __init__(
        self,
        run: Run,
        activation: Activation | None,
        delegation: Delegation,
        loop: EventLoop,
    ) -> None:
        super().__init__(loop)
        self.run = run
        self.activation = activation
        self.delegation = delegation
        self.is_counted = False
        self._engine: Engine | None = None
        self._work: Work | None = None

    def handed_over(self, engine: Engine, work: Work) -> None:
        """Hear who has it now, unless it is answered already."""
        if not self.done():
            self._engine, self._work = engine, work

    def given_up(self) -> None:
        """Nobody waits any more: it has failed now, however long its body resists."""
        if self._engine is not None and self._work is not None:
            work = self._work
            self._engine.cancel(work, GIVEN_UP)
            work.end()

    def answered(self, work: Work) -> None:
        """Turn what became of the work into a Result."""
        if self.is_counted:
            self.run.conduct.ended()
        if (failure := work.failure) is None:
            answer: Answer = work.result
        else:
            answer = Answer(None, {}, Totals(), failure.reason, str(failure))
        if self.activation is not None:
            self.activation.totals.add(answer.totals)
        self.conclude(answer, work.attempts)

    def refused(self, fault: RuntimeFault) -> None:
        """Fail without any work."""
        self.conclude(Answer(None, {}, Totals(), fault.reason, str(fault)))

    def conclude(self, answer: Answer, attempts: int = 0) -> None:
        """Note the outcome, and tell it to the one who waits.

        Args:
            answer: what came of it.
            attempts: how many times a body was started.
        """
        if self.activation is not None:
            self.activation.children.discard(self)
            room_given_back(self.run, self.delegation)
        totals = answer.totals
        cost = totals.known_cost
        metrics = {
            "duration_ms": round(self.age * 1000, 3),
            "attempts": attempts,
            "calls": totals.calls,
            "tokens": totals.input_tokens + totals.output_tokens,
            "cost_usd": None if cost is None else usd(cost),
        }
        try:
            answer = note_outcome(self, answer, metrics)
        except RuntimeFault as fault:  # the journal's: who waits must hear of it all the same
            answer = Answer(None, {}, totals, fault.reason, str(fault))
        self._work = None  # else each delegation would be a cycle, for the collector
        if not self.done():
            self.set_result(result_of(self.delegation.task_id, answer, metrics))
