"""The samplers of the spool, as the SDK asks them: its own looks at bits that are not random."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

from otel.span import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, TraceState
    from opentelemetry.util.types import Attributes

    from otel.spool.sampling import Sampler as OurSampler


class SdkSampler(Sampler):
    """Lets the SDK ask a sampler of ours.

    Args:
        sampled: that sampler.
    """

    def __init__(self, sampled: OurSampler) -> None:
        self._sampled = sampled

    def should_sample(  # noqa: PLR0917  # the SDK's own signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Return whether a span is recorded."""
        del name, kind, links, trace_state
        above = trace.get_current_span(parent_context).get_span_context()
        parent = Span(above.trace_id, above.span_id, above.trace_flags) if above.is_valid else None
        if self._sampled.takes(trace_id, parent):
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, above.trace_state)
        return SamplingResult(Decision.DROP, None, above.trace_state)

    def get_description(self) -> str:
        """Return what it does, for people to read."""
        return repr(self._sampled)
