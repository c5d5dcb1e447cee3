"""The OTLP exporter, watched: it counts what arrived, and says of an outage one line, not forty.

The stock exporters log every retry of every batch and forget how many spans they lost. While one
works here, its own records are caught, and told once in our words with the endpoint's name.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel.outage import Outage
from otel.stock import arguments_of, hear_first

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from otel.settings import ExportSettings

_EXPORTERS_LOGGERS = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
)
_watched: ContextVar[Outage | None] = ContextVar("watched", default=None)


class _ToOutage(logging.Filter):
    """Takes the records of an exporter that is being watched; all others pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        outage = _watched.get()
        if outage is not None:
            message = record.getMessage().removeprefix("Transient error ")
            outage.note(message.partition(" encountered while")[0])
        return outage is None


_to_outage = _ToOutage()


class WatchedExporter(SpanExporter):
    """Passes batches on to an exporter, and knows what became of them.

    Attributes:
        delivered: the spans that the collector took.
    """

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self.delivered = 0
        self._exporter = exporter
        self._outage = Outage(endpoint)
        self._closed = False
        self._closes_at = math.inf
        hear_first(_EXPORTERS_LOGGERS, _to_outage)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send one batch, with the retries of the exporter; blocks until its timeout at worst."""
        refused = self._closed or time.monotonic() > self._closes_at
        result = SpanExportResult.FAILURE if refused else self._sent(spans)
        if result is SpanExportResult.SUCCESS:
            self.delivered += len(spans)
            self._outage.over()
        else:
            self._outage.lost(len(spans))
        return result

    def shutdown(self) -> None:
        """Give up: a waiting retry ends now, and later batches are refused. Once is enough."""
        if not self._closed:
            self._closed = True
            with self._watching():
                self._exporter.shutdown()

    def close_in(self, seconds: float) -> None:
        """Refuse batches after so many seconds, and at once when the collector is out already."""
        self._closes_at = time.monotonic() + seconds
        if self._outage.lasting:
            self.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True: nothing is held back here."""
        del timeout_millis
        return True

    def _sent(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        reason = "a batch was refused"
        with self._watching():
            try:
                result = self._exporter.export(spans)
            except Exception as error:  # noqa: BLE001 - telemetry must not end the thread it is in
                result, reason = SpanExportResult.FAILURE, f"{type(error).__name__}: {error}"
        if result is not SpanExportResult.SUCCESS:
            self._outage.note(reason)
        return result

    @contextmanager
    def _watching(self) -> Iterator[None]:
        token = _watched.set(self._outage)
        try:
            yield
        finally:
            _watched.reset(token)


def otlp_exporter(settings: ExportSettings) -> SpanExporter:
    """Build the exporter for the protocol; only that one is imported.

    Raises:
        TelemetryMisconfigured: a file with a certificate or a key is not there.
    """
    arguments = arguments_of(settings)
    if settings.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import (  # noqa: PLC0415 - only where it is used
            trace_exporter as grpc_exporter,
        )

        return grpc_exporter.OTLPSpanExporter(**arguments)
    from opentelemetry.exporter.otlp.proto.http import (  # noqa: PLC0415 - as above
        trace_exporter as http_exporter,
    )

    return http_exporter.OTLPSpanExporter(**arguments)
