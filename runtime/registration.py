"""A run is entered into the journal and its trace when it begins, and signed off when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from otel import NO_METRICS
from otel.attributes import invoke_workflow_end, invoke_workflow_start, span_name
from otel.conventions import INVOKE_WORKFLOW, RUN_STATUS
from otel.measurements import run_ended
from runtime.engines import current_time
from runtime.errors import InvalidInput, RuntimeFault
from runtime.governance.budget import Budget
from runtime.governance.cost import NANO
from runtime.journal.liveness import owner_note
from runtime.journal.location import without_passwords
from runtime.traces import Traces

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from otel import Metrics, Span, Tracing
    from runtime.conduct import Halt
    from runtime.governance.policy import RunLimit
    from runtime.journal import Kind
    from runtime.outcome import RunOptions
    from runtime.run import Run


def budget_of(budget_usd: Decimal | float | None, limit: RunLimit | None) -> Budget:
    """Return what a run may spend: what its starter says, or what policies say where that is less.

    Args:
        budget_usd: what its starter says; None for nothing.
        limit: what policies say; None for nothing.
    """
    return limited(None if budget_usd is None else int(budget_usd * NANO), limit)


def limited(wished: int | None, limit: RunLimit | None) -> Budget:
    """Return what a run may spend; see ``budget_of``.

    Args:
        wished: what its starter says, in nano-USD; None for nothing.
        limit: what policies say; None for nothing.
    """
    if limit is not None and (wished is None or limit.amount < wished):
        return Budget(*limit)
    return Budget(wished)


def begin_span(run: Run, tracing: Tracing) -> Span:
    """Start the root span of a run."""
    dialogue = run.dialogue
    attributes = invoke_workflow_start(
        run.target,
        run_id=run.id,
        session_id=dialogue.session_id,
        conversation_id=dialogue.conversation_id,
        forked_from=run.forked_from,
    )
    name = span_name(INVOKE_WORKFLOW, run.target)
    run.span = tracing.start(name, trace_id=run.trace_id, attributes=attributes)
    # A provider that makes its own trace ids would not put spans where we count them.
    if run.span.is_recording and run.span.trace_id == run.trace_id:
        run.traces = Traces(run.id, tracing.options.most_spans)
        run.traces.began(run.trace_id)
    return run.span


def register(
    run: Run,
    payload: Any,
    agent: str,
    options: RunOptions,
    files: Mapping[str, str] | None = None,
) -> None:
    """Note that a run begins, and all that it needs to go on in another process.

    Args:
        run: the run.
        payload: its input, JSON data.
        agent: the slug of the agent that begins.
        options: how it was started.
        files: the files of its code, where they are to be kept.

    Raises:
        InvalidInput: the payload has a number that JSON has none for.
        JournalFailed: the journal is closed.
    """
    body = {
        "target": run.target,
        "input": payload,
        "trace_id": f"{run.trace_id:032x}",
        **owner_note(),
        "argv": [*map(without_passwords, options.argv)],
        "budget_nano_usd": run.budget.limit,
        "agent": agent,
        "deadline_s": options.deadline_s,
        **_set(
            tenant=run.tenant,
            routing=run.routing,
            durability="" if run.durability == "fast" else run.durability,
            wishes=[list(wish) for wish in run.wishes],
            conversation_id=run.dialogue.conversation_id,
            session_id=run.dialogue.session_id,
            on_code_change=options.on_code_change,
            forked_from=run.forked_from,
            code=None if run.code is None else run.code.code.as_json(),
        ),
    }
    try:
        run.record("run_started", "", body)
    except TypeError as error:
        raise InvalidInput(f"input of {run.target} is no JSON: {error}") from error
    if files is not None:
        run.record("run_code", "code", {"files": dict(files)})


def sign_off(
    run: Run,
    started: float,
    reason: str | None,
    error: str | None,
    *,
    output: Any = None,
    halt: Halt | None = None,
    metrics: Metrics = NO_METRICS,
) -> None:
    """Note how a run ended, and close its span with what it took.

    Args:
        run: the run.
        started: when it began, in seconds of the event loop's clock.
        reason: the class of its failure; None when it completed.
        error: the same in words.
        output: its answer, JSON data.
        halt: who has ended it from outside; None where nobody has.
        metrics: where measurements go.

    Raises:
        JournalFailed: the journal is closed.
    """
    seconds = current_time() - started
    if metrics.on:
        run_ended(metrics, run.target, seconds=seconds, error_type=reason)
    _end_span(run, reason, error)
    body = {"duration_s": round(seconds, 6)}
    if reason is None:
        run.record("run_completed", "", body | {"output": output})
    else:
        kind: Kind = "run_cancelled" if reason == "cancelled" else "run_failed"
        who = {} if halt is None else {"by": halt.by, "why": halt.why}
        run.record(kind, "", body | {"error": error, "reason": reason} | who)


def leave(run: Run, halt: Halt) -> None:
    """Close the span of a run that is parked; it gets another where it goes on."""
    if run.span is not None:
        run.span.set({RUN_STATUS: halt.status})
    _end_span(run, None, None)


def _end_span(run: Run, reason: str | None, error: str | None) -> None:
    totals = run.totals
    if run.span is None:
        return
    run.span.set(
        invoke_workflow_end(
            calls=totals.calls,
            input_tokens=totals.input_tokens,
            output_tokens=totals.output_tokens,
            cost_nano_usd=totals.known_cost,
        )
    )
    run.span.end(error_type=reason, message=error)


def ended_by(error: BaseException) -> tuple[str, str]:
    """Return the reason and the text of what ended a run from outside."""
    if isinstance(error, anyio.get_cancelled_exc_class() | KeyboardInterrupt):
        return "cancelled", "it was cancelled"
    reason = error.reason if isinstance(error, RuntimeFault) else "crashed"
    return reason, f"{type(error).__name__}: {error}".removesuffix(": ")


def _set(**said: Any) -> dict[str, Any]:
    """Return what is said, without what is empty."""
    return {name: value for name, value in said.items() if value}
