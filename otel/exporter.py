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
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel.certificates import check_files
from otel.outage import Outage

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
        for name in _EXPORTERS_LOGGERS:
            logging.getLogger(name).addFilter(_to_outage)  # adding it twice adds it once

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
    check_files(settings)
    return _grpc(settings) if settings.protocol == "grpc" else _http(settings)


def _http(settings: ExportSettings) -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http import (  # noqa: PLC0415 - only where it is used
        Compression,
        trace_exporter,
    )

    return trace_exporter.OTLPSpanExporter(
        endpoint=settings.endpoint,
        headers=dict(settings.headers),
        timeout=settings.timeout_s,
        compression=Compression(settings.compression),
        certificate_file=settings.certificate,
        client_key_file=settings.client_key,
        client_certificate_file=settings.client_certificate,
    )


def _grpc(settings: ExportSettings) -> SpanExporter:
    import grpc  # type: ignore[import-untyped]  # noqa: PLC0415 - it ships no types; 0.1 s
    from opentelemetry.exporter.otlp.proto.grpc import trace_exporter  # noqa: PLC0415 - as above

    compressions = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}
    credentials = None
    if not settings.insecure:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_content(settings.certificate),
            private_key=_content(settings.client_key),
            certificate_chain=_content(settings.client_certificate),
        )
    return trace_exporter.OTLPSpanExporter(
        endpoint=settings.endpoint,
        insecure=settings.insecure,
        credentials=credentials,
        headers=dict(settings.headers),
        timeout=settings.timeout_s,
        compression=compressions[settings.compression],
    )


def _content(path: str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()
