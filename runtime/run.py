"""One run: its identity, its money, its counts, and the log that journal and screen share."""

from __future__ import annotations

import logging
import sys
import uuid
from dataclasses import dataclass
from operator import sub
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import anyio

from runtime.conduct import Conduct
from runtime.dialogues import NOBODYS
from runtime.errors import Cancelled
from runtime.identity import digest_of, trace_id_of, whoami
from runtime.journal import Claim, JournalFailed, Record, known_cost, scope_of
from runtime.journal.calls import day_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel import Span
    from runtime.approval import Approve
    from runtime.code import CodeOfRun
    from runtime.conduct import Halt
    from runtime.dialogues import Dialogue
    from runtime.errors import RuntimeFault
    from runtime.governance.budget import Budget
    from runtime.governance.policy import SpendingLimit
    from runtime.journal import Branch, Journal, Shortfall
    from runtime.journal.records import Kind
    from runtime.messages import Usage
    from runtime.recorded import Recorded
    from runtime.routing import Wish
    from runtime.traces import Traces

logger = logging.getLogger("runtime.run")

LEAVES = frozenset(  # the process, or its body
    ("invocation_started", "invocation_retried", "skill_started", "delegation_sent")
)

Durability: TypeAlias = Literal["fast", "strict"]
OnCodeChange: TypeAlias = Literal["refuse", "continue", "pin"]


@dataclass(slots=True)
class Totals:
    """What was asked of models: counts, tokens, nano-USD.

    Attributes:
        calls: model calls that came to an end.
        errors: those that failed.
        unpriced: those whose price nobody knows.
        input_tokens: prompt tokens.
        output_tokens: generated tokens.
        cost: nano-USD of the priced calls.
    """

    calls: int = 0
    errors: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0

    def add_call(self, usage: Usage | None, cost: int | None, *, failed: bool = False) -> None:
        """Count one model call; a cost of None is unknown."""
        self.calls += 1
        self.errors += failed
        self.unpriced += cost is None
        self.cost += cost or 0
        if usage is not None:
            self.input_tokens += usage.input_tokens
            self.output_tokens += usage.output_tokens

    def add(self, other: Totals) -> None:
        """Count what somebody else counted."""
        if not other.calls:
            return  # most bodies ask no model, and all else is of calls
        self.calls += other.calls
        self.errors += other.errors
        self.unpriced += other.unpriced
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cost += other.cost

    def without(self, other: Totals) -> Totals:
        """Return what is left without what somebody else counted, too."""
        return Totals(*map(sub, self.as_data(), other.as_data()))

    def as_data(self) -> list[int]:
        """Return the fields in their order, as JSON data."""
        return [getattr(self, name) for name in self.__slots__]

    @property
    def known_cost(self) -> int | None:
        """The cost in nano-USD; None when no call had a price."""
        return known_cost(self.cost, self.calls, self.errors, self.unpriced)


class Run:
    """One run while it lasts.

    Attributes:
        id: its name.
        trace_id: its trace, 128 bits.
        target: the workflow or agent that was started.
        budget: what it may spend.
        wishes: whom its starter wants asked, strongest first.
        routing: the routing file that it goes by; None for the catalog's default.
        tenant: for whom it is; empty for nobody.
        dialogue: which conversation and session of a user's it belongs to.
        approve: answers questions at once that people would be asked; None answers none.
        line: where calls wait whose worst case does not fit into the budget yet.
        totals: what was asked of models so far.
        span: the root span.
        traces: counts its spans; None where nobody sees them, or they are in other traces.
        listener: called with every record, for the screen; None calls nobody.
        recorded: what it had done before it was interrupted; None for one that is new.
        code: the code that it may reach; None where nobody has read it.
        on_code_change: what is done where other code would go on with it.
        left: why it was left as it is, so that nothing more of it is noted; None where it was not.
        moves: whether another process goes on with it where this one can note nothing any more.
        conduct: what is at work in it, and what others want of it.
        forked_from: the run and the step that it was forked from; None where it is no fork.
        overrides: of a fork, and of the forks that it is a fork of, the oldest first: whom all was
            asked of that they had not inherited; the last one is asked what is in no record.
    """

    def __init__(
        self,
        run_id: str,
        target: str,
        *,
        budget: Budget,
        journal: Journal,
        clock: Callable[[], float],
        wishes: tuple[Wish, ...] = (),
        routing: str | None = None,
        tenant: str = "",
        dialogue: Dialogue = NOBODYS,
        approve: Approve | None = None,
        listener: Callable[[Record], None] | None = None,
        durability: Durability = "fast",
    ) -> None:
        self.id = run_id
        self.trace_id = trace_id_of(run_id)
        self.target = target
        self.budget = budget
        self.wishes = wishes
        self.routing = routing
        self.tenant = tenant
        self.dialogue = dialogue
        self.approve = approve
        self.line = anyio.Lock()
        self.totals = Totals()
        self.journal = journal
        self.span: Span | None = None
        self.traces: Traces | None = None
        self.listener = listener
        self.conduct = Conduct()
        self.durability = durability
        self._clock = clock
        self._operations: dict[str, int] = {}
        self._tasks: dict[str, int] = {}
        self._settled: anyio.Event | None = None
        self._bodies = 0
        self._quiet: anyio.Event | None = None
        self.recorded: Recorded | None = None
        self.code: CodeOfRun | None = None
        self.on_code_change: OnCodeChange = "continue"
        self.forked_from: Mapping[str, Any] | None = None
        self.overrides: tuple[Wish, ...] = ()
        self.epoch = 1
        self.branch: Branch | None = None
        self.left: RuntimeFault | None = None
        self.moves = False

    def __repr__(self) -> str:
        return f"<Run {self.id} {self.target} {self.totals} {self.budget!r}>"

    @property
    def now(self) -> float:
        """The time, in seconds since the Unix epoch."""
        return self._clock()

    def record(
        self,
        kind: Kind,
        op: str,
        body: Mapping[str, Any],
        cost: int = 0,
        *,
        terminal: bool | None = None,
    ) -> None:
        """Note that something happened: in the journal, and for whoever listens.

        Of a run that has been left nothing more is noted: it goes on from what was noted before.

        Args:
            kind: what.
            op: the step that it happened to.
            body: the details, JSON data.
            cost: nano-USD.
            terminal: whether it is the outcome of the step; None where its kind says.

        Raises:
            TypeError: the body is no JSON.
            ValueError: a number or a text in it cannot be stored.
            RuntimeFault: something would leave the process, and the run has been left.
            JournalFailed: the journal is closed.
        """
        if self.left is not None:
            if kind in LEAVES:
                raise self.left
            return  # it is as if its process had died
        if self.recorded is not None and self.recorded.is_noted(kind, op):
            return  # the code runs again, and this was noted the first time
        record = Record(
            self.id, kind, op, body, self._clock(), cost, terminal, self.epoch, self.branch
        )
        self.journal.append(record)
        if self.listener is not None:
            self._tell(record)

    async def admit(
        self,
        kind: Kind,
        op: str,
        body: Mapping[str, Any],
        claims: tuple[Claim, ...],
        at: float,
    ) -> Shortfall | None:
        """Note that a model call begins, or begins again, if that fits into limits.

        Args:
            kind: ``invocation_started`` or ``invocation_retried``.
            op: the step that it is.
            body: what is noted, with ``reserved_nano_usd``.
            claims: what it has to fit into besides the run's budget.
            at: when, in seconds since the Unix epoch.

        Returns:
            The limit that it does not fit into, if nothing was noted.

        Raises:
            RuntimeFault: the run has been left.
            JournalFailed: the journal cannot be written.
        """
        if self.left is not None:
            raise self.left
        record = Record(self.id, kind, op, body, at, epoch=self.epoch, branch=self.branch)
        try:
            short = await self.journal.admit(record, claims)
        except JournalFailed as fault:
            self._unnoted(fault)
            raise
        if short is None:
            self._tell(record)
        return short

    async def begin(self, kind: Kind, op: str, body: Mapping[str, Any]) -> None:
        """Note that a step begins that may leave the process; see ``record``."""
        self.record(kind, op, body)

    def has_code_of(self, slug: str) -> bool:
        """Whether what this process has of an agent is the code that the run wants."""
        del slug  # it began here with that, or goes on
        return True

    @property
    def holds_up(self) -> bool:
        """Whether a step has to wait for ``room``, which may refuse it."""
        return self.branch is not None or self.journal.holds_up

    async def room(self) -> None:
        """Wait until a step may begin; see ``Journal.room``.

        Raises:
            Fenced: another process has taken the run over.
            JournalFailed: nothing can be noted at the moment.
        """
        try:
            await self.journal.room()
        except JournalFailed as fault:
            self._unnoted(fault)
            raise
        self.journal.check_owner(self.id, self.epoch, self.branch)

    async def written(self, *, always: bool = False) -> None:
        """Wait until what was noted is on the disk, if this run waits for that.

        Args:
            always: whether that matters so much here that every run waits.

        Raises:
            Fenced: it was refused: another process has taken the run over.
            JournalFailed: it cannot be written.
        """
        if always or self.durability == "strict":
            try:
                await self.journal.flush()
            except JournalFailed as fault:
                self._unnoted(fault)
                raise
            self.journal.check_owner(self.id, self.epoch, self.branch)

    def _unnoted(self, fault: JournalFailed) -> None:
        """Nothing can be noted here: that is no failure of a run that another goes on with."""
        if self.moves:
            self.leave(fault)

    def leave(self, why: RuntimeFault) -> None:
        """End it here without noting an end, so that it can be gone on with."""
        if self.left is None:
            self.left = why
            self.conduct.scope.cancel()

    async def park(self, halt: Halt) -> bool:
        """Leave it to whoever goes on with it.

        Args:
            halt: where it stands then, and who wants that.

        Returns:
            Whether it is parked; False when somebody has asked something of it that was not heard.

        Raises:
            JournalFailed: the journal cannot be written.
        """
        conduct = self.conduct
        body: dict[str, Any] = {
            "tickets": [asked.request.ticket for asked in conduct.open.values()]
        }
        if halt.by:
            body |= {"by": halt.by, "why": halt.why}
        if not await self._park(halt.status, body, conduct.seen):
            return False
        self.parked(halt)
        return True

    async def set_aside(self, why: RuntimeFault) -> None:
        """Park a run that was left, as it cannot go on as it is: this process lives, and has it.

        What others have asked of it meanwhile they find undone, and do themselves.

        Args:
            why: what whoever goes on with it has to change.

        Raises:
            Fenced: another process has taken the run over.
            JournalFailed: the journal cannot be written.
        """
        body = {"tickets": [], "by": whoami(), "why": str(why), "fault": type(why).__name__}
        await self._park("paused", body, sys.maxsize)

    async def _park(self, status: str, body: Mapping[str, Any], seen: int) -> bool:
        kind: Any = f"run_{status}"
        record = Record(self.id, kind, f"parked:{self.epoch}", body, self.now, epoch=self.epoch)
        return await self.journal.park(record, seen)

    def parked(self, halt: Halt) -> None:
        """End it here, unless it has been cancelled meanwhile, which is its end."""
        if self.conduct.halt is None:
            self.conduct.park(halt)
            self.leave(Cancelled(f"run {self.id} is parked; nothing of it may begin here"))

    def _tell(self, record: Record) -> None:
        if self.listener is None:
            return
        try:
            self.listener(record)
        except Exception:
            self.listener = None  # a screen that fails must not fail the run
            logger.exception("the listener failed, it hears no more", extra={"run_id": self.id})

    def settle(self, reserved: int, actual: int) -> None:
        """Replace a reservation by what was really spent, and let those know who wait for that."""
        self.budget.settle(reserved, actual)
        if self._settled is not None:
            self._settled.set()
            self._settled = None

    async def more(self, amount: int) -> bool:
        """Reserve what does not fit here, where its ledger is elsewhere; return whether it fits."""
        del amount
        return False

    async def next_settlement(self) -> None:
        """Wait until some call has settled."""
        if self._settled is None:
            self._settled = anyio.Event()
        await self._settled.wait()

    def spans_began(self, trace_id: int, spans: int = 1) -> None:
        """Count spans that began in one of its traces."""
        if self.traces is not None:
            self.traces.began(trace_id, spans)

    def body_began(self) -> None:
        """Count a body that runs."""
        self._bodies += 1

    def body_ended(self) -> None:
        """Count it out again."""
        self._bodies -= 1
        if self._bodies == 0 and self._quiet is not None:
            self._quiet.set()

    @property
    def is_quiet(self) -> bool:
        """Whether no body of this run runs any more."""
        return not self._bodies

    async def quiet(self) -> None:
        """Wait until no body of this run runs any more."""
        while not self.is_quiet:
            self._quiet = anyio.Event()
            await self._quiet.wait()

    def operation(self, parent: str, kind: str, content: Any) -> str:
        """Return the id of a step: what it is and under whom, and the how-manieth of that content.

        It is made from the content and not from a counter over the run, because branches that run
        side by side come in another order the next time.
        """
        return self.step(parent, kind, digest_of(content))

    def step(self, parent: str, kind: str, digest: str) -> str:
        """Return the id of a step whose content has a digest; see ``operation``."""
        key = _key(parent, kind, digest)
        if self.recorded is None:
            count = self._operations[key] = self._operations.get(key, 0) + 1
            return f"{key}:{count}"
        count = self._operations[key] = self._next(key)
        op = f"{key}:{count}"
        self.recorded.come_to(parent, op)
        return op

    def idempotency_key(self, op: str) -> str:
        """Return a key of a step for others, by which they know it when it is done once more.

        It is the same in every process that goes on with the run, and after crashes; a step that
        is tried again after a crash has the key of the one that failed.
        """
        first = op if self.recorded is None else self.recorded.first_attempt(op)
        return str(uuid.UUID(digest_of([self.id, first])[:32]))

    def next_step(self, parent: str, kind: str, digest: str) -> str:
        """Return the id that ``step`` would return, without coming to that step."""
        key = _key(parent, kind, digest)
        return f"{key}:{self._next(key)}"

    def _next(self, key: str) -> int:
        count = self._operations.get(key, 0) + 1
        if self.recorded is not None:
            while self.recorded.is_to_be_another(f"{key}:{count}"):
                count += 1
        return count

    def steps_again(self, parent: str) -> list[str]:
        """Count the steps below one from the beginning, as its code runs again; return them."""
        below = f"{parent}/"
        found = []
        for key in [key for key in self._operations if key.startswith(below)]:
            found += [f"{key}:{number}" for number in range(1, self._operations.pop(key) + 1)]
        return found

    def task_id(self, agent: str) -> str:
        """Return a short name for a new task of ``agent``, unique in this run."""
        count = self._tasks[agent] = self._tasks.get(agent, 0) + 1
        return f"{agent}-{count}"


def _key(parent: str, kind: str, digest: str) -> str:
    name = f"{kind}:{digest[:16]}"
    return f"{parent}/{name}" if parent else name


def claims_of(limits: Sequence[SpendingLimit], at: float) -> tuple[Claim, ...]:
    """Return what a call that begins at a time has to fit into: it counts on that day."""
    day = day_of(at)
    return tuple(
        Claim(scope_of(each.subject, each.name, each.window, day), each.amount, each.source)
        for each in limits
    )
