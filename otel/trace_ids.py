"""A run's id as its trace id. Give it to a TracerProvider of your own to get the same.

TracerProvider(id_generator=RunTraceIds())
"""

from __future__ import annotations

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from otel.recording import wanted_trace_id


class RunTraceIds(RandomIdGenerator):
    """Random ids, but a root span gets the trace id that it was started with."""

    def generate_trace_id(self) -> int:
        """Return the 128-bit id that was asked for, or else a random one."""
        return wanted_trace_id.get() or super().generate_trace_id()

    def is_trace_id_random(self) -> bool:
        """Return False: a run id that a person chose is hashed, which W3C does not call random."""
        return False
