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
from typing import TYPE_CHECKING, Any

from runtime.journal import KINDS, REQUESTS
from runtime.messages import TOKEN_COUNTS, Usage
from runtime.run import Totals
from runtime.strictness import Strictness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping

    from runtime.journal import EventRow, Journal
    from runtime.strictness import Difference

PAGE = 1_000
ONCE = frozenset(("delegation_sent", "invocation_denied", "approval_requested"))
BEGINNINGS = frozenset(("delegation_sent", "invocation_started", "skill_started"))
LIMITS = ("budget_nano_usd", "deadline_s")
PARKS = frozenset(("run_waiting", "run_paused"))
FAILURES = frozenset(("delegation_failed", "invocation_failed", "skill_failed"))


class Recorded:
    """The records of one run that its code may come to again.

    Attributes:
        beginning: the body of its ``run_started``.
        used_s: the seconds for which processes were at work on it.
        code: the code of its last owner: ``python``, ``agents``, ``skills``; None where unsaid.
        seq: the place of the last one that is taken.
        cancelled: what the last request to cancel it says; None where there is none.

    Args:
        events: the first of its records.
        retry_in_doubt: whether skills with side effects are used again that may have taken place.
    """

    def __init__(self, events: Iterable[EventRow] = (), *, retry_in_doubt: bool = False) -> None:
        self._retry_in_doubt = retry_in_doubt
        self.beginning: Mapping[str, Any] = {}
        self.code: dict[str, Any] | None = None
        self.used_s = 0.0
        self._limits: dict[str, Any] = {}
        self.seq = 0
        self.cancelled: Mapping[str, Any] | None = None
        self._is_at_work = True
        self._asked: dict[str, EventRow] = {}
        self._decided_meanwhile: set[str] = set()
        self._fresh: set[str] = set()
        self._last_at: float | None = None
        self._settled = 0
        self._outcomes: dict[str, EventRow] = {}
        self._begun: dict[str, None] = {}
        self._once: set[tuple[str, str]] = set()
        self._logs: Counter[str] = Counter()
        self._failed: defaultdict[str, list[EventRow]] = defaultdict(list)
        self._superseded: set[str] = set()
        self._doubtful: set[str] = set()
        self._allowed: set[str] = set()
        self._begins: Counter[str] = Counter()
        self._totals: defaultdict[str, Totals] = defaultdict(Totals)
        self._calls: defaultdict[str, list[str]] = defaultdict(list)
        self._uncounted: set[str] = set()
        self._reserved: Counter[str] = Counter()
        self._used: set[str] = set()
        self._agents: defaultdict[str, set[str]] = defaultdict(set)
        self._new: dict[str, str] = {}
        self._order: dict[str, None] = {}
        self._strictness: Strictness | None = None
        for event in events:
            self._take(event)

    def __repr__(self) -> str:
        return f"<Recorded [{self.seq} records, {len(self._outcomes)} outcomes]>"

    async def read(self, journal: Journal, run_id: str) -> None:
        """Take the records of a former process that are not taken yet.

        Raises:
            JournalFailed: they cannot be read.
        """
        async for event in events_of(journal, run_id, self.seq):
            self._take(event)

    @property
    def budget_nano_usd(self) -> int | None:
        """What the whole run may cost; None where nobody has said."""
        return self._limits.get("budget_nano_usd")

    def time_left(self, usual_s: float) -> float:
        """Return the seconds that the run has left.

        Args:
            usual_s: the seconds of a run of which nobody has said how many it gets.
        """
        whole = self._limits.get("deadline_s")
        return max(0.0, (usual_s if whole is None else whole) - self.used_s)

    @property
    def spent(self) -> int:
        """Nano-USD that budgets count: what is settled, and the worst case of what is not."""
        return self._settled + self._reserved.total()

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

    def totals(self, op: str) -> Totals:
        """Return what models were asked below a delegation."""
        return self._totals[op]

    def newly_counted(self, op: str) -> Totals:
        """Return what former processes asked models in a step or below it, each call only once.

        Args:
            op: the step; empty for all that is left.
        """
        totals = Totals()
        for call in self._uncounted.intersection(self._calls[op]) if op else set(self._uncounted):
            self._uncounted.remove(call)
            _add(totals, self._outcomes[call])
        return totals

    def in_flight(self) -> list[str]:
        """Return the steps that had begun and not ended."""
        return list(self._begun)

    def orphans(self) -> list[EventRow]:
        """Return outcomes that the code did not come to, but those below one that it came to."""
        known = self._used | self._superseded
        return [
            event
            for op, event in self._outcomes.items()
            if op not in known and not any(above in self._used for above in _above(op))
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
        self._once.update(("delegation_sent", step) for step in begun)
        for event in outcomes:
            if event.op not in self._outcomes:
                self._keep(event)
        self._try_again(op)

    def _take(self, event: EventRow) -> None:
        kind, op, body = event.kind, event.op, event.body
        self.seq = event.seq
        self._count_time(event)
        self._note_terms(event)
        if kind == "run_started":
            self.beginning = body
        elif kind == "run_resumed":  # what was in flight then is lost, and may be begun once more
            self._settled += self._reserved.total()
            self._reserved.clear()
            self._fresh, self._decided_meanwhile = self._decided_meanwhile, set()
        elif kind in REQUESTS:
            self._hear(event)
        elif kind == "delegation_started":
            self._start(op, body)
        elif kind == "log":
            self._logs[op] += 1
        self._begin(event)
        if "reserved_nano_usd" in body:
            self._reserved[op] += _amount(body, "reserved_nano_usd")
        rule = KINDS[kind]
        if rule.terminal and rule.status is None:
            self._keep(event)
        if rule.calls:
            self._settle(event)

    def _begin(self, event: EventRow) -> None:
        kind, op = event.kind, event.op
        if kind in BEGINNINGS:
            self._order[op] = None
            if op not in self._outcomes:
                self._begun[op] = None
                self._begins[op] += kind == "skill_started"
        if kind in ONCE:
            self._once.add((kind, op))

    def _note_terms(self, event: EventRow) -> None:
        kind, body = event.kind, event.body
        said = body.get("code")
        if kind in ("run_started", "run_resumed"):
            self.code = said or self.code  # who only paused it has none
            self._limits |= {name: body[name] for name in LIMITS if name in body}
        elif said and self.code is not None:  # somebody whom nobody foresaw
            of = "agents" if kind == "delegation_started" else "skills"
            self.code[of][body["agent" if of == "agents" else "skill"]] = said

    def _hear(self, event: EventRow) -> None:
        """Take what people were asked, and what they have asked and decided."""
        if event.kind == "approval_requested":
            self._asked.setdefault(event.op, event)
        elif event.kind == "cancel_requested":
            self.cancelled = event.body
        elif event.kind == "approval_decided" and not self._is_at_work:
            self._decided_meanwhile.add(event.op)

    def _start(self, op: str, body: Mapping[str, Any]) -> None:
        for at in (op, *_above(op)):
            self._agents[at].add(str(body.get("agent")))
        if body.get("attempt", 1) > 1:
            self._try_again(op)

    def _count_time(self, event: EventRow) -> None:
        if KINDS[event.kind].by_anyone:
            return  # by another clock, and at any time
        if event.kind == "run_resumed":
            self._is_at_work = True
        elif self._last_at is not None and self._is_at_work:
            self.used_s += max(0.0, event.at - self._last_at)
        self._last_at = event.at
        if event.kind in PARKS:
            self._is_at_work = False

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
        if kind in FAILURES and _was_given_up(event):
            self._give_up(event)
        elif kind in FAILURES or event.body.get("cut_off"):
            self._failed[op.rpartition("/")[0]].append(event)
        if KINDS[kind].calls:
            self._calls[op].append(op)
            for above in _above(op):
                self._calls[above].append(op)
                _add(self._totals[above], event)

    def _give_up(self, event: EventRow) -> None:
        """A step was given up with whoever waited for it: nobody has seen how it ended."""
        self._supersede(event)

    def _settle(self, event: EventRow) -> None:
        body = event.body
        known = "settled_nano_usd" in body
        self._settled += _amount(body, "settled_nano_usd") if known else event.cost_nano_usd
        self._reserved.pop(event.op, None)
        self._uncounted.add(event.op)

    def _try_again(self, op: str) -> None:
        """A body begins again: what failed in it, or was not read to its end, is no answer."""
        for event in self._failed.pop(op, ()):
            self._supersede(event)

    def _supersede(self, event: EventRow) -> None:
        is_doubtful = event.body.get("in_doubt") and not self._retry_in_doubt
        (self._doubtful if is_doubtful else self._superseded).add(event.op)


async def events_of(journal: Journal, run_id: str, after: int = 0) -> AsyncIterator[EventRow]:
    """Yield the records of a run in their order, from those behind a number on.

    Raises:
        JournalFailed: they cannot be read.
    """
    while page := await journal.events(run_id, after=after, limit=PAGE):
        for event in page:
            yield event
        after = page[-1].seq


def _add(totals: Totals, event: EventRow) -> None:
    cost = None if event.body.get("unpriced") else event.cost_nano_usd
    totals.add_call(usage_of(event.body), cost, failed=event.kind == "invocation_failed")


def usage_of(body: Mapping[str, Any]) -> Usage | None:
    """Return the tokens that an outcome tells of."""
    said = body.get("usage")
    if not said:
        return None
    return Usage(**{name: said.get(name) or 0 for name in TOKEN_COUNTS})


def _above(op: str) -> Iterator[str]:
    """Yield the steps that a step is below, outermost first."""
    at = op.find("/")
    while at >= 0:
        yield op[:at]
        at = op.find("/", at + 1)


def _was_given_up(event: EventRow) -> bool:
    """Whether a step was ended from outside, with whoever waited for it."""
    body = event.body
    return body.get("reason") == "cancelled" or body.get("error_class") == "CancelledError"


def _amount(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) else 0
