"""The span of an agent's planning, ``plan {agent}``: the model call of it is its child."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from otel.attributes import plan_start, span_name
from otel.conventions import PLAN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel import Span, Tracing
    from otel.attributes import Attributes
    from runtime.activation import Activation


@contextmanager
def planning(tracing: Tracing, activation: Activation) -> Iterator[Span]:
    """Give the span in which an agent plans; it ends with the block, and as that does."""
    name = span_name(PLAN, activation.agent.name)
    attributes = _described(activation) if tracing.is_recording else None
    span = tracing.start(name, parent=activation.span, attributes=attributes)
    activation.run.spans_began(span.trace_id)
    try:
        with span.attached():
            yield span
    except BaseException as error:
        span.end(error_type=activation.reason_of(error), message=str(error))
        raise
    span.end()


def _described(activation: Activation) -> Attributes:
    dialogue = activation.dialogue
    return plan_start(
        activation.agent.name,
        run_id=activation.run.id,
        task_id=activation.delegation.task_id,
        conversation_id=dialogue.conversation_id,
        session_id=dialogue.session_id,
    )
