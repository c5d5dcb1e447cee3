"""What is decided about a Delegation on its way, and how it is noted: no waiting in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from otel.attributes import invoke_agent_end
from otel.conventions import SUB_TRACE_EVENT, TRACE_CHILD
from otel.span import span_from
from runtime.engines import current_time, first_leaf
from runtime.errors import (
    DelegationCycle,
    DelegationFailed,
    InvalidInput,
    InvalidOutput,
    PolicyDenied,
    RuntimeFault,
)
from runtime.explicit import FOR_THE_RUNTIME, hints_of, says_something
from runtime.messages import Delegation, Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel import Span
    from runtime.activation import Activation
    from runtime.agent import Agent
    from runtime.directory import Entry
    from runtime.engines import Work
    from runtime.run import Run, Totals
    from runtime.sent import Sent
    from runtime.wishes import Sending

MAX_DEPTH = 64  # agents above one another; a recursion that does not end is a mistake
CARRIED = frozenset(("budget", "denied", "deadline", "cancelled"))  # reasons a caller passes on


class Answer(NamedTuple):
    """What a body came to: an answer, or a failure on purpose."""

    value: Any
    output: Any
    totals: Totals
    reason: str | None = None
    error: str | None = None


def addressed(
    activation: Activation, slug: str, deadline_s: float | None, payload: Any, how: Sending
) -> Delegation:
    """Fill in what the runtime needs besides the author's fields.

    Args:
        activation: the body that delegates.
        slug: the receiver.
        deadline_s: the seconds that the receiver gets for any Delegation; None for no limit.
        payload: the input, JSON data.
        how: how it is sent.
    """
    above, run = activation.delegation, activation.run
    return Delegation(
        how.task_id or run.task_id(slug),
        slug,
        payload,
        how.context,
        run_id=run.id,
        op=run.operation(above.op, slug, [payload, how.context]),
        parent=above.task_id,
        ancestors=activation.path,
        deadline=_earliest(above.deadline, how.deadline, deadline_s),
        traceparent=activation.span.traceparent,
        trace_id=_sub_trace(activation),
    )


def _earliest(deadline: float | None, *spans_s: float | None) -> float | None:
    """Return the earlier one of a time and of times so many seconds from now."""
    for seconds in spans_s:
        if seconds is not None:
            at = current_time() + seconds
            deadline = at if deadline is None else min(at, deadline)
    return deadline


def _sub_trace(activation: Activation) -> str:
    """Return the trace of a delegation where its caller's is full; its caller's span says so."""
    span, traces = activation.span, activation.run.traces
    if traces is None:
        return ""
    trace_id = traces.place(span.trace_id)
    if trace_id == span.trace_id:
        return ""
    name = f"{trace_id:032x}"
    if trace_id not in activation.sub_traces:
        activation.sub_traces |= {trace_id}
        span.event(SUB_TRACE_EVENT, {TRACE_CHILD: name})
    return name


def room_given_back(run: Run, delegation: Delegation) -> None:
    """Give back the room in its trace that was kept for a delegation."""
    if run.traces is None or delegation.traceparent is None:
        return
    above = span_from(delegation.traceparent)
    if delegation.trace_id:
        run.traces.ended(int(delegation.trace_id, 16))
    elif above is not None:
        run.traces.ended(above.trace_id)


def check_allowed(activation: Activation, slug: str) -> None:
    """Refuse a receiver that the catalog does not let this agent delegate to.

    Raises:
        PolicyDenied: it is not among the agent's agents.
    """
    allowed = activation.limits.agents
    if allowed is not None and slug not in allowed:
        raise PolicyDenied(
            f"agent {activation.agent.name} may not delegate to {slug!r};"
            " add it to the agent's agents"
        )


def cycle_of(entry: Entry, ancestors: tuple[str, ...]) -> str | None:
    """Return why a Delegation would never come to its turn; None when it may."""
    if entry.agent.per != "delegation" and entry.agent.name in ancestors:
        return f"{entry.agent.name} would wait for itself: it is busy further up"
    if len(ancestors) >= MAX_DEPTH:
        return f"{MAX_DEPTH} agents wait for one another already"
    return None


def check(entry: Entry, delegation: Delegation) -> tuple[Any, RuntimeFault | None]:
    """Return the arguments that an input means, or what is wrong with it."""
    cycle = cycle_of(entry, delegation.ancestors)
    if cycle is not None:
        return None, DelegationCycle(cycle)
    try:
        if delegation.context or says_something(delegation.input):
            hints_of(delegation.context, delegation.input)
        return arguments_of(entry.agent, delegation), None
    except InvalidInput as fault:
        return None, fault


def arguments_of(agent: Agent, delegation: Delegation) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments that an input means; what it says to the runtime is none of them.

    Raises:
        InvalidInput: the input has another type.
    """
    given = delegation.input
    if says_something(given):
        given = agent.signature.without(given, FOR_THE_RUNTIME)
    return agent.signature.arguments(given)


def note_sent(run: Run, delegation: Delegation, fault: RuntimeFault | None) -> RuntimeFault | None:
    """Note a Delegation and what is wrong with it; return that, also if it only shows now."""
    try:
        run.record("delegation_sent", delegation.op, envelope(delegation, fault))
    except (TypeError, ValueError) as error:
        return InvalidInput(f"input of {delegation.sag_id} is no JSON: {error}")
    return fault


def note_outcome(sent: Sent, answer: Answer, metrics: Mapping[str, Any]) -> Answer:
    """Note the outcome of a Delegation; an answer that the journal cannot hold is a failure."""
    op = sent.delegation.op
    note: dict[str, Any] = {"task": sent.delegation.task_id, "metrics": metrics}
    if answer.reason is None:
        try:
            sent.run.record("delegation_completed", op, note | {"output": answer.output})
        except (TypeError, ValueError) as error:
            text = f"output of {sent.delegation.sag_id} is no JSON: {error}"
            answer = Answer(None, {}, answer.totals, InvalidOutput.reason, text)
        else:
            return answer
    note |= {"error": answer.error, "reason": answer.reason}
    if sent.cancelled():  # nobody has seen how it ended: whoever asks again goes on with it
        sent.run.record("delegation_failed", op, note | {"unfinished": True}, terminal=False)
    else:
        sent.run.record("delegation_failed", op, note)
    return answer


def fault_of(error: Exception) -> RuntimeFault | None:
    """Return the fault that a body failed with; None for a crash, also one among faults."""
    if isinstance(error, ExceptionGroup) and error.split(RuntimeFault)[1] is not None:
        return None
    leaf = first_leaf(error)
    return leaf if isinstance(leaf, RuntimeFault) else None


def log_fields_of(work: Work) -> Mapping[str, object]:
    """Return what every line says that is logged while a body works on a Delegation."""
    delegation, ref = work.delegation, work.ref
    return {
        "run_id": delegation.run_id,
        "agent": delegation.sag_id,
        "task_id": delegation.task_id,
        "actor": delegation.sag_id if ref is None else ref.name,
    }


def ended_by(work: Work, error: BaseException) -> tuple[str, str]:
    """Return why a body that was cut off ended, and in words, as its span says it."""
    if work.ending is not None:
        return work.ending
    if isinstance(error, Exception):
        return "crashed", f"{type(error).__name__}: {error}".removesuffix(": ")
    return "killed", "its actor was killed"


def envelope(delegation: Delegation, fault: RuntimeFault | None) -> Mapping[str, Any]:
    """Return what the journal keeps of a Delegation."""
    note = {
        "agent": delegation.sag_id,
        "task": delegation.task_id,
        "parent": delegation.parent,
        "input": delegation.input,
        "context": delegation.context,
    }
    return note if fault is None else note | {"error": str(fault)}


def reason_of(fault: RuntimeFault) -> str:
    """Return the reason of a failure, as the caller of the failed agent hears it."""
    if isinstance(fault, DelegationFailed):
        return fault.cause if fault.cause in CARRIED else "delegation"
    return fault.reason


def result_of(task_id: str, answer: Answer, metrics: Mapping[str, Any]) -> Result[Any]:
    """Return the Result that an answer is for the one who delegated."""
    if answer.reason is None:
        return Result(task_id, "success", answer.output, metrics, value=answer.value)
    return Result(task_id, "failure", {}, metrics, answer.error, reason=answer.reason)


def end_span(span: Span, activation: Activation, answer: Answer) -> None:
    """Close the span of a body with what it took."""
    describe_end(span, activation)
    span.end(error_type=answer.reason, message=answer.error)


def describe_end(span: Span, activation: Activation) -> None:
    """Say what a body took."""
    if not span.is_recording:
        return
    totals = activation.totals
    span.set(
        invoke_agent_end(
            turns=activation.turns,
            calls=totals.calls,
            input_tokens=totals.input_tokens,
            output_tokens=totals.output_tokens,
            cost_nano_usd=totals.known_cost,
        )
    )
