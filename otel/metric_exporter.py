"""The stock OTLP exporters of metrics, watched: an outage is told once, not at each interval.

Sums are cumulative, so a batch that did not arrive is made good by the next one; only what happens
in the last interval before the end can be lost. A collector that has no place for metrics at all,
as Jaeger has none, says so with 404 (or ``UNIMPLEMENTED``): that is told once, and no more are sent
there.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult

from otel.stock import arguments_of, hear_first

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.metrics.export import MetricsData

    from otel.settings import ExportSettings

_log = logging.getLogger("otel.metric_exporter")

_LONGEST_REASON = 300
_STILL_TRYING = "still trying, without a line for each failure"
_LOST = "what was measured since the last batch that arrived is lost"
_EXPORTERS_LOGGERS = (
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
)
_NO_PLACE = re.compile(r"code: (404\b|405\b|501\b|StatusCode\.UNIMPLEMENTED)")
_heard: ContextVar[list[str] | None] = ContextVar("heard", default=None)


class _ToWatcher(logging.Filter):
    """Takes the records of an exporter that is being watched; all others pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        heard = _heard.get()
        if heard is not None:
            heard.append(record.getMessage())
        return heard is None


_to_watcher = _ToWatcher()


class WatchedMetricExporter(MetricExporter):
    """Passes batches on to an exporter, and tells what became of them where that changes.

    Attributes:
        delivered: batches that the collector took.
        endpoint: where the collector is, for people to read.
        is_out: whether the last thing known is that it does not answer.
        is_ending: whether there is no later batch that would make a lost one good.
    """

    def __init__(self, exporter: MetricExporter, endpoint: str) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)  # noqa: SLF001 - the SDK's own reader takes them like this
        self.delivered = 0
        self._exporter = exporter
        self.endpoint = endpoint
        self.is_out = self.is_ending = False
        self._heard: list[str] = []  # of the last batch
        self._has_no_place = False
        self._closed = False
        hear_first(_EXPORTERS_LOGGERS, _to_watcher)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Send one batch, with the retries of the exporter; blocks until its timeout at worst."""
        del timeout_millis, kwargs  # the exporter has the timeout of its settings
        if self._closed or self._has_no_place:
            return MetricExportResult.FAILURE
        with _hearing() as heard:
            self._heard = heard
            try:
                result = self._exporter.export(metrics_data)
            except Exception as error:  # noqa: BLE001 - telemetry must not end the thread it is in
                result = MetricExportResult.FAILURE
                heard.append(f"{type(error).__name__}: {error}")
        if result is MetricExportResult.SUCCESS:
            self.delivered += 1
            self._arrived()
        else:
            self._failed(heard)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Return True: nothing is held back here."""
        del timeout_millis
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Give up: a waiting retry ends now, and later batches are refused. Once is enough."""
        del timeout_millis, kwargs
        if not self._closed:
            self._closed = True
            with _hearing():
                self._exporter.shutdown()

    def _arrived(self) -> None:
        if self.is_out:
            self.is_out = False
            _log.warning("metrics reach %s again", self.endpoint, extra=self._place)

    def _failed(self, heard: list[str]) -> None:
        reason = (heard or ["a batch was refused"])[0]
        if any(_NO_PLACE.search(line) for line in heard):
            self._has_no_place = True
            _log.warning(
                "%s takes no metrics, so none are sent there; OTEL_METRICS_EXPORTER=none says so"
                " from the start",
                self.endpoint,
                extra=self._place,
            )
        elif not self._closed:
            self._tell(reason)

    def give_up(self, after_s: float) -> None:
        """Say of a batch that is still on its way at the end that it does not arrive."""
        self._tell((self._heard or [f"no answer in {after_s:g} s"])[0])

    def _tell(self, reason: str) -> None:
        """Say that metrics do not arrive, unless that was said."""
        if self.is_out or self._has_no_place:
            return
        self.is_out = True
        _log.warning(
            "metrics do not reach %s: %s; %s",
            self.endpoint,
            reason.removeprefix("Transient error ").partition(" encountered while")[0][
                :_LONGEST_REASON
            ],
            _LOST if self.is_ending else _STILL_TRYING,
            extra=self._place,
        )

    @property
    def _place(self) -> dict[str, str]:
        return {"endpoint": self.endpoint}


@contextmanager
def _hearing() -> Iterator[list[str]]:
    heard: list[str] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


def otlp_metric_exporter(settings: ExportSettings) -> MetricExporter:
    """Build the exporter for the protocol; only that one is imported.

    Raises:
        TelemetryMisconfigured: a file with a certificate or a key is not there.
    """
    arguments = arguments_of(settings)
    if settings.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import (  # noqa: PLC0415 - only where it is used
            metric_exporter as grpc_exporter,
        )

        return grpc_exporter.OTLPMetricExporter(**arguments)
    from opentelemetry.exporter.otlp.proto.http import (  # noqa: PLC0415 - as above
        metric_exporter as http_exporter,
    )

    return http_exporter.OTLPMetricExporter(**arguments)
