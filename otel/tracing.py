"""Spans as the runtime sees them. Nothing of OpenTelemetry is imported until spans leave.

``Tracing`` here and its ``Span`` record nothing: they only make ids, so that a run has its trace
id and every delegation a valid ``traceparent`` whether anybody listens or not. ``recording`` puts
a TracerProvider behind the same two names, ``delivery`` builds that provider from an endpoint.

The parent of a span is always said, never taken from the surroundings: an actor handles messages
of many runs, and the current span of whoever started it belongs to none of them.
"""

from __future__ import annotations

import os
import sys
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel.redaction import Redactor
from otel.resource import resource_attributes
from otel.secret_shapes import secrets_in
from otel.settings import export_settings, is_disabled
from otel.span import Span, random_id, span_from
from otel.spool.settings import export_by
from otel.trace_options import TraceOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.trace import TracerProvider

    from otel.attributes import AttributeValue
    from otel.span import Link, SpanKind

DEFAULT_SHUTDOWN_S: Final = 5.0

_LARGEST_TRACE_ID = (1 << 128) - 1


@dataclass(frozen=True, slots=True)
class SpanStatistics:
    """What became of the spans of this process.

    Attributes:
        started: spans that were begun.
        ended: spans that were closed.
        delivered: spans that the collector took, those of dead processes included.
        pending: spans that wait in the spool for a collector.
        rejected: spans that the collector refused for good.
        lost: spans that there was no room for.
        recovered: spans of dead processes that were found in the spool.
    """

    started: int = 0
    ended: int = 0
    delivered: int = 0
    pending: int = 0
    rejected: int = 0
    lost: int = 0
    recovered: int = 0


class Tracing:
    """Where spans come from. This one exports nothing and costs next to nothing.

    Attributes:
        options: what spans say beyond the usual.
    """

    options = TraceOptions()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.destination}>"

    @property
    def destination(self) -> str:
        """Where the spans go, for people to read."""
        return "nowhere"

    @property
    def is_recording(self) -> bool:
        """Whether spans that are started may be seen, so that they are worth describing."""
        return False

    def start(
        self,
        name: str,
        *,
        kind: SpanKind = "internal",
        parent: Span | str | None = None,
        trace_id: int | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
        links: Sequence[Link] = (),
        start_time_ns: int | None = None,
    ) -> Span:
        """Begin a span; whoever begins it ends it.

        Args:
            name: of low cardinality, e.g. ``chat gpt-5-mini``.
            kind: its OpenTelemetry kind.
            parent: the span, or the ``traceparent``, that it belongs to; None for a root. A
                ``traceparent`` that is not valid counts as None, as W3C wants it.
            trace_id: the trace id of a root, 1 to 2**128 - 1; None for a random one.
            attributes: what is known already; samplers see only these.
            links: the spans that it has to do with besides.
            start_time_ns: nanoseconds since the Unix epoch; None for now.

        Raises:
            ValueError: there are both a parent and a trace id, or the trace id has no 128 bits.
        """
        del name, kind, attributes, links, start_time_ns  # nothing is recorded
        above = parent_of(parent, trace_id)
        if above is None:
            return Span(trace_id or random_id(128), random_id(64))
        return Span(above.trace_id, random_id(64), above.flags)

    def statistics(self) -> SpanStatistics:
        """Return how many spans were started, ended and delivered by this process."""
        return SpanStatistics()

    @property
    def holds_up(self) -> bool:
        """Whether there is so little room for spans that nobody should begin anything new."""
        return False

    async def room(self) -> None:
        """Wait until there is room for spans again; called before something new begins."""

    async def shutdown(self, timeout_s: float = DEFAULT_SHUTDOWN_S) -> bool:
        """Send what is still queued, then stop. Never raises, never takes longer than it may.

        Args:
            timeout_s: the seconds it may take; what is not sent by then stays in the spool. Without
                a spool it is given up, and logged.

        Returns:
            Whether nothing was lost: every span that ended has arrived, or is kept.
        """
        del timeout_s
        return True


def parent_of(parent: Span | str | None, trace_id: int | None) -> Span | None:
    """Return the span that a new one belongs to; None when it is a root.

    Raises:
        ValueError: there are both a parent and a trace id, or the trace id has no 128 bits.
    """
    if trace_id is not None:
        if parent is not None:
            raise ValueError("a trace id is only for a root: a child has its parent's")
        if not 0 < trace_id <= _LARGEST_TRACE_ID:
            raise ValueError(f"a trace id has 128 bits and is not 0, got {trace_id}")
    return span_from(parent) if isinstance(parent, str) else parent


def configure_tracing(environ: Mapping[str, str] | None = None) -> Tracing:
    """Build the tracing that the ``OTEL_*`` variables ask for.

    A TracerProvider that a person has set for the whole process comes first: then spans go
    there. An author's module may set it, so import agents before calling this. Else an OTLP
    endpoint turns the export on: by the spool, or by the SDK's batches where gRPC or
    ``MAGSAG_TRACE_EXPORT=batch`` is asked for. ``MAGSAG_TRACE_EXPORT=spool`` keeps spans without an
    endpoint, too. Else, or with ``OTEL_SDK_DISABLED=true``, nothing is exported, and no part of
    OpenTelemetry is imported.

    Args:
        environ: the variables; None for those of the process.

    Raises:
        TelemetryMisconfigured: a variable cannot be understood; the message names it.
    """
    environ = os.environ if environ is None else environ
    if is_disabled(environ):
        return Tracing()
    if (provider := _provider_of_the_process()) is not None:
        from otel.recording import RecordingTracing  # noqa: PLC0415 - imports OpenTelemetry

        return RecordingTracing(provider, Redactor(secrets_in(environ)).text)
    settings, by = export_settings(environ), export_by(environ)
    if settings is None and by != "spool":
        return Tracing()
    resource = resource_attributes(environ, instance_id=str(uuid.uuid4()))
    redact = Redactor(secrets_in(environ)).text
    if settings is not None and (by == "batch" or settings.protocol == "grpc"):
        from otel.spool.sampling import sampler  # noqa: PLC0415 - like the last
        from otel.spool.span_limits import span_limits  # noqa: PLC0415 - like the last

        span_limits(environ)  # the SDK raises where it is imported, in words of its own
        sampled = sampler(environ)
        from otel.delivery import deliver  # noqa: PLC0415 - imports the SDK, 0.2 s

        return deliver(settings, resource, redact, sampled)
    from otel.spool.tracing import spool_to  # noqa: PLC0415 - imports OpenTelemetry

    return spool_to(settings, environ, resource, redact)


def _provider_of_the_process() -> TracerProvider | None:
    if "opentelemetry.trace" not in sys.modules:
        return None  # nobody can have set one, and importing it to look costs 50 ms
    from otel.recording import provider_of_the_process  # noqa: PLC0415 - as above

    return provider_of_the_process()
