"""Telemetry: what a run did, for people and for Jaeger. Knows neither the runtime nor providers.

Read it in this order:

- ``conventions``: every name that is emitted.
- ``attributes``, ``chat_attributes``, ``attempt_attributes``: what each kind of span says.
- ``span``, ``tracing``: ``configure_tracing``, ``Tracing``, ``Span``; all that the runtime sees.
- ``contents``, ``openinference``, ``trace_options``: what spans say beyond the usual.
- ``settings``, ``certificates``, ``resource``: what the ``OTEL_*`` variables ask for.
- ``recording``, ``sendable``, ``trace_ids``: spans given to any TracerProvider.
- ``spool``: spans that wait in files until a collector has taken them.
- ``exporter``, ``sdk_sampler``, ``delivery``, ``flushing``: the SDK's own batches to a collector
  instead.
- ``instruments``, ``measurements``: what is measured.
- ``metrics``: ``configure_metrics``, ``Metrics``; all that the runtime sees of them.
- ``metering``: measurements given to any MeterProvider.
- ``metric_settings``, ``metric_exporter``, ``metric_page``, ``metric_delivery``: from a measurement
  to a collector, or to the page that Prometheus reads.
- ``secret_shapes``, ``redaction``: what people read, without secrets.
- ``log_scope``, ``log_fields``: what stands on a log line, and whose work it is; ``bind``.
- ``structlog_lines``, ``late_structlog``: how a line is made, from the first one on.
- ``line_writer``, ``line_handler``: lines that nobody waits for; ``logs``: ``configure_logging``.

Importing this package imports neither OpenTelemetry nor structlog.
"""

from otel.log_scope import bind
from otel.logs import configure_logging
from otel.metrics import NO_METRICS, Metrics, Reading, configure_metrics
from otel.settings import TelemetryMisconfigured
from otel.span import Span
from otel.tracing import SpanStatistics, Tracing, configure_tracing

__all__ = [
    "NO_METRICS",
    "Metrics",
    "Reading",
    "Span",
    "SpanStatistics",
    "TelemetryMisconfigured",
    "Tracing",
    "bind",
    "configure_logging",
    "configure_metrics",
    "configure_tracing",
]
