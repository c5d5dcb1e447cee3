"""Spans on their way to a collector: the SDK's own batch processor, counted and bounded.

    span.end() -> queue of 65,536 -> a thread, batches of 128 -> WatchedExporter -> OTLP

In this form the queue is memory: what a killed process had not sent is lost, and so is a batch
that the collector did not take within the exporter's timeout. Both are counted, and told at the
end. When the queue is full the oldest span goes first.
"""

from __future__ import annotations

import atexit
import logging
import threading
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otel.exporter import WatchedExporter, otlp_exporter
from otel.flushing import finished
from otel.recording import OwnProvider, RecordingTracing
from otel.sdk_sampler import SdkSampler
from otel.settings import TelemetryMisconfigured
from otel.trace_ids import RunTraceIds
from otel.tracing import DEFAULT_SHUTDOWN_S, SpanStatistics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace import Span as SdkSpan

    from otel.settings import ExportSettings
    from otel.spool.sampling import Sampler

_log = logging.getLogger("otel.delivery")

_QUEUE = 65_536
_BATCH = 128
_DELAY_MS = 500


class RuntimeTracerProvider(OwnProvider, TracerProvider):
    """The TracerProvider that this runtime builds itself."""


class CountingProcessor(BatchSpanProcessor):
    """The batch processor, which also knows how many spans began and ended.

    Attributes:
        started: sampled spans that began.
        ended: sampled spans that ended.
    """

    def __init__(self, exporter: WatchedExporter) -> None:
        super().__init__(
            exporter,
            max_queue_size=_QUEUE,
            max_export_batch_size=_BATCH,
            schedule_delay_millis=_DELAY_MS,
        )
        self.started = 0
        self.ended = 0
        self._counting = threading.Lock()

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        """Count a span that begins."""
        if span.get_span_context().trace_flags.sampled:
            with self._counting:
                self.started += 1
        super().on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Count a span that ends, and queue it."""
        if span.context is not None and span.context.trace_flags.sampled:
            with self._counting:
                self.ended += 1
        super().on_end(span)


class DeliveringTracing(RecordingTracing):
    """Spans that go to an OTLP collector."""

    def __init__(
        self,
        provider: RuntimeTracerProvider,
        processor: CountingProcessor,
        exporter: WatchedExporter,
        endpoint: str,
        redact: Callable[[str], str],
    ) -> None:
        super().__init__(provider, redact)
        self._own = provider
        self._processor = processor
        self._exporter = exporter
        self._endpoint = endpoint
        self._stopped = False
        atexit.register(self._at_exit)

    @property
    def destination(self) -> str:  # noqa: D102 - as in Tracing
        return self._endpoint

    def statistics(self) -> SpanStatistics:  # noqa: D102 - as in Tracing
        started, ended = self._processor.started, self._processor.ended
        delivered = self._exporter.delivered
        return SpanStatistics(started, ended, delivered, pending=ended - delivered)

    async def shutdown(self, timeout_s: float = DEFAULT_SHUTDOWN_S) -> bool:
        """Send what is queued, in a thread, and give up what is not sent in time.

        The SDK's own ``force_flush`` takes no notice of its timeout and blocks its caller, and
        its ``shutdown`` waits 30 s. Neither may hold up the event loop or the end of the process.
        """
        if not self._stopped:
            self._stopped = True
            try:
                await finished(self._own.shutdown, timeout_s)
            finally:
                self._exporter.shutdown()
                atexit.unregister(self._at_exit)
                self._tell_losses()
        return self._undelivered() == 0

    def _undelivered(self) -> int:
        counted = self.statistics()
        return counted.ended - counted.delivered

    def _tell_losses(self) -> None:
        counted, undelivered = self.statistics(), self._undelivered()
        if undelivered:
            _log.error(
                "%d of %d spans may be lost: %s did not take them",
                undelivered,
                counted.ended,
                self._endpoint,
                extra={"endpoint": self._endpoint, "undelivered": undelivered},
            )

    def _at_exit(self) -> None:
        """Flush when nobody awaited ``shutdown``.

        No thread can be started this late, so the bound is a soft one: what is being sent may
        still take the exporter's own timeout.
        """
        self._exporter.close_in(DEFAULT_SHUTDOWN_S)
        self._own.shutdown()
        self._tell_losses()


def deliver(
    settings: ExportSettings,
    resource: Mapping[str, str],
    redact: Callable[[str], str],
    sampled: Sampler,
) -> DeliveringTracing:
    """Build everything between a span and the collector.

    The provider becomes that of the process where none is set, so that other instrumentation, and
    an author's own ``opentelemetry.trace.get_tracer``, reach the same collector.

    Args:
        settings: where the spans go.
        resource: what is said about this process.
        redact: takes secrets out of the messages of failed spans.
        sampled: which spans are recorded.

    Raises:
        TelemetryMisconfigured: a certificate is not there, or a limit of the SDK is not a number.
    """
    exporter = WatchedExporter(otlp_exporter(settings), settings.shown_endpoint)
    try:
        provider = RuntimeTracerProvider(
            resource=Resource.create(dict(resource)),
            id_generator=RunTraceIds(),
            sampler=SdkSampler(sampled),
            shutdown_on_exit=False,
        )
    except ValueError as error:  # the SDK reads span limits itself, and names the variable
        raise TelemetryMisconfigured(str(error)) from error
    processor = CountingProcessor(exporter)
    provider.add_span_processor(processor)
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(provider)
    return DeliveringTracing(provider, processor, exporter, settings.shown_endpoint, redact)
