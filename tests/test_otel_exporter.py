"""The watched exporter: what it counts, what it says, and when it gives up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel.exporter import WatchedExporter, otlp_exporter
from otel.settings import ExportSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH = [ReadableSpan("a"), ReadableSpan("b")]
WHERE = "http://collector:4318/v1/traces"


class Scripted(SpanExporter):
    """Answers as it is told, and counts how often it was closed."""

    def __init__(self, *answers: SpanExportResult | Exception) -> None:
        self.answers = list(answers)
        self.closed = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        del spans
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def shutdown(self) -> None:
        self.closed += 1


TAKEN, REFUSED = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


def test_what_the_collector_took_is_counted_and_what_it_refused_is_not() -> None:
    exporter = WatchedExporter(Scripted(TAKEN, REFUSED, TAKEN), WHERE)
    assert [exporter.export(BATCH) for _ in range(3)] == [TAKEN, REFUSED, TAKEN]
    assert exporter.delivered == 4
    assert exporter.force_flush() is True


def test_an_outage_is_told_when_it_begins_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = ConnectionError("no route")
    exporter = WatchedExporter(Scripted(broken, REFUSED, REFUSED, TAKEN, TAKEN, REFUSED), WHERE)
    for _ in range(6):
        exporter.export(BATCH)
    first, again, second = [record.getMessage() for record in caplog.records]
    assert first.startswith(f"spans do not reach {WHERE}: ConnectionError: no route;")
    assert again == f"spans reach {WHERE} again; 6 were lost"
    assert second.startswith(f"spans do not reach {WHERE}: a batch was refused;")


def test_after_shutdown_batches_are_refused_and_the_exporter_is_closed_once() -> None:
    inner = Scripted()
    exporter = WatchedExporter(inner, WHERE)
    exporter.shutdown()
    exporter.shutdown()
    assert exporter.export(BATCH) is REFUSED
    assert inner.closed == 1


def test_at_the_exit_a_collector_gets_some_seconds_and_no_more() -> None:
    inner = Scripted(TAKEN, TAKEN)
    exporter = WatchedExporter(inner, WHERE)
    exporter.close_in(60.0)
    assert exporter.export(BATCH) is TAKEN
    exporter.close_in(-1.0)
    assert exporter.export(BATCH) is REFUSED
    assert inner.closed == 0


def test_at_the_exit_a_collector_that_is_out_already_gets_none() -> None:
    inner = Scripted(REFUSED)
    exporter = WatchedExporter(inner, WHERE)
    exporter.export(BATCH)
    exporter.close_in(60.0)
    assert inner.closed == 1


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (ExportSettings(endpoint=WHERE), HttpExporter),
        (ExportSettings(endpoint="http://localhost:4317", protocol="grpc"), GrpcExporter),
        (ExportSettings("https://localhost:4317", protocol="grpc", insecure=False), GrpcExporter),
    ],
)
def test_each_protocol_has_its_exporter(settings: ExportSettings, kind: type[SpanExporter]) -> None:
    exporter = otlp_exporter(settings)
    assert type(exporter) is kind
    exporter.shutdown()
