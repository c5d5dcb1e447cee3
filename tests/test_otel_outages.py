"""Spans on their way to a collector that is slow, broken, or not there at all."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from otel import configure_tracing
from tests.otel_receivers import (
    PATIENCE_S,
    Collector,
    Lines,
    heard_lines,
    one_span,
    running_collector,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.real_time


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector("batch") as collector:
        yield collector


@pytest.fixture
def lines() -> Iterator[Lines]:
    with heard_lines() as lines:
        yield lines


@pytest.fixture
def nobody_there() -> dict[str, str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "MAGSAG_TRACE_EXPORT": "batch",
    }


async def test_a_busy_collector_gets_its_spans_in_the_end_and_that_is_two_lines(
    collector: Collector, lines: Lines
) -> None:
    collector.statuses = [503, 429, 502]
    tracing = configure_tracing(collector.environ)
    one_span(tracing)
    assert await tracing.shutdown(PATIENCE_S) is True
    outage, recovery = lines.from_package("otel.")
    assert f"do not reach {collector.environ['OTEL_EXPORTER_OTLP_ENDPOINT']}/v1/traces" in outage
    assert "again; 0 were lost" in recovery
    assert lines.from_package("opentelemetry") == []


async def test_a_batch_that_the_collector_refuses_is_told_as_lost(
    collector: Collector, lines: Lines
) -> None:
    collector.statuses = [400]
    tracing = configure_tracing(collector.environ)
    one_span(tracing)
    assert await tracing.shutdown(PATIENCE_S) is False
    assert await tracing.shutdown(PATIENCE_S) is False
    refused, lost = lines.from_package("otel.")
    assert "400" in refused
    assert "1 of 1 spans may be lost" in lost


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_a_collector_that_is_not_there_holds_up_nothing_and_is_named_once(
    nobody_there: dict[str, str], protocol: str, lines: Lines
) -> None:
    tracing = configure_tracing(nobody_there | {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    one_span(tracing)
    assert await told(lines.said)
    assert await tracing.shutdown(0.05) is False
    assert tracing.statistics().delivered == 0
    outage, lost = lines.from_package("otel.")
    assert "do not reach" in outage
    assert tracing.destination in outage
    assert f"1 of 1 spans may be lost: {tracing.destination} did not take them" in lost
    assert lines.from_package("opentelemetry") == []


async def test_a_collector_that_never_answers_is_given_up(
    collector: Collector, lines: Lines
) -> None:
    collector.answering.clear()
    tracing = configure_tracing(collector.environ)
    one_span(tracing)
    assert await told(collector.collected.asked)
    assert await tracing.shutdown(0.05) is False
    assert "1 of 1 spans may be lost" in lines.from_package("otel.delivery")[0]


async def test_no_time_at_all_is_still_an_answer(collector: Collector) -> None:
    collector.answering.clear()
    tracing = configure_tracing(collector.environ)
    one_span(tracing)
    assert await tracing.shutdown(-1.0) is False


async def test_shutdown_does_not_wait_for_the_threads_of_blocking_agents(
    collector: Collector,
) -> None:
    shared = anyio.to_thread.current_default_thread_limiter()
    borrowers = [object() for _ in range(int(shared.total_tokens))]
    tracing = configure_tracing(collector.environ)
    one_span(tracing)
    for borrower in borrowers:
        shared.acquire_on_behalf_of_nowait(borrower)
    with anyio.fail_after(PATIENCE_S):
        assert await tracing.shutdown(PATIENCE_S) is True
    for borrower in borrowers:
        shared.release_on_behalf_of(borrower)


async def test_an_exporter_that_is_not_ours_may_log_what_it_likes(
    collector: Collector, lines: Lines
) -> None:
    tracing = configure_tracing(collector.environ)
    theirs = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    theirs.warning("somebody else's batch")
    assert await tracing.shutdown(PATIENCE_S) is True
    assert lines.from_package("opentelemetry") == ["somebody else's batch"]
