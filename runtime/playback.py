"""The records of a run that is over, as its code is run again to see whether it does the same.

Model calls and skills are answered from the record; delegations are not: their bodies run, too,
and what they come to is compared. What the code never saw an end of has none here either: a step
that was given up, a body that was ended from outside. Whoever waited for it waits again, until it
is given up again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from runtime.recorded import Recorded
from runtime.steps import Step, Steps, step_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from runtime.governance.budget import Budget
    from runtime.journal import EventRow

FROM_OUTSIDE = frozenset(("cancelled", "deadline", "killed"))


class Side(NamedTuple):
    """What one side of a difference says.

    Attributes:
        what: the step, in words.
        data: what was asked or answered, JSON data.
    """

    what: str
    data: Any = None


class Difference(NamedTuple):
    """The first record that a replay does not come to, or comes to otherwise.

    Attributes:
        step: the number of the recorded step; None where the record has no such step.
        op: its id, or that of the step that the code has come to.
        why: what is different, in words.
        expected: what the journal has; None where it has nothing there.
        found: what the code came to; None where it came to nothing.
    """

    step: int | None
    op: str
    why: str
    expected: Side | None
    found: Side | None


class Prompter(Protocol):
    """Who lets what is recorded come to those who wait for it."""

    async def turn(self, event: EventRow) -> None:
        """Return when it is the turn of an outcome."""

    async def may_answer(self, op: str) -> None:
        """Return when the body of a delegation may answer."""


class Playback(Recorded):
    """A whole run, to be run again.

    Args:
        events: all of its records.
        has_context: whether a skill, by its name, can ask and delegate by itself: it is not used
            again, so nobody comes to what it has asked.

    Attributes:
        steps: all steps.
        prompter: lets the outcomes come; set before the run begins.
        budget: the run's, which pays for the outcomes that came; set likewise.
        root: the id of the first delegation.
    """

    prompter: Prompter
    budget: Budget

    def __init__(self, events: Iterable[EventRow], has_context: Callable[[str], bool]) -> None:
        self.steps = Steps()
        self.root = ""
        self._abandoned: dict[str, EventRow] = {}
        self._denied: dict[str, EventRow] = {}
        self._ran: set[str] = set()
        self._came_to: set[str] = set()
        super().__init__(events, retry_in_doubt=True)
        self._inner = self._inside_skills(has_context)
        self._below = self._by_parent()

    # --- what the runtime asks of the record -----------------------------------------------------

    def outcome(self, op: str) -> EventRow | None:
        """Return how a step ended; None where nobody has seen that."""
        self._came_to.add(op)
        return self.found(op)

    def found(self, op: str) -> EventRow | None:
        """Return how a step ended, without coming to it."""
        if op in self._abandoned:
            return None
        return self._denied.get(op) or super().found(op)

    def is_in_doubt(self, op: str) -> bool:
        """Whether people were asked if a skill may be used again, and said no: so it ended."""
        asked = super().found(f"{op}/again:{self.begun(op)}")
        return asked is not None and not asked.body["approved"]

    def delegated(self, op: str) -> EventRow | None:
        """Return the outcome of a delegation whose body never ran: there was no room for it."""
        self._came_to.add(op)
        return None if op in self._ran or self.is_cut(op) else super().found(op)

    async def turn(self, event: EventRow) -> None:
        """Return when it is the turn of an outcome: they come in the order in which they came."""
        await self.prompter.turn(event)
        self.budget.settle(0, event.body.get("settled_nano_usd") or 0)

    async def may_answer(self, op: str) -> None:
        """Return when the body of a delegation may answer; never where nobody has heard it."""
        await self.prompter.may_answer(op)

    def is_noted(self, kind: str, op: str) -> bool:
        """Nothing is noted in a replay."""
        raise NotImplementedError(f"{kind} of {op} in a replay")

    def crashed(self, op: str, outcomes: Iterable[EventRow], begun: Iterable[str]) -> None:
        """A body has crashed, and runs again: it gets the same answers, and crashes as it did."""

    # --- what a replay asks ----------------------------------------------------------------------

    def is_cut(self, op: str) -> bool:
        """Whether a delegation was ended from outside, or has no outcome at all."""
        event = super().found(op)
        if event is None:
            return op in self.steps
        return event.kind == "delegation_failed" and event.body.get("reason") in FROM_OUTSIDE

    def is_within_cut(self, op: str) -> bool:
        """Whether a step is one of a body that was ended from outside, or below such a one."""
        at = op.rfind("/")
        while at >= 0:
            if self.is_cut(op[:at]):
                return True
            at = op.rfind("/", 0, at)
        return False

    def was_never_answered(self, op: str) -> bool:
        """Whether nobody has seen the end of a step, though it had begun."""
        return op in self.steps and self.found(op) is None

    def cut_by(self, op: str) -> EventRow | None:
        """Return the outcome of a delegation that was ended from outside."""
        return super().found(op)

    def turns(self) -> list[int]:
        """Return the numbers of the outcomes that come by themselves, in their order."""
        return sorted(
            event.seq
            for op, event in self._outcomes.items()
            if self._is_due(op) and (event.kind != "delegation_failed")
        )

    def missed(self, parent: str) -> Step | None:
        """Return the first step of a body that has an end and that the code did not come to."""
        steps = (self.steps.get(op) for op in self._below.get(parent, ()))
        return next((s for s in steps if s and self._is_missed(s)), None)

    def missed_below(self, op: str) -> bool:
        """Whether the code has still to come to steps of a body, or below it."""
        return any(self._is_missed(step) for step in self.steps if step.op.startswith(f"{op}/"))

    def wordless(self) -> list[Step]:
        """Return the questions whose answers nobody has kept, as a policy says."""
        return [
            step
            for step in self.steps
            if step.status == "completed"
            and step.kind == "model"
            and "text" not in self._outcomes.get(step.op, _EMPTY).body
            and self._is_due(step.op)
        ]

    # --- what is different -----------------------------------------------------------------------

    def unexpected(self, kind: str, op: str, body: Mapping[str, Any]) -> Difference:
        """Return the difference that a step is which the record does not have."""
        parent = op.rpartition("/")[0]
        above = self.steps.get(parent)
        step = step_of(kind, op, body, "" if above is None else above.name)
        missed = self._like(parent, step) or self.missed(parent)
        found = Side(str(step), step.asked)
        if missed is None:
            why = "the code asks for more than the record has"
            return Difference(None, op, why, None, found)
        why = "the code asks for something else"
        return Difference(missed.seq, missed.op, why, _asked(missed), found)

    def unlike(self, kind: str, op: str, body: Mapping[str, Any]) -> Difference | None:
        """Return the difference between two outcomes of a delegation; None if they are equal."""
        event, step = super().found(op), self.steps.get(op)
        if event is None or step is None or _came_of(event.body) == _came_of(body):
            return None
        why = "it comes to something else"
        expected, found = _outcome(event.kind, event.body), _outcome(kind, body)
        return Difference(step.seq, op, f"{step}: {why}", expected, found)

    def left_out(self, parent: str) -> Difference | None:
        """Return the difference that a step is which a body did not come to."""
        step = self.missed(parent)
        if step is None:
            return None
        return Difference(step.seq, step.op, "the code does not come to it", _asked(step), None)

    # --- reading ---------------------------------------------------------------------------------

    def _take(self, event: EventRow) -> None:
        super()._take(event)
        self.steps.take(event)
        if event.kind == "delegation_sent" and not self.root:
            self.root = event.op
        elif event.kind == "delegation_started":
            if event.op in self._ran:
                self._go_on(event.op)
            self._ran.add(event.op)
        elif event.kind == "invocation_denied" and "step" in event.body:
            self._denied[event.body["step"]] = event
        elif event.kind == "run_resumed":
            self._go_on("")

    def _go_on(self, parent: str) -> None:
        """What was given up in a body is asked again, as its code runs again.

        Args:
            parent: the body; empty for all.
        """
        for event in tuple(self._abandoned.values()):
            above = event.op.rpartition("/")[0]
            if parent in ("", above):
                self._supersede(self._abandoned.pop(event.op))
                if event in self._failed[above]:
                    self._failed[above].remove(event)

    def _give_up(self, event: EventRow) -> None:
        self._abandoned[event.op] = event
        self._failed[event.op.rpartition("/")[0]].append(event)

    def _try_again(self, op: str) -> None:
        for event in self._failed.get(op, ()):
            self._abandoned.pop(event.op, None)
        super()._try_again(op)

    def _is_due(self, op: str) -> bool:
        """Whether the code has to come to a step that has an outcome."""
        if op in self._superseded or op in self._abandoned:
            return False
        return not any(above in self._inner for above in _up(op))

    def _is_missed(self, step: Step) -> bool:
        if step.op in self._came_to or step.kind == "denied" or step.ended_seq is None:
            return False
        return step.op in self._outcomes and self._is_due(step.op)

    def _like(self, parent: str, step: Step) -> Step | None:
        """Return the first missed step of a body that is about the same."""
        steps = (self.steps.get(op) for op in self._below.get(parent, ()))
        alike = (s for s in steps if s and self._is_missed(s))
        return next((s for s in alike if (s.kind, s.name) == (step.kind, step.name)), None)

    def _by_parent(self) -> Mapping[str, list[str]]:
        below: defaultdict[str, list[str]] = defaultdict(list)
        for step in self.steps:
            below[step.parent].append(step.op)
        return below

    def _inside_skills(self, has_context: Callable[[str], bool]) -> frozenset[str]:
        """Return the steps that skills may have taken: they began while one was at work."""
        busy_until: defaultdict[str, int] = defaultdict(int)
        inside = []
        for step in self.steps:
            if step.seq < busy_until[step.parent]:
                inside.append(step.op)
            if step.kind == "skill" and step.ended_seq is not None and has_context(step.name):
                busy_until[step.parent] = max(busy_until[step.parent], step.ended_seq)
        return frozenset(inside)


class _Empty(NamedTuple):
    body: Mapping[str, Any]


_EMPTY = _Empty({"text": ""})


def _up(op: str) -> Iterable[str]:
    """Yield a step's id, and those above it."""
    while op:
        yield op
        op = op.rpartition("/")[0]


def _asked(step: Step) -> Side:
    return Side(str(step), step.asked)


def _outcome(kind: str, body: Mapping[str, Any]) -> Side:
    if kind == "delegation_completed":
        return Side("an answer", body.get("output"))
    return Side(f"a failure ({body.get('reason')})", body.get("error"))


def _came_of(body: Mapping[str, Any]) -> str:
    """Return what a delegation came to, byte for byte."""
    return json.dumps([body.get(name) for name in ("reason", "error", "output")])
