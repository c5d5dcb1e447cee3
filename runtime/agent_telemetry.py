"""What spans and metrics say of bodies at work: ``invoke_agent``, from its start to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel.attributes import invoke_agent_start, span_name
from otel.conventions import INVOKE_AGENT, TRACE_PARENT
from otel.measurements import agent_began, agent_ended
from otel.span import Link, span_from
from runtime.dialogues import dialogue_of
from runtime.engines import current_time

if TYPE_CHECKING:
    from otel import Metrics, Span, Tracing
    from otel.attributes import Attributes
    from runtime.activation import Activation
    from runtime.agent import Agent
    from runtime.engines import Work
    from runtime.run import Run


class AgentTelemetry:
    """Starts the spans of bodies, and measures them.

    Args:
        tracing: where spans come from.
        metrics: where measurements go.
    """

    def __init__(self, tracing: Tracing, metrics: Metrics) -> None:
        self._tracing = tracing
        self._metrics = metrics

    def begin(self, run: Run, agent: Agent, work: Work) -> Span:
        """Start the span of a body: below that of its sender, or at the root of a sub-trace."""
        delegation = work.delegation
        name = span_name(INVOKE_AGENT, delegation.sag_id)
        if not self._tracing.is_recording:
            return self._tracing.start(name, parent=delegation.traceparent)
        above = span_from(delegation.traceparent or "")
        if delegation.trace_id and above is not None:
            trace_parent = f"{above.trace_id:032x}"
            span = self._tracing.start(
                name,
                trace_id=int(delegation.trace_id, 16),
                attributes=_described(run, agent, work, trace_parent),
                links=[Link(above, {TRACE_PARENT: trace_parent})],
            )
        else:
            attributes = _described(run, agent, work)
            span = self._tracing.start(name, parent=above, attributes=attributes)
        run.spans_began(span.trace_id)
        return span

    def began(self, work: Work) -> float:
        """Measure how long the message lay in the mailbox, and return the time."""
        if not self._metrics.on:
            return 0.0
        now = current_time()
        if work.attempts <= 1:  # a restart has waited for its back-off, not in a mailbox
            agent_began(self._metrics, work.delegation.sag_id, now - work.since)
        return now

    def ended(self, activation: Activation, began: float, reason: str | None) -> None:
        """Measure what a body took.

        Args:
            activation: the body.
            began: what ``began`` returned.
            reason: why it failed; None if it did not.
        """
        if self._metrics.on:
            agent_ended(
                self._metrics,
                activation.agent.name,
                seconds=current_time() - began,
                inference_calls=activation.model_calls,
                tool_calls=activation.tool_calls,
                error_type=reason,
            )


def _described(run: Run, agent: Agent, work: Work, trace_parent: str | None = None) -> Attributes:
    """Return what the span of a body says at its start."""
    delegation, ref = work.delegation, work.ref
    dialogue = dialogue_of(delegation.context, delegation.input, run.dialogue)
    waited_ms = round((current_time() - work.since) * 1_000, 3)
    return invoke_agent_start(
        delegation.sag_id,
        run_id=run.id,
        task_id=delegation.task_id,
        description=agent.description or None,
        actor_id=None if ref is None else f"{ref.name}#{ref.id}",
        delegated_by=delegation.ancestors[-1] if delegation.ancestors else None,
        depth=len(delegation.ancestors),
        message_id=delegation.op,
        mailbox_wait_ms=waited_ms if work.attempts == 1 else None,
        conversation_id=dialogue.conversation_id,
        session_id=dialogue.session_id,
        trace_parent=trace_parent,
    )
