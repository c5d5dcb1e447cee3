"""What a run has done before, as its journal has it: steps that are done are not done again.

The author's code runs again from its beginning, and each step that it comes to is looked up by its
id, which is made from the step's content (``Run.operation``). One with an outcome is answered from
the record; one without was in flight and is done once more; one that the code does not come to any
more is an orphan.

A body that crashes is started again, and then what had failed in it is tried again, as a step of
its own: an operation has one outcome. A delegation that was given up, with whoever waited for it,
has none: it is unfinished, and goes on from its own steps when it is asked for again. It is known
from the journal which failures are tried again, so a run that is killed after a crash goes on as
the restarted body did.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from runtime.journal import KINDS, REQUESTS
from runtime.strictness import Strictness
from runtime.sums import Sums, above_of
from runtime.terms import Terms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from runtime.journal import EventRow, Journal
    from runtime.strictness import Difference

PAGE = 1_000
ONCE = frozenset(("delegation_sent", "invocation_denied", "approval_requested"))
BEGINNINGS = frozenset(("delegation_sent", "invocation_started", "skill_started"))
FAILURES = frozenset(("delegation_failed", "invocation_failed", "skill_failed"))


class Recorded(Terms, Sums):
    """The records of one run that its code may come to again.

    Attributes:
        seq: the place of the last one that is taken.
        cancelled: what the last request to cancel it says; None where there is none.

    Args:
        events: the first of its records.
        retry_in_doubt: whether skills with side effects are used again that may have taken place.
    """

    def __init__(self, events: Iterable[EventRow] = (), *, retry_in_doubt: bool = False) -> None:
        Terms.__init__(self)
        Sums.__init__(self)
        self._retry_in_doubt = retry_in_doubt
        self.seq = 0
        self.cancelled: Mapping[str, Any] | None = None
        self._asked: dict[str, EventRow] = {}
        self._decided_meanwhile: set[str] = set()
        self._fresh: set[str] = set()
        self._outcomes: dict[str, EventRow] = {}
        self._begun: dict[str, None] = {}
        self._once: set[tuple[str, str]] = set()
        self._logs: Counter[str] = Counter()
        self._failed: defaultdict[str, list[EventRow]] = defaultdict(list)
        self._superseded: set[str] = set()
        self._doubtful: set[str] = set()
        self._allowed: set[str] = set()
        self._begins: Counter[str] = Counter()
        self._used: set[str] = set()
        self._agents: defaultdict[str, set[str]] = defaultdict(set)
        self._new: dict[str, str] = {}
        self._order: dict[str, None] = {}
        self._strictness: Strictness | None = None
        for event in events:
            self._take(event)

    def __repr__(self) -> str:
        return f"<Recorded [{self.seq} records, {len(self._outcomes)} outcomes]>"

    async def read(self, journal: Journal, run_id: str, branch: str | None = None) -> None:
        """Take the records of a former process that are not taken yet.

        Args:
            journal: where they are.
            run_id: the run.
            branch: only what is in this step; see ``Journal.events``.

        Raises:
            JournalFailed: they cannot be read.
        """
        async for event in events_of(journal, run_id, self.seq, branch):
            self._take(event)

    def outcome(self, op: str) -> EventRow | None:
        """Return how a step ended; None if it did not."""
        event = self._outcomes.get(op)
        if event is not None:
            self._used.add(op)
        return event

    def asked(self, op: str) -> EventRow | None:
        """Return the question of a step; None where nobody was asked yet."""
        return self._asked.get(op)

    def is_fresh(self, op: str) -> bool:
        """Whether a question was decided while nobody was at work on the run."""
        return op in self._fresh

    def found(self, op: str) -> EventRow | None:
        """Return how a step ended, without coming to it."""
        return self._outcomes.get(op)

    def delegated(self, op: str) -> EventRow | None:
        """Return how a delegation ended that need not be done again."""
        return self.outcome(op)

    async def turn(self, event: EventRow) -> None:
        """Return when it is the turn of an outcome to be given again: at once."""

    async def may_begin(self, op: str) -> None:
        """Return when a step may begin that is not done: at once, unless it has to be known."""
        if self._strictness is not None and self.first_attempt(op) == op:
            await self._strictness.may_begin(op)

    async def may_answer(self, op: str) -> None:
        """Return when the body of a delegation may answer: at once, if all its steps were used."""
        if self._strictness is not None:
            await self._strictness.may_answer(op)

    @property
    def is_strict(self) -> bool:
        """Whether the code may do nothing new before it has come to all that it had come to."""
        return self._strictness is not None

    def be_strict(self, differs: Callable[[Difference], None]) -> None:
        """Let the code do nothing new before it has come to all that it had come to.

        Args:
            differs: called with the first difference.
        """
        steps = [op for op in self._order if op not in self._superseded]
        self._strictness = Strictness(steps, differs)

    def agents(self, op: str) -> set[str]:
        """Return who was at work in former processes on a delegation, and on those below it."""
        return self._agents[op]

    def works_again(self, op: str) -> None:
        """Note that the bodies of a delegation and those below it have run in this process."""
        self._agents.pop(op, None)

    def is_to_be_another(self, op: str) -> bool:
        """Whether a step has failed and is tried again: it must not get a second outcome."""
        return op in self._superseded

    def first_attempt(self, op: str) -> str:
        """Return the step whose failure was no answer, and which this one is instead of."""
        name, _, count = op.rpartition(":")
        number = int(count)
        while number > 1 and f"{name}:{number - 1}" in self._superseded:
            number -= 1
        return f"{name}:{number}"

    def is_in_doubt(self, op: str) -> bool:
        """Whether a step had begun and nobody knows whether it took place."""
        if op in self._doubtful:
            return True
        return op in self._begun and not (self._retry_in_doubt or op in self._allowed)

    def begun(self, op: str) -> int:
        """Return how often a use of a skill had begun in former processes."""
        return self._begins[op]

    def use_again(self, op: str) -> bool:
        """Let a skill be used again that may have taken place; return whether as another step."""
        self._allowed.add(op)
        if op not in self._doubtful:
            return False
        self._doubtful.remove(op)
        self._superseded.add(op)
        return True

    def is_noted(self, kind: str, op: str) -> bool:
        """Whether something is in the journal already that happens again as the code runs again."""
        if kind == "log":
            self._logs[op] -= 1
            return self._logs[op] >= 0
        return (kind, op) in self._once or (op in self._outcomes and KINDS[kind].terminal)

    def was_sent(self, op: str) -> bool:
        """Whether a delegation was handed over before, by this process or another."""
        return ("delegation_sent", op) in self._once

    def note(self, kind: str, op: str) -> None:
        """Let something be in the journal that another process has noted, or will."""
        self._once.add((kind, op))

    def answered(self, kind: str, op: str) -> None:
        """Note a delegation that another process has answered: it came to the steps below."""
        self.note(kind, op)
        self._used.add(op)

    def in_flight(self) -> list[str]:
        """Return the steps that had begun and not ended."""
        return list(self._begun)

    def repeated(self) -> list[str]:
        """Return the innermost of the steps that had begun and not ended: they are done again."""
        begun = sorted(self._begun)
        return [op for op, after in zip_longest(begun, begun[1:]) if not _is_below(after, op)]

    def orphans(self) -> list[EventRow]:
        """Return outcomes that the code did not come to, but those below one that it came to."""
        known = self._used | self._superseded
        return [
            event
            for op, event in self._outcomes.items()
            if op not in known and not any(above in self._used for above in above_of(op))
        ]

    def come_to(self, parent: str, op: str) -> None:
        """Note that the code asks for a step below another one."""
        if self._strictness is not None:
            self._strictness.come_to(op)
        if op not in self._outcomes and op not in self._begun:
            self._new.setdefault(parent, op)

    def instead_of(self, event: EventRow) -> str | None:
        """Return the first new step that the code came to where it had come to another before."""
        return self._new.get(event.op.rpartition("/")[0])

    def crashed(self, op: str, outcomes: Iterable[EventRow], begun: Iterable[str]) -> None:
        """The body of a delegation has crashed in this process, and runs again.

        Args:
            op: the delegation.
            outcomes: those of all steps below it.
            begun: those steps, in flight or ended: of the delegations it is noted that they were
                sent.
        """
        steps = set(begun)
        self._once.update(("delegation_sent", step) for step in steps)
        for event in outcomes:
            if event.op not in self._outcomes:
                self._keep(event)
        self.count_here(steps)
        self._try_again(op)

    def _take(self, event: EventRow) -> None:
        kind, op, body = event.kind, event.op, event.body
        self.seq = event.seq
        self.take_terms(event)
        if kind == "run_resumed":
            self._fresh, self._decided_meanwhile = self._decided_meanwhile, set()
        elif kind in REQUESTS:
            self._hear(event)
        elif kind == "delegation_started":
            self._start(op, body)
        elif kind == "log":
            self._logs[op] += 1
        self._begin(event)
        rule = KINDS[kind]
        if rule.terminal and rule.status is None:
            self._keep(event)
        is_inherited = "inherited" in body
        self.take_money(event, is_outcome=bool(rule.calls) and not is_inherited)
        if is_inherited:
            self._inherit(event)

    def _begin(self, event: EventRow) -> None:
        kind, op = event.kind, event.op
        if kind in BEGINNINGS or kind == "approval_requested":
            self._order[op] = None
        if kind in BEGINNINGS and op not in self._outcomes:
            self._begun[op] = None
            self._begins[op] += kind == "skill_started"
        if kind in ONCE:
            self._once.add((kind, op))

    def _inherit(self, event: EventRow) -> None:
        """Keep what the run was denied that this one was forked from: it has no other past."""
        if event.kind == "invocation_denied" and "step" in event.body:
            self._outcomes[event.body["step"]] = event

    def _hear(self, event: EventRow) -> None:
        """Take what people were asked, and what they have asked and decided."""
        if event.kind == "approval_requested":
            self._asked.setdefault(event.op, event)
        elif event.kind == "cancel_requested":
            self.cancelled = event.body
        elif event.kind == "approval_decided" and not self.is_at_work:
            self._decided_meanwhile.add(event.op)

    def _start(self, op: str, body: Mapping[str, Any]) -> None:
        for at in (op, *above_of(op)):
            self._agents[at].add(str(body.get("agent")))
        if body.get("attempt", 1) > 1:
            self._try_again(op)

    def _keep(self, event: EventRow) -> None:
        """Keep the outcome of a step."""
        kind, op = event.kind, event.op
        if event.body.get("unfinished"):
            return  # whoever had asked for it has not seen it end, and asks again
        self._once.add((kind, op))
        if kind in ONCE:
            return
        self._outcomes[op] = event
        self._begun.pop(op, None)
        if kind in FAILURES and was_given_up(event):
            self._give_up(event)
        elif kind in FAILURES or event.body.get("cut_off"):
            self._failed[op.rpartition("/")[0]].append(event)
        if KINDS[kind].calls and "inherited" not in event.body:
            self.keep_call(event)

    def _give_up(self, event: EventRow) -> None:
        """A step was given up with whoever waited for it: nobody has seen how it ended."""
        self._supersede(event)

    def _try_again(self, op: str) -> None:
        """A body begins again: what failed in it, or was not read to its end, is no answer."""
        for event in self._failed.pop(op, ()):
            self._supersede(event)

    def _supersede(self, event: EventRow) -> None:
        is_doubtful = event.body.get("in_doubt") and not self._retry_in_doubt
        (self._doubtful if is_doubtful else self._superseded).add(event.op)


async def events_of(
    journal: Journal, run_id: str, after: int = 0, branch: str | None = None
) -> AsyncIterator[EventRow]:
    """Yield the records of a run in their order, from those behind a number on.

    Raises:
        JournalFailed: they cannot be read.
    """
    while page := await journal.events(run_id, after=after, limit=PAGE, branch=branch):
        for event in page:
            yield event
        after = page[-1].seq


def _is_below(op: str | None, other: str) -> bool:
    return op is not None and op.startswith(f"{other}/")


def was_given_up(event: EventRow) -> bool:
    """Whether a step was ended from outside, with whoever waited for it."""
    body = event.body
    return body.get("reason") == "cancelled" or body.get("error_class") == "CancelledError"
