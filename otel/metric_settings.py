"""From ``OTEL_*`` variables to where metrics go: to a collector, to a page, to both, to nobody.

``OTEL_METRICS_EXPORTER`` decides where it is set. Where it is not, an endpoint for metrics turns
the export on, and ``MAGSAG_PROMETHEUS_PORT`` the page. The endpoint for all signals alone does not,
though the specification has it so: most who set it mean Jaeger, which takes no metrics, and
measuring costs more than tracing does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel.settings import TelemetryMisconfigured, above_zero, one_of, otlp_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel.settings import ExportSettings

DEFAULT_PAGE_HOST: Final = "127.0.0.1"
DEFAULT_PAGE_PORT: Final = 9_464
DEFAULT_INTERVAL_MS: Final = 60_000.0

_EXPORTER = "OTEL_METRICS_EXPORTER"
_OWN_ENDPOINT = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
_HOST = "OTEL_EXPORTER_PROMETHEUS_HOST"
_PORTS = ("MAGSAG_PROMETHEUS_PORT", "OTEL_EXPORTER_PROMETHEUS_PORT")
_EXPORTERS = ("otlp", "prometheus", "none")
_LARGEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class PageSettings:
    """Where the page for Prometheus is.

    Attributes:
        host: the address to listen at.
        port: the port; 0 for any that is free.
    """

    host: str = DEFAULT_PAGE_HOST
    port: int = DEFAULT_PAGE_PORT


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """Where metrics go; nowhere when there is neither.

    Attributes:
        otlp: the collector; None for none.
        page: the page for Prometheus; None for none.
        interval_ms: milliseconds between two exports to the collector.
    """

    otlp: ExportSettings | None = None
    page: PageSettings | None = None
    interval_ms: float = DEFAULT_INTERVAL_MS

    def __bool__(self) -> bool:
        return self.otlp is not None or self.page is not None


def metric_settings(environ: Mapping[str, str]) -> MetricSettings:
    """Return where metrics shall go.

    Raises:
        TelemetryMisconfigured: a variable cannot be understood; the message names it.
    """
    wanted = _wanted(environ)
    if "none" in wanted:
        return MetricSettings()
    by_default = not wanted
    otlp = page = None
    if "otlp" in wanted or (by_default and environ.get(_OWN_ENDPOINT, "").strip()):
        otlp = otlp_settings(environ, "metrics")
    if "otlp" in wanted and otlp is None:
        raise TelemetryMisconfigured(
            f"{_EXPORTER}=otlp needs an address: set OTEL_EXPORTER_OTLP_ENDPOINT or {_OWN_ENDPOINT}"
        )
    if "prometheus" in wanted or (by_default and environ.get(_PORTS[0], "").strip()):
        page = _page(environ)
    interval = above_zero(
        _INTERVAL, environ.get(_INTERVAL, "").strip(), DEFAULT_INTERVAL_MS, "milliseconds"
    )
    return MetricSettings(otlp, page, interval)


def _wanted(environ: Mapping[str, str]) -> tuple[str, ...]:
    wanted = tuple(filter(None, map(str.strip, environ.get(_EXPORTER, "").split(","))))
    for exporter in wanted:
        one_of(_EXPORTER, exporter, _EXPORTERS)
    return wanted


def _page(environ: Mapping[str, str]) -> PageSettings:
    host = environ.get(_HOST, "").strip() or DEFAULT_PAGE_HOST
    for variable in _PORTS:
        if value := environ.get(variable, "").strip():
            return PageSettings(host, _port(variable, value))
    return PageSettings(host)


def _port(variable: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) > _LARGEST_PORT:
        raise TelemetryMisconfigured(f"{variable}={value!r} is no port: 0 to {_LARGEST_PORT}")
    return int(value)
