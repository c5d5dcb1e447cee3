"""A page that Prometheus reads: ``http://127.0.0.1:9464/metrics``.

It is written when it is asked for, in a thread of its own, from a registry that is this system's
alone: what other parts of the process give to prometheus-client is not on it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from otel.settings import TelemetryMisconfigured

try:
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from prometheus_client import CollectorRegistry, start_http_server
except ModuleNotFoundError as error:
    raise TelemetryMisconfigured(
        "the page for Prometheus needs packages that are not installed:"
        " pip install 'magsag-runtime[prometheus]'"
    ) from error

if TYPE_CHECKING:
    from otel.metric_settings import PageSettings

_log = logging.getLogger("otel.metric_page")


class Page:
    """The page, served until it is closed.

    Attributes:
        reader: what a MeterProvider is to be given.
        url: where it is.

    Raises:
        TelemetryMisconfigured: nobody can listen there.
    """

    def __init__(self, settings: PageSettings) -> None:
        registry = CollectorRegistry(auto_describe=False)
        self.reader = PrometheusMetricReader(registry=registry)
        try:
            self._server, self._thread = start_http_server(settings.port, settings.host, registry)
        except OSError as error:
            raise TelemetryMisconfigured(
                f"the page for Prometheus cannot be at {settings.host}:{settings.port}"
                f" ({error.strerror or error}); MAGSAG_PROMETHEUS_PORT says another port"
            ) from error
        self.url = f"http://{settings.host}:{self._server.server_port}/metrics"
        _log.info("metrics are at %s", self.url, extra={"url": self.url})

    def close(self) -> None:
        """Stop serving. A second call does nothing."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
