"""One run from its start to its end: root span, journal, budget, deadline, and what came of it."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from otel.log_scope import Scope, scoped
from runtime.code import CodeOfRun
from runtime.conduct import Halt
from runtime.dialogues import Dialogue, dialogue_in
from runtime.engines import current_time
from runtime.errors import (
    Cancelled,
    ConfigurationError,
    RuntimeFault,
)
from runtime.governance.cost import usd
from runtime.identity import new_run_id
from runtime.journal import Record
from runtime.messages import Delegation
from runtime.outcome import (
    DEFAULT_DEADLINE_S,
    ForkOptions,
    ResumeOptions,
    RunOptions,
    RunOutcome,
)
from runtime.registration import (
    begin_span,
    budget_of,
    ended_by,
    leave,
    limited,
    register,
    sign_off,
)
from runtime.resumption import out_of_time, policy_of, take_over
from runtime.run import Run
from runtime.signature import to_json
from runtime.strictness import parted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from otel import Metrics, Tracing
    from runtime.approval import ApprovalRequest
    from runtime.code import Codes
    from runtime.control import Control
    from runtime.dispatch import Dispatcher
    from runtime.governance.policy import RunLimit
    from runtime.journal import EventRow, Journal, Kind
    from runtime.messages import Result
    from runtime.recorded import Recorded
    from runtime.resumption import Resumable
    from runtime.routing import Wish

SOONER_S = 0.05
_MOST_NAMED = 20  # steps, in a line of the log
INHERITED_AT_ONCE = 100  # records, before others have their turn
CLOSE_S = 5.0  # what runs that are under way get to end when the system stops
logger = logging.getLogger("runtime.run")


class Workflows:
    """Runs workflows.

    Args:
        dispatcher: carries the Delegations.
        journal: where everything is noted.
        tracing: where spans come from.
        run_limit: what policies let a run cost; None for no such policy.
        clock: the time, in seconds since the Unix epoch.
        metrics: where measurements go.
        codes: the code of the agents.
        control: hears what others ask of runs.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        journal: Journal,
        tracing: Tracing,
        run_limit: RunLimit | None,
        clock: Callable[[], float],
        *,
        metrics: Metrics,
        codes: Codes,
        control: Control,
    ) -> None:
        self._under_way: dict[str, anyio.CancelScope] = {}
        self._closed = False
        self._idle = anyio.Event()
        self._dispatcher = dispatcher
        self._journal = journal
        self._tracing = tracing
        self._run_limit = run_limit
        self._clock = clock
        self._metrics = metrics
        self._codes = codes
        self._control = control

    async def run(
        self,
        target: str,
        agent: str,
        payload: Any,
        options: RunOptions,
        wishes: tuple[Wish, ...],
        *,
        files: Mapping[str, str] | None = None,
    ) -> RunOutcome:
        """Run an agent at the root of a new run, and return what came of it; cancelling ends it.

        What came of it may be that it is parked: see ``RunOutcome.status``.

        Args:
            target: the workflow's or agent's name, for people.
            agent: the slug of the agent to start.
            payload: its input.
            options: how.
            wishes: whom its starter wants asked, strongest first.
            files: the files of its code, where they are to be kept.

        Raises:
            InvalidInput: the payload is no JSON.
            ConfigurationError: there is a run of that id already.
            Cancelled: the system is being stopped.
            JournalFailed: the journal cannot be written.
        """
        run_id = options.run_id or new_run_id(int(self._clock() * 1_000))
        async with self._noted(run_id):
            if options.run_id and await self._journal.run(run_id) is not None:
                raise ConfigurationError(f"run {run_id} is in the journal already")
            run = self._new(run_id, target, payload, options, wishes)
            run.code = self._code(agent)
            run.on_code_change = options.on_code_change or "continue"
            given, started = to_json(payload), current_time()
            root = self._root(run, agent, given, _usual(options.deadline_s))
            begin = partial(register, run, given, agent, options, files)
            return await self._carry_out(run, root, started, begin)
        raise Cancelled(f"run {run_id} was ended, as the system is being stopped")

    async def resume(
        self,
        run_id: str,
        options: ResumeOptions,
        check: Callable[[Recorded], Mapping[str, Any]],
        *,
        left_here: bool = False,
    ) -> RunOutcome:
        """Go on with a run that is parked or whose process has died, and return what came of it.

        Args:
            run_id: the run.
            options: how.
            check: refuses a run that cannot go on here; else it returns what the journal keeps of
                how it goes on.
            left_here: whether it may be one that this process has, and has left.

        Raises:
            UnknownName: there is no such run.
            ConfigurationError: it is over, its process has it, or it was never meant for that.
            CodeChanged: its code has changed, and it is told to refuse that.
            LimitReached: its time or money is used up, and the options give it no more.
            Cancelled: the system is being stopped.
            JournalFailed: the journal cannot be read or written.
        """
        async with self._noted(run_id):
            doubts = options.retry_in_doubt
            found = await take_over(
                self._journal,
                run_id,
                self._clock(),
                check=check,
                retry_in_doubt=doubts,
                left_here=left_here,
            )
            run, started = self._again(found, options), current_time()
            _tell_repeated(run, found.recorded)
            run.on_code_change = policy_of(found.recorded, options)
            if run.on_code_change == "refuse":
                found.recorded.be_strict(lambda difference: run.leave(parted(run.id, difference)))
            root = self._root(run, found.agent, found.payload, found.time_left)
            # A moment before it would fail for good: what it has done is then not lost.
            run.conduct.scope.deadline = started + found.time_left - SOONER_S
            outcome = await self._carry_out(run, root, started, _nothing)
            if outcome.status in ("completed", "failed"):
                _tell_orphans(run, found.recorded)
            return outcome
        raise Cancelled(f"run {run_id} was ended, as the system is being stopped")

    async def fork(
        self, found: Resumable, options: ForkOptions, inherited: list[EventRow]
    ) -> RunOutcome:
        """Begin a run with what it has of another one, and return what came of it.

        Args:
            found: what it is begun with.
            options: how.
            inherited: the records that it has of its source.

        Raises:
            ConfigurationError: there is a run of that id already.
            Cancelled: the system is being stopped.
            JournalFailed: the journal cannot be written.
        """
        async with self._noted(found.run_id):
            if options.run_id and await self._journal.run(found.run_id) is not None:
                raise ConfigurationError(f"run {found.run_id} is in the journal already")
            resumed = ResumeOptions(approve=options.approve, listener=options.listener)
            run, started = self._again(found, resumed), current_time()
            await self._inherit(run, inherited)
            root = self._root(run, found.agent, found.payload, found.time_left)
            how = RunOptions(deadline_s=found.time_left, argv=options.argv)
            begin = partial(register, run, found.payload, found.agent, how)
            outcome = await self._carry_out(run, root, started, begin)
            _tell_orphans(run, found.recorded)
            return outcome
        raise Cancelled(f"run {found.run_id} was ended, as the system is being stopped")

    async def _inherit(self, run: Run, records: list[EventRow]) -> None:
        """Copy records into a run's own journal, before the one that says that it has begun.

        A run that is killed meanwhile has never begun, and cannot be gone on with.
        """
        for number, event in enumerate(records):
            if number % INHERITED_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
                await self._journal.room()
            kind: Kind = event.kind  # type: ignore[assignment]  # it is from a journal
            self._journal.append(Record(run.id, kind, event.op, event.body, run.now))

    @asynccontextmanager
    async def _noted(self, run_id: str) -> AsyncIterator[None]:
        """Note that a run is under way, so that it can be ended."""
        if self._closed:
            raise Cancelled(f"the system is being stopped; run {run_id} was not begun")
        if run_id in self._under_way:
            raise ConfigurationError(f"run {run_id} is under way already; choose another run id")
        with anyio.CancelScope() as scope:
            self._under_way[run_id] = scope
            try:
                yield
            finally:
                del self._under_way[run_id]
                if not self._under_way:
                    self._idle.set()

    async def close(self) -> None:
        """Begin no more runs, end those that are under way, and wait for their last records."""
        self._closed = True
        with anyio.move_on_after(CLOSE_S, shield=True):
            while self._under_way:
                self._idle = anyio.Event()
                for scope in self._under_way.values():
                    scope.cancel()
                await self._idle.wait()

    def _new(
        self,
        run_id: str,
        target: str,
        payload: Any,
        options: RunOptions,
        wishes: tuple[Wish, ...],
    ) -> Run:
        named = Dialogue(options.conversation_id, options.session_id)
        return Run(
            run_id,
            target,
            budget=budget_of(options.budget_usd, self._run_limit),
            journal=self._journal,
            clock=self._clock,
            wishes=wishes,
            routing=options.routing,
            tenant=options.tenant or "",
            dialogue=named.or_else(dialogue_in(payload)),
            approve=options.approve,
            listener=options.listener,
            durability=options.durability or "fast",
        )

    def _again(self, found: Resumable, options: ResumeOptions) -> Run:
        run = Run(
            found.run_id,
            found.target,
            budget=limited(found.budget_nano_usd, self._run_limit),
            journal=self._journal,
            clock=self._clock,
            wishes=found.wishes,
            routing=found.routing,
            tenant=found.tenant,
            dialogue=found.dialogue,
            approve=options.approve,
            listener=options.listener,
            durability=found.durability,
        )
        run.epoch, run.recorded, run.code = found.epoch, found.recorded, self._code(found.agent)
        run.forked_from, run.overrides = found.forked_from, found.overrides
        run.budget.settle(0, found.recorded.spent)
        run.conduct.seen = found.recorded.seq
        if (asked := found.recorded.cancelled) is not None:  # whoever was to hear that has died
            said = (str(asked.get(name) or "") for name in ("by", "why"))
            run.conduct.stop(Halt("cancelled", *said))
        return run

    def _code(self, agent: str) -> CodeOfRun:
        return CodeOfRun(self._codes.of(agent), self._codes)

    def _root(self, run: Run, agent: str, payload: Any, deadline_s: float) -> Delegation:
        span = begin_span(run, self._tracing)
        return Delegation(
            run.task_id(agent),
            agent,
            payload,
            run_id=run.id,
            op=run.operation("", agent, None),
            deadline=current_time() + deadline_s,
            traceparent=span.traceparent,
        )

    async def _carry_out(
        self, run: Run, root: Delegation, started: float, begin: Callable[[], None]
    ) -> RunOutcome:
        result: Result[Any] | None = None
        conduct = run.conduct
        self._control.add(run)
        try:
            begin()
            with scoped(Scope({"run_id": run.id}, run.span)), conduct.scope:
                result = await self._dispatcher.run_root(run, root)
        except BaseException as error:
            _count_the_rest(run)
            try:
                sign_off(run, started, *ended_by(error), metrics=self._metrics)
            except RuntimeFault:  # the journal's: what ended the run is what its caller must hear
                logger.exception("the end of a run is not in the journal", extra={"run_id": run.id})
            raise
        finally:
            self._control.remove(run)
        _count_the_rest(run)
        if conduct.halt is not None and (result is None or conduct.is_parked):
            return self._halted(run, started, conduct.halt)
        if result is None and run.recorded is not None:
            used_s = run.recorded.used_s + current_time() - started
            run.leave(out_of_time(run.id, used_s))
        if run.left is not None:
            if run.span is not None:
                run.span.end(error_type=run.left.reason, message=str(run.left))
            if run.moves and isinstance(run.left, ConfigurationError):
                await run.set_aside(run.left)
            raise run.left
        if result is None:
            raise Cancelled(f"run {run.id} was ended")
        return self._conclude(run, started, result)

    def _halted(self, run: Run, started: float, halt: Halt) -> RunOutcome:
        """Return what came of a run that somebody has cancelled, or that is parked."""
        if run.conduct.is_parked:
            leave(run, halt)
            return _outcome(run, started, halt.status, waits_for=run.conduct.left)
        how = "cancelled", str(halt)
        sign_off(run, started, *how, halt=halt, metrics=self._metrics)
        return _outcome(run, started, "cancelled", reason=how[0], error=how[1])

    def _conclude(self, run: Run, started: float, result: Result[Any]) -> RunOutcome:
        status = "completed" if result.ok else "failed"
        if result.reason == "cancelled":
            status = "cancelled"
        outcome = _outcome(
            run,
            started,
            status,
            output=result.output if result.ok else None,
            error=result.error,
            reason=result.reason,
            value=result.value,
        )
        how = result.reason, result.error
        sign_off(run, started, *how, output=outcome.output, metrics=self._metrics)
        return outcome


def _outcome(
    run: Run,
    started: float,
    status: str,
    *,
    output: Any = None,
    error: str | None = None,
    reason: str | None = None,
    value: Any = None,
    waits_for: tuple[ApprovalRequest, ...] = (),
) -> RunOutcome:
    """Return what came of a run, with what it took."""
    cost, totals = run.totals.known_cost, run.totals
    return RunOutcome(
        run_id=run.id,
        trace_id=f"{run.trace_id:032x}",
        status=status,
        output=output,
        error=error,
        reason=reason,
        usage={
            "calls": totals.calls,
            "errors": totals.errors,
            "input_tokens": totals.input_tokens,
            "output_tokens": totals.output_tokens,
        },
        cost_usd=None if cost is None else usd(cost),
        unpriced_calls=totals.unpriced,
        duration_s=round(current_time() - started, 6),
        value=value,
        waits_for=waits_for,
        forked_from=run.forked_from,
    )


def _usual(deadline_s: float | None) -> float:
    return DEFAULT_DEADLINE_S if deadline_s is None else deadline_s


def _count_the_rest(run: Run) -> None:
    """Count what former processes have asked, and the code has not come to any more."""
    if run.recorded is not None:
        run.totals.add(run.recorded.newly_counted(""))


def _nothing() -> None:
    """A run that is gone on with was registered before."""


def _tell_repeated(run: Run, recorded: Recorded) -> None:
    """Say which steps were in flight and are done again: a model call may be paid twice."""
    steps = recorded.repeated()
    if steps:
        logger.info(
            "%d steps were in flight, and are done again; the first is %s",
            len(steps),
            steps[0],
            extra={"run_id": run.id, "steps": steps[:_MOST_NAMED]},
        )


def _tell_orphans(run: Run, recorded: Recorded) -> None:
    """Say which recorded steps the code did not come to any more: it has changed, or is random."""
    orphans = recorded.orphans()
    if not orphans:
        return
    first = orphans[0]
    found = recorded.instead_of(first)
    where, _, expected = first.op.rpartition("/")
    logger.warning(
        "%d recorded steps were not used again: the code has changed, or is not the same each time;"
        " the first, below %s: expected %s (%s), found %s",
        len(orphans),
        where or run.target,
        expected,
        first.kind,
        "no further step" if found is None else found.rpartition("/")[2],
        extra={"run_id": run.id},
    )
