"""One run from its start to its end: root span, journal, budget, deadline, and what came of it."""

from __future__ import annotations

import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any

import anyio

from otel.attributes import invoke_workflow_end, invoke_workflow_start, span_name
from otel.conventions import INVOKE_WORKFLOW
from runtime.errors import (
    Cancelled,
    ConfigurationError,
    RuntimeFault,
)
from runtime.governance.budget import Budget
from runtime.governance.cost import NANO, usd
from runtime.identity import new_run_id
from runtime.messages import Delegation
from runtime.outcome import RunOptions, RunOutcome
from runtime.run import Overrides, Run
from runtime.signature import to_json

if TYPE_CHECKING:
    from otel import Tracing
    from runtime.dispatch import Dispatcher
    from runtime.governance.policy import RunLimit
    from runtime.journal import Journal, Kind
    from runtime.messages import Result

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
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        journal: Journal,
        tracing: Tracing,
        run_limit: RunLimit | None,
    ) -> None:
        self._under_way: dict[str, anyio.CancelScope] = {}
        self._closed = False
        self._idle = anyio.Event()
        self._dispatcher = dispatcher
        self._journal = journal
        self._tracing = tracing
        self._run_limit = run_limit

    async def run(self, target: str, agent: str, payload: Any, options: RunOptions) -> RunOutcome:
        """Run an agent at the root of a new run, and return what came of it; cancelling ends it.

        Args:
            target: the workflow's or agent's name, for people.
            agent: the slug of the agent to start.
            payload: its input.
            options: how.

        Raises:
            InvalidInput: the payload is no JSON.
            ConfigurationError: there is a run of that id already.
            Cancelled: the system is being stopped.
            JournalFailed: the journal cannot be written.
        """
        run_id = options.run_id or new_run_id(time.time_ns() // 1_000_000)
        if self._closed:
            raise Cancelled(f"the system is being stopped; run {run_id} was not begun")
        if run_id in self._under_way:
            raise ConfigurationError(f"run {run_id} is under way already; choose another run id")
        with anyio.CancelScope() as scope:
            self._under_way[run_id] = scope
            try:
                if options.run_id and await self._journal.run(run_id) is not None:
                    raise ConfigurationError(f"run {run_id} is in the journal already")
                return await self._run(run_id, target, agent, payload, options)
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

    async def _run(
        self, run_id: str, target: str, agent: str, payload: Any, options: RunOptions
    ) -> RunOutcome:
        given = to_json(payload)
        run = Run(
            run_id,
            target,
            budget=self._budget(options),
            overrides=Overrides(provider=options.provider, model=options.model),
            journal=self._journal,
            clock=_wall_clock,
            listener=options.listener,
        )
        started = anyio.current_time()
        attributes = invoke_workflow_start(target, run_id=run.id)
        name = span_name(INVOKE_WORKFLOW, target)
        run.span = self._tracing.start(name, trace_id=run.trace_id, attributes=attributes)
        limit = options.deadline_s
        root = Delegation(
            run.task_id(agent),
            agent,
            given,
            run_id=run.id,
            op=run.operation("", agent, None),
            deadline=started + (DEFAULT_DEADLINE_S if limit is None else limit),
            traceparent=run.span.traceparent,
        )
        try:
            run.record("run_started", "", _started(run, given, options))
            result = await self._dispatcher.run_root(run, root)
        except BaseException as error:
            try:
                self._finish(run, started, *_ended_by(error))
            except RuntimeFault:  # the journal's: what ended the run is what its caller must hear
                logger.exception("the end of a run is not in the journal", extra={"run_id": run_id})
            raise
        return self._conclude(run, started, result)

    def _budget(self, options: RunOptions) -> Budget:
        limit, source = None, ""
        if options.budget_usd is not None:
            limit = int(options.budget_usd * NANO)
        if self._run_limit is not None and (limit is None or self._run_limit.amount < limit):
            limit, source = self._run_limit.amount, f" ({self._run_limit.source})"
        return Budget(limit, source)

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
        self._finish(run, started, result.reason, result.error, output=outcome.output)
        return outcome

    def _finish(
        self,
        run: Run,
        started: float,
        reason: str | None,
        error: str | None,
        output: Any = None,
    ) -> None:
        totals = run.totals
        if run.span is not None:
            run.span.set(
                invoke_workflow_end(
                    calls=totals.calls,
                    input_tokens=totals.input_tokens,
                    output_tokens=totals.output_tokens,
                    cost_nano_usd=totals.known_cost,
                )
            )
            run.span.end(error_type=reason, message=error)
        body = {"duration_s": round(anyio.current_time() - started, 6)}
        if reason is None:
            run.record("run_completed", "", body | {"output": output})
        else:
            kind: Kind = "run_cancelled" if reason == "cancelled" else "run_failed"
            run.record(kind, "", body | {"error": error, "reason": reason})


def _ended_by(error: BaseException) -> tuple[str, str]:
    """Return the reason and the text of what ended a run from outside."""
    if isinstance(error, anyio.get_cancelled_exc_class() | KeyboardInterrupt):
        return "cancelled", "it was cancelled"
    reason = error.reason if isinstance(error, RuntimeFault) else "crashed"
    return reason, f"{type(error).__name__}: {error}".removesuffix(": ")


def _started(run: Run, payload: Any, options: RunOptions) -> dict[str, Any]:
    return {
        "target": run.target,
        "input": payload,
        "trace_id": f"{run.trace_id:032x}",
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "argv": list(options.argv),
        "budget_nano_usd": run.budget.limit,
    }


def _wall_clock() -> float:
    return time.time_ns() / 1e9
