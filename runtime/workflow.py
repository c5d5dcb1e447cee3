"""One run from its start to its end: root span, journal, budget, deadline, and what came of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio

from otel.log_scope import Scope, scoped
from runtime.dialogues import Dialogue, dialogue_in
from runtime.errors import (
    Cancelled,
    ConfigurationError,
    RuntimeFault,
)
from runtime.governance.cost import usd
from runtime.identity import new_run_id
from runtime.messages import Delegation
from runtime.outcome import RunOptions, RunOutcome
from runtime.registration import begin_span, budget_of, ended_by, register, sign_off
from runtime.run import Run
from runtime.signature import to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel import Metrics, Tracing
    from runtime.dispatch import Dispatcher
    from runtime.governance.policy import RunLimit
    from runtime.journal import Journal
    from runtime.messages import Result
    from runtime.routing import Wish

CLOSE_S = 5.0  # what runs that are under way get to end when the system stops
DEFAULT_DEADLINE_S = 3_600.0  # nothing runs for ever because nobody said for how long
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

    async def run(
        self, target: str, agent: str, payload: Any, options: RunOptions, wishes: tuple[Wish, ...]
    ) -> RunOutcome:
        """Run an agent at the root of a new run, and return what came of it; cancelling ends it.

        Args:
            target: the workflow's or agent's name, for people.
            agent: the slug of the agent to start.
            payload: its input.
            options: how.
            wishes: whom its starter wants asked, strongest first.

        Raises:
            InvalidInput: the payload is no JSON.
            ConfigurationError: there is a run of that id already.
            Cancelled: the system is being stopped.
            JournalFailed: the journal cannot be written.
        """
        run_id = options.run_id or new_run_id(int(self._clock() * 1_000))
        if self._closed:
            raise Cancelled(f"the system is being stopped; run {run_id} was not begun")
        if run_id in self._under_way:
            raise ConfigurationError(f"run {run_id} is under way already; choose another run id")
        with anyio.CancelScope() as scope:
            self._under_way[run_id] = scope
            try:
                if options.run_id and await self._journal.run(run_id) is not None:
                    raise ConfigurationError(f"run {run_id} is in the journal already")
                run = self._new(run_id, target, payload, options, wishes)
                return await self._run(run, agent, payload, options)
            finally:
                del self._under_way[run_id]
                if not self._under_way:
                    self._idle.set()
        raise Cancelled(f"run {run_id} was ended, as the system is being stopped")

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
        )

    async def _run(self, run: Run, agent: str, payload: Any, options: RunOptions) -> RunOutcome:
        given = to_json(payload)
        started = anyio.current_time()
        span = begin_span(run, self._tracing)
        limit = options.deadline_s
        root = Delegation(
            run.task_id(agent),
            agent,
            given,
            run_id=run.id,
            op=run.operation("", agent, None),
            deadline=started + (DEFAULT_DEADLINE_S if limit is None else limit),
            traceparent=span.traceparent,
        )
        with scoped(Scope({"run_id": run.id}, span)):
            return await self._carry_out(run, root, started, options)

    async def _carry_out(
        self, run: Run, root: Delegation, started: float, options: RunOptions
    ) -> RunOutcome:
        try:
            register(run, root.input, options.argv)
            result = await self._dispatcher.run_root(run, root)
        except BaseException as error:
            try:
                sign_off(run, started, *ended_by(error), metrics=self._metrics)
            except RuntimeFault:  # the journal's: what ended the run is what its caller must hear
                logger.exception("the end of a run is not in the journal", extra={"run_id": run.id})
            raise
        return self._conclude(run, started, result)

    def _conclude(self, run: Run, started: float, result: Result[Any]) -> RunOutcome:
        cost, totals = run.totals.known_cost, run.totals
        status = "completed" if result.ok else "failed"
        if result.reason == "cancelled":
            status = "cancelled"
        outcome = RunOutcome(
            run_id=run.id,
            trace_id=f"{run.trace_id:032x}",
            status=status,
            output=result.output if result.ok else None,
            error=result.error,
            reason=result.reason,
            usage={
                "calls": totals.calls,
                "errors": totals.errors,
                "input_tokens": totals.input_tokens,
                "output_tokens": totals.output_tokens,
            },
            cost_usd=None if cost is None else usd(cost),
            unpriced_calls=totals.unpriced,
            duration_s=round(anyio.current_time() - started, 6),
            value=result.value,
        )
        how = result.reason, result.error
        sign_off(run, started, *how, output=outcome.output, metrics=self._metrics)
        return outcome
