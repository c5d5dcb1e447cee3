"""The page that Prometheus reads."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import anyio.to_thread
import pytest
from prometheus_client.parser import text_string_to_metric_families

from otel import TelemetryMisconfigured, configure_metrics
from runtime import running
from runtime.workspace import echo_catalog
from tests.authors import double

if TYPE_CHECKING:
    from prometheus_client import Metric

ANY_PORT = {"OTEL_METRICS_EXPORTER": "prometheus", "MAGSAG_PROMETHEUS_PORT": "0"}


def fetched(url: str) -> dict[str, Metric]:
    with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310  # it is on loopback
        text = answer.read().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(family: Metric) -> dict[str, float]:
    return {sample.name: sample.value for sample in family.samples}


@pytest.mark.real_time
async def test_the_page_shows_counters_histograms_and_gauges_of_a_system() -> None:
    async with running(echo_catalog(), agents=(double,), environ=ANY_PORT) as system:
        url = system.metrics.destination
        assert url.startswith("http://127.0.0.1:")
        for number in range(3):
            assert (await system.run(double, number)).ok
        page = await anyio.to_thread.run_sync(fetched, url)
        again = await anyio.to_thread.run_sync(fetched, url)
    runs = page["magsag_runs"]
    assert (runs.type, values(runs)["magsag_runs_total"]) == ("counter", 3)
    assert runs.samples[0].labels["magsag_outcome"] == "completed"
    agents = page["gen_ai_invoke_agent_duration_seconds"]
    assert agents.type == "histogram"
    assert values(agents)["gen_ai_invoke_agent_duration_seconds_count"] == 3
    bounds = {sample.labels.get("le") for sample in agents.samples}
    assert {"0.1", "409.6", "+Inf"} <= bounds
    assert page["magsag_runs_active"].type == "gauge"
    assert values(page["magsag_runs_active"]) == {"magsag_runs_active": 0}
    assert page["target_info"].samples[0].labels["service_name"] == "magsag-runtime"
    assert "python_gc_objects_collected" not in page
    assert again.keys() == page.keys()


@pytest.mark.real_time
async def test_the_page_is_gone_with_the_system() -> None:
    metrics = configure_metrics(ANY_PORT)
    url = metrics.destination
    assert await metrics.shutdown(60)
    with pytest.raises(OSError, match="refused"):
        await anyio.to_thread.run_sync(fetched, url)


def test_a_port_that_is_taken_is_one_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TelemetryMisconfigured, match=f"127.0.0.1:{port}.*in use"):
            configure_metrics(ANY_PORT | {"MAGSAG_PROMETHEUS_PORT": str(port)})


def test_without_its_package_the_page_says_how_to_install_it() -> None:
    body = (
        "import sys\n"
        "sys.modules['opentelemetry.exporter.prometheus'] = None\n"
        "from otel import configure_metrics, TelemetryMisconfigured\n"
        "try:\n"
        f"    configure_metrics({ANY_PORT!r})\n"
        "except TelemetryMisconfigured as error:\n"
        "    print(error)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", body], capture_output=True, text=True, timeout=60, check=True
    )
    assert "pip install 'magsag-runtime[prometheus]'" in process.stdout
