"""Telemetry: what a run did, for people and for Jaeger. Knows neither the runtime nor providers.

Read it in this order:

- ``conventions``: every name that is emitted.
- ``attributes``, ``chat_attributes``, ``attempt_attributes``: what each kind of span says.
- ``span``, ``tracing``: ``configure_tracing``, ``Tracing``, ``Span``; all that the runtime sees.
- ``contents``, ``openinference``, ``trace_options``: what spans say beyond the usual.
- ``settings``, ``resource``: what the ``OTEL_*`` variables ask for.
- ``recording``, ``sendable``, ``trace_ids``: spans given to any TracerProvider.
- ``exporter``, ``delivery``, ``flushing``: from a span to an OTLP collector, counted and bounded.
- ``secret_shapes``, ``redaction``: what people read, without secrets.
- ``log_fields``, ``logs``: ``configure_logging`` and ``bind``.

Importing this package imports neither OpenTelemetry nor structlog.
"""

from otel.log_fields import bind
from otel.logs import configure_logging
from otel.settings import TelemetryMisconfigured
from otel.span import Span
from otel.tracing import SpanStatistics, Tracing, configure_tracing

__all__ = [
    "Span",
    "SpanStatistics",
    "TelemetryMisconfigured",
    "Tracing",
    "bind",
    "configure_logging",
    "configure_tracing",
]
