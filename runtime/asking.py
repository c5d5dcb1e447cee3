"""A question on its way: who asks, whom, and what was answered to it before."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runtime.chat_spans import Instead
from runtime.described import fingerprint, request_digest
from runtime.engines import current_time
from runtime.inquiry import Who
from runtime.invocations.case import Asker
from runtime.invocations.denials import note_denied

if TYPE_CHECKING:
    from otel import Span
    from runtime.activation import Activation
    from runtime.cascade import Fallen
    from runtime.catalog import Target
    from runtime.journal import EventRow
    from runtime.messages import ModelRequest
    from runtime.planner import Prepared
    from runtime.routing.plan import PassedOver


class NotInherited(Exception):  # no error: a fork asks whom it wants
    """A question is not answered by what a fork has inherited."""


class Asking(NamedTuple):
    """A prepared question and who asks it.

    Attributes:
        request: what is asked; the cascade puts each target in.
        denied: the targets that policy forbids and whose turn has not come yet.
        chats: the span of the last call of each target.
        overridden: how many forks have had their say of whom to ask.
    """

    activation: Activation
    who: Who
    asker: Asker
    prepared: Prepared
    request: ModelRequest
    denied: list[PassedOver]
    chats: dict[Target, Span]
    overridden: int = 0

    @property
    def first(self) -> Target:
        """Who is asked first."""
        return self.prepared.course.targets[0]

    def check_inherited(self, request: ModelRequest, *kinds: str) -> None:
        """Refuse a question of a fork that it has not inherited, before whom it wants is asked.

        Args:
            request: the question, to a target.
            kinds: the kinds of steps that may have answered it.

        Raises:
            NotInherited: it asks somebody else from now on.
        """
        is_last = self.overridden == len(self.activation.run.overrides)
        if not is_last and not self.steps_of(request, *kinds):
            raise NotInherited

    def steps_of(self, request: ModelRequest, *kinds: str) -> list[EventRow]:
        """Return how a question to a target was answered before, on each way that may be."""
        run, digest = self.activation.run, request_digest(request, fingerprint(request))
        if run.recorded is None:
            return []
        steps = (run.next_step(self.asker.op, kind, digest) for kind in kinds)
        return [event for step in steps if (event := run.recorded.found(step)) is not None]

    def note_denied_before(self, target: Target | None) -> None:
        """Note those that are denied and would be asked now; what is never needed is no event."""
        if not self.denied:
            return
        due = [one for one in self.denied if one.before == target]
        for one in due:
            self.denied.remove(one)
        told = ((str(one.target), one.why) for one in due)
        note_denied(self.asker, self.prepared.data_classes, told)

    def instead_of(self, fallen: Fallen | None) -> Instead | None:
        """Return instead of what a target is asked; None where it is the first."""
        if fallen is None:
            return None
        source, reason, position = fallen
        return Instead(str(source), reason, position, self.chats.get(source))

    def from_target(self, target: Target) -> Asking:
        """Return it with a target asked first."""
        if target == self.prepared.course.targets[0]:
            return self
        course = self.prepared.course.from_target(target)
        return self._replace(prepared=self.prepared._replace(course=course))


def who_asks(activation: Activation) -> Who:
    """Return who asks, for the planner."""
    run = activation.run
    return Who(
        agent=activation.agent.name,
        limits=activation.limits,
        proposal=activation.agent.model,
        wishes=run.wishes,
        routing=run.routing,
        tenant=run.tenant,
        seed=f"{run.id}/{activation.delegation.op}",
        now=current_time(),
    )


def asker_of(activation: Activation, below: Span) -> Asker:
    """Return who makes the calls of a question, whose spans are below one."""
    delegation = activation.delegation
    return Asker(
        run=activation.run,
        agent=activation.agent.name,
        path=activation.path,
        op=delegation.op,
        task_id=delegation.task_id,
        totals=(activation.totals,),
        span=below,
        reason_of=activation.reason_of,
        dialogue=activation.dialogue,
    )
