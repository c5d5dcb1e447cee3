"""Where metrics go: to nobody, to a person's own provider, to a collector that may be out."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)

from otel import NO_METRICS, Reading, TelemetryMisconfigured, configure_metrics
from otel import conventions as names
from otel.instruments import INSTRUMENTS
from otel.metric_settings import MetricSettings, PageSettings, metric_settings
from runtime import running
from runtime.workspace import echo_catalog
from tests.authors import double
from tests.otel_metrics import Measured
from tests.otel_receivers import PATIENCE_S, Collector, Lines, heard_lines, running_collector, told

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = "http://127.0.0.1:4318"
BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"
OWN = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
EXPORTER = "OTEL_METRICS_EXPORTER"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


@pytest.fixture
def lines() -> Iterator[Lines]:
    with heard_lines() as lines:
        yield lines


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def run_python(body: str) -> str:
    process = subprocess.run(
        [sys.executable, "-c", body], capture_output=True, text=True, timeout=60, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {BASE: ""},
        {BASE: HOME},
        {BASE: HOME, "OTEL_METRICS_EXPORTER": "none"},
        {"MAGSAG_PROMETHEUS_PORT": "9464", "OTEL_METRICS_EXPORTER": "none"},
        {"OTEL_EXPORTER_PROMETHEUS_PORT": "9464"},
        {"OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_a_place_to_go_there_are_no_metrics(environ: dict[str, str]) -> None:
    assert not metric_settings(environ)
    assert configure_metrics(environ) is NO_METRICS


def test_an_endpoint_turns_the_export_on_and_its_own_variables_come_first() -> None:
    assert metric_settings({OWN: HOME}).otlp is not None
    assert metric_settings({BASE: HOME, EXPORTER: "otlp"}).otlp is not None
    settings = metric_settings(
        {
            BASE: "http://elsewhere:1",
            OWN: f"{HOME}/own",
            "OTEL_EXPORTER_OTLP_HEADERS": "a=1",
            "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "b=2",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "3",
            "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION": "gzip",
            "OTEL_METRIC_EXPORT_INTERVAL": "2500",
            "OTEL_TRACES_EXPORTER": "none",
        }
    )
    assert settings.otlp is not None
    assert settings.otlp.endpoint == f"{HOME}/own"
    assert settings.otlp.headers == {"b": "2"}
    assert (settings.otlp.timeout_s, settings.otlp.compression) == (3.0, "gzip")
    assert settings.interval_ms == 2500.0


@pytest.mark.parametrize(
    ("environ", "page"),
    [
        ({"OTEL_METRICS_EXPORTER": "prometheus"}, PageSettings("127.0.0.1", 9464)),
        ({"MAGSAG_PROMETHEUS_PORT": "9000"}, PageSettings(port=9000)),
        (
            {
                "OTEL_METRICS_EXPORTER": "prometheus",
                "OTEL_EXPORTER_PROMETHEUS_HOST": "0.0.0.0",  # noqa: S104  # nobody listens there
                "OTEL_EXPORTER_PROMETHEUS_PORT": "9001",
            },
            PageSettings("0.0.0.0", 9001),  # noqa: S104  # as above
        ),
    ],
)
def test_the_page_is_on_loopback_unless_somebody_says_otherwise(
    environ: dict[str, str], page: PageSettings
) -> None:
    assert metric_settings(environ) == MetricSettings(page=page)


def test_a_collector_and_the_page_go_together() -> None:
    settings = metric_settings({BASE: HOME, "OTEL_METRICS_EXPORTER": "otlp, prometheus"})
    assert settings.otlp is not None
    assert settings.page is not None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_METRICS_EXPORTER", "console"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "often"),
        ("MAGSAG_PROMETHEUS_PORT", "65536"),
        ("MAGSAG_PROMETHEUS_PORT", "http"),
        (OWN, "nowhere"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "-1"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(TelemetryMisconfigured, match=variable):
        configure_metrics({BASE: HOME, EXPORTER: "otlp,prometheus", variable: value})


def test_otlp_without_an_address_says_which_variable_is_missing() -> None:
    with pytest.raises(TelemetryMisconfigured, match=OWN):
        configure_metrics({"OTEL_METRICS_EXPORTER": "otlp"})


def test_every_name_of_a_metric_is_measured_by_one_instrument() -> None:
    measured = [instrument.name for instrument in INSTRUMENTS]
    assert len(set(measured)) == len(measured)
    assert set(measured) <= {value for value in vars(names).values() if isinstance(value, str)}


# --- nobody --------------------------------------------------------------------------------------


@pytest.mark.parametrize("environ", [{}, {BASE: HOME, "OTEL_SDK_DISABLED": "true"}])
def test_a_run_without_metrics_imports_no_part_of_opentelemetry(environ: dict[str, str]) -> None:
    body = (
        "import anyio, sys\n"
        "from runtime import running\n"
        "from tests.authors import double\n"
        "async def main():\n"
        f"    async with running(agents=(double,), environ={environ!r}) as system:\n"
        "        assert not system.metrics.on\n"
        "        assert (await system.run(double, 1)).ok\n"
        "anyio.run(main)\n"
        "print(sorted(name for name in sys.modules if name.startswith('opentelemetry')))\n"
    )
    assert run_python(body) == "[]"


# --- a person's own provider ---------------------------------------------------------------------


def test_a_persons_own_provider_gets_the_metrics_and_stays_theirs() -> None:
    body = (
        "import anyio\n"
        "from opentelemetry import metrics\n"
        "from opentelemetry.sdk.metrics import MeterProvider\n"
        "from opentelemetry.sdk.metrics.export import InMemoryMetricReader\n"
        "from runtime import running\n"
        "from tests.authors import double\n"
        "reader = InMemoryMetricReader()\n"
        "metrics.set_meter_provider(MeterProvider([reader]))\n"
        "environ = {'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://127.0.0.1:1'}\n"
        "def value(name):\n"
        "    scopes = reader.get_metrics_data().resource_metrics[0].scope_metrics\n"
        "    found = [m for s in scopes for m in s.metrics if m.name == name]\n"
        "    return [point.value for m in found for point in m.data.data_points]\n"
        "async def once():\n"
        "    tracing = {'OTEL_TRACES_EXPORTER': 'none'}\n"
        "    async with running(agents=(double,), environ=environ | tracing) as system:\n"
        "        assert (await system.run(double, 1)).ok\n"
        "        print(system.metrics.destination)\n"
        "        print(value('magsag.runs.active'), value('magsag.runs'))\n"
        "for _ in range(2):\n"
        "    anyio.run(once)\n"
        "print(value('magsag.runs.active'), value('magsag.runs'))\n"
        "metrics.get_meter('theirs').create_counter('own').add(1)\n"
        "print(value('own'))\n"
    )
    theirs = "opentelemetry.sdk.metrics._internal.MeterProvider"
    assert run_python(body).splitlines() == [
        theirs, "[0] [1]", theirs, "[0] [2]", "[] [2]", "[1]",
    ]  # fmt: skip


# --- a collector ---------------------------------------------------------------------------------


@pytest.mark.real_time
async def test_headers_resource_and_scope_come_along(collector: Collector) -> None:
    environ = collector.metric_environ | {
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "authorization=Bearer%20x",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_SERVICE_NAME": "shop",
    }
    metrics = configure_metrics(environ)
    metrics.add(names.RUNS, 2, {names.OUTCOME: "completed"})
    metrics.observe(names.SPOOL_PENDING, lambda: [Reading(1)])
    metrics.observe(names.SPOOL_PENDING, lambda: [Reading(7)])  # the spool's own word replaces it
    assert await metrics.shutdown(PATIENCE_S)
    assert await metrics.shutdown(PATIENCE_S)
    measured = collector.measured
    assert measured.total(names.RUNS) == 2
    assert measured.total(names.SPOOL_PENDING) == 7
    assert measured.headers[0]["authorization"] == "Bearer x"
    (resource,) = measured.requests[0].resource_metrics
    said = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert said["service.name"] == "shop"
    assert said["service.instance.id"]
    assert resource.scope_metrics[0].scope.name == "magsag.runtime"


@pytest.mark.real_time
async def test_the_interval_is_the_one_that_was_asked_for(collector: Collector) -> None:
    metrics = configure_metrics(collector.metric_environ | {"OTEL_METRIC_EXPORT_INTERVAL": "10"})
    metrics.add(names.RUNS, 1, {})
    assert await told(collector.measured.asked)  # long before the shutdown
    assert await metrics.shutdown(PATIENCE_S)


@pytest.mark.real_time
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_an_outage_is_one_line_and_harms_no_run(protocol: str, lines: Lines) -> None:
    environ = {
        BASE: f"http://127.0.0.1:{free_port()}",
        EXPORTER: "otlp",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "0.05",
        "OTEL_METRIC_EXPORT_INTERVAL": "10",
    }
    async with running(echo_catalog(), agents=(double,), environ=environ) as system:
        assert (await system.run(double, 21)).output == 42
        assert await told(lines.said)
        assert (await system.run(double, 21)).output == 42
    (line,) = lines.from_package("otel.")
    assert f"metrics do not reach {environ[BASE]}" in line
    assert lines.from_package("opentelemetry") == []


@pytest.mark.real_time
async def test_a_collector_that_comes_back_gets_all_that_it_missed(
    collector: Collector, lines: Lines
) -> None:
    collector.metric_status = 500
    environ = collector.metric_environ | {"OTEL_METRIC_EXPORT_INTERVAL": "10"}
    metrics = configure_metrics(environ)
    metrics.add(names.RUNS, 1, {})
    assert await told(lines.said)
    collector.metric_status = 200
    metrics.add(names.RUNS, 1, {})
    assert await metrics.shutdown(PATIENCE_S)
    assert collector.measured.total(names.RUNS) == 2
    outage, recovery = lines.from_package("otel.")
    assert "500" in outage
    assert "again" in recovery


@pytest.mark.real_time
async def test_a_collector_without_a_place_for_metrics_is_asked_once_and_told_once(
    collector: Collector, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    """Jaeger answers 404 on /v1/metrics."""
    caplog.set_level(logging.INFO)
    lines.wanted = "takes no metrics"
    collector.metric_status = 404
    environ = collector.metric_environ | {"OTEL_METRIC_EXPORT_INTERVAL": "10"}
    async with running(echo_catalog(), agents=(double,), environ=environ) as system:
        assert await told(lines.said)
        assert (await system.run(double, 21)).ok
    told_ = [each for each in lines.records if each.name.startswith("otel.metric")]
    assert [(each.levelno, "takes no metrics" in each.getMessage()) for each in told_] == [
        (logging.WARNING, True)
    ]
    assert lines.from_package("opentelemetry") == []
    assert collector.measured.posts == 1
    assert collector.collected.named("invoke_workflow double")


@pytest.mark.real_time
async def test_a_collector_that_never_answers_does_not_hold_up_the_end_and_that_is_told(
    collector: Collector, lines: Lines
) -> None:
    collector.answering.clear()
    metrics = configure_metrics(collector.metric_environ)
    metrics.add(names.RUNS, 1, {})
    assert await metrics.shutdown(0.05) is False
    (line,) = lines.from_package("otel.")
    assert f"metrics do not reach {collector.endpoint}" in line
    assert "no answer in 0.05 s" in line
    assert "is lost" in line


@pytest.mark.real_time
async def test_a_collector_that_is_not_there_at_the_end_is_told_in_one_line(lines: Lines) -> None:
    environ = {BASE: f"http://127.0.0.1:{free_port()}", EXPORTER: "otlp"}
    metrics = configure_metrics(environ)
    metrics.add(names.RUNS, 1, {})
    await metrics.shutdown(0.5)
    (line,) = lines.from_package("otel.")
    assert f"metrics do not reach {environ[BASE]}" in line
    assert "is lost" in line
    assert lines.from_package("opentelemetry") == []


class GrpcMetrics(MetricsServiceServicer):
    def __init__(self) -> None:
        self.measured = Measured()

    def Export(self, request: Any, context: Any) -> ExportMetricsServiceResponse:  # noqa: N802 - the name in the protocol
        self.measured.add(request, {item.key: item.value for item in context.invocation_metadata()})
        return ExportMetricsServiceResponse()


@pytest.mark.real_time
@pytest.mark.parametrize("has_a_place", [True, False])
async def test_grpc_carries_the_same_and_says_the_same(
    has_a_place: bool, lines: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = grpc.server(ThreadPoolExecutor(1))
    receiver = GrpcMetrics()
    if has_a_place:
        add_MetricsServiceServicer_to_server(receiver, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    environ = {OWN: f"http://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc"}
    try:
        metrics = configure_metrics(environ)
        metrics.add(names.RUNS, 1, {})
        assert await metrics.shutdown(PATIENCE_S)
    finally:
        server.stop(None).wait()
    said = lines.from_package("otel.")
    if has_a_place:
        assert said == []
        assert receiver.measured.total(names.RUNS) == 1
    else:
        (line,) = said
        assert "takes no metrics" in line


@pytest.mark.real_time
async def test_a_gauge_that_cannot_be_read_is_told_once_and_costs_no_other(
    collector: Collector, lines: Lines
) -> None:
    metrics = configure_metrics(collector.metric_environ | {"OTEL_METRIC_EXPORT_INTERVAL": "10"})
    metrics.observe(names.JOURNAL_PENDING, lambda: [Reading(1 / 0)])
    metrics.observe(names.SPOOL_PENDING, lambda: [Reading(3)])
    assert await told(collector.measured.asked)
    assert await metrics.shutdown(PATIENCE_S)
    assert collector.measured.total(names.SPOOL_PENDING) == 3
    assert lines.from_package("otel.") == ["a metric cannot be read"]


def test_what_nobody_shut_down_is_sent_when_the_process_ends(collector: Collector) -> None:
    body = (
        "from otel import configure_metrics\n"
        f"metrics = configure_metrics({collector.metric_environ!r})\n"
        "metrics.add('magsag.runs', 3, {})\n"
    )
    run_python(body)
    assert collector.measured.total(names.RUNS) == 3
