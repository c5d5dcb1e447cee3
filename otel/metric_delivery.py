"""Metrics on their way to a collector, to a page, or to both.

    counter.add() -> sums in memory -> each minute, in a thread -> WatchedMetricExporter -> OTLP
                                    -> whenever Prometheus asks -> the page

The provider is this system's own and never becomes the process's: whoever wants one for all that
runs in a process sets it, and then the runtime uses that one.
"""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from otel.flushing import finished
from otel.metering import MeteredMetrics, OwnMeterProvider
from otel.metric_exporter import WatchedMetricExporter, otlp_metric_exporter
from otel.metrics import DEFAULT_SHUTDOWN_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.metrics.export import MetricReader

    from otel.metric_page import Page
    from otel.metric_settings import MetricSettings


class RuntimeMeterProvider(OwnMeterProvider, MeterProvider):
    """The MeterProvider that this runtime builds itself."""


class DeliveringMetrics(MeteredMetrics):
    """Metrics that go to an OTLP collector, to a page for Prometheus, or to both."""

    def __init__(
        self,
        provider: RuntimeMeterProvider,
        exporter: WatchedMetricExporter | None,
        page: Page | None,
        destination: str,
    ) -> None:
        super().__init__(provider)
        self._own = provider
        self._exporter = exporter
        self._page = page
        self._destination = destination
        self._stopped = False
        atexit.register(self._at_exit)

    @property
    def destination(self) -> str:  # noqa: D102 - as in Metrics
        return self._destination

    async def shutdown(self, timeout_s: float = DEFAULT_SHUTDOWN_S) -> bool:
        """Collect and send once more, in a thread, and give up what is not sent in time."""
        if self._stopped:
            return True
        self._stopped = True
        is_over = False
        try:
            is_over = await finished(self._stop, timeout_s)
        finally:
            if self._exporter is not None:
                if not is_over:
                    self._exporter.give_up(timeout_s)
                self._exporter.shutdown()
            atexit.unregister(self._at_exit)
            self._forget()
        return is_over

    def _stop(self) -> None:
        if self._exporter is not None:
            self._exporter.is_ending = True
        if self._page is not None:
            self._page.close()
        self._own.shutdown()

    def _at_exit(self) -> None:
        """Nobody awaited ``shutdown``: send what is known, unless the collector is out already.

        No thread can be started this late, so what is being sent may take the exporter's timeout.
        """
        self._forget()  # the event loop that gauges are read on is gone
        if self._exporter is not None and self._exporter.is_out:
            self._exporter.shutdown()
        self._stop()


def deliver_metrics(settings: MetricSettings, resource: Mapping[str, str]) -> DeliveringMetrics:
    """Build everything between a measurement and whoever reads it.

    Args:
        settings: where the metrics go.
        resource: what is said about this process.

    Raises:
        TelemetryMisconfigured: a certificate is not there, the page's port is taken, or its
            packages are not installed.
    """
    exporter, page = _exporter(settings), _page(settings)
    readers: list[MetricReader] = []
    destinations: list[str] = []
    if exporter is not None:
        interval = settings.interval_ms
        readers.append(PeriodicExportingMetricReader(exporter, export_interval_millis=interval))
        destinations.append(exporter.endpoint)
    if page is not None:
        readers.append(page.reader)
        destinations.append(page.url)
    provider = RuntimeMeterProvider(
        readers, resource=Resource.create(dict(resource)), shutdown_on_exit=False
    )
    return DeliveringMetrics(provider, exporter, page, ", ".join(destinations))


def _exporter(settings: MetricSettings) -> WatchedMetricExporter | None:
    if settings.otlp is None:
        return None
    return WatchedMetricExporter(otlp_metric_exporter(settings.otlp), settings.otlp.shown_endpoint)


def _page(settings: MetricSettings) -> Page | None:
    if settings.page is None:
        return None
    from otel.metric_page import Page  # noqa: PLC0415 - an optional package

    return Page(settings.page)
