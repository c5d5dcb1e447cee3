"""Spans on their way to a collector that takes them."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import grpc  # type: ignore[import-untyped]  # it ships no types
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from otel import configure_tracing
from tests.otel_receivers import (
    PATIENCE_S,
    RUN,
    Collector,
    GrpcReceiver,
    one_span,
    running_collector,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.real_time


@pytest.fixture(params=["spool", "batch"])
def collector(request: pytest.FixtureRequest) -> Iterator[Collector]:
    with running_collector(request.param) as collector:
        yield collector


def attributes(span: SentSpan) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes
    }


def run(program: str, collector: Collector) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=collector.environ, cwd=ROOT
    )


async def test_a_run_arrives_as_one_trace_with_its_id_its_tree_and_its_attributes(
    collector: Collector,
) -> None:
    tracing = configure_tracing(collector.environ)
    root = tracing.start("root", trace_id=RUN, start_time_ns=1_000)
    agent = tracing.start("agent", parent=root)
    chat = tracing.start("chat", kind="client", parent=agent.traceparent, attributes={"n": 1})
    chat.set({"cost": 0.5, "hit": True, "reasons": ("stop",)})
    chat.event("retry", {"attempt": 2})
    for span in (chat, agent, root):
        span.end()
    assert await tracing.shutdown(PATIENCE_S) is True

    sent = collector.collected
    assert {span.trace_id for span in sent.spans} == {RUN.to_bytes(16, "big")}
    assert sent.named("root").parent_span_id == b""
    assert sent.named("root").start_time_unix_nano == 1_000
    assert sent.named("agent").parent_span_id == root.span_id.to_bytes(8, "big")
    assert sent.named("chat").parent_span_id == agent.span_id.to_bytes(8, "big")
    assert sent.named("chat").kind == SentSpan.SPAN_KIND_CLIENT
    assert sent.named("agent").kind == SentSpan.SPAN_KIND_INTERNAL
    said = attributes(sent.named("chat"))
    assert (said["n"], said["cost"], said["hit"]) == (1, 0.5, True)
    assert [each.string_value for each in said["reasons"].values] == ["stop"]
    (event,) = sent.named("chat").events
    assert (event.name, event.attributes[0].value.int_value) == ("retry", 2)
    assert sent.named("chat").status.code == Status.STATUS_CODE_UNSET
    assert tracing.statistics().delivered == tracing.statistics().started == 3


async def test_a_failed_span_arrives_with_its_class_and_a_message_without_secrets(
    collector: Collector,
) -> None:
    tracing = configure_tracing(collector.environ)
    span = tracing.start("chat", trace_id=RUN)
    span.end(error_type="rate_limit", message="refused for key sk-canary-1234567")
    span.end(error_type="other", message="only the first end counts")
    span.set({"late": 1})
    span.event("late")
    assert await tracing.shutdown(PATIENCE_S) is True
    sent = collector.collected.named("chat")
    assert sent.status.code == Status.STATUS_CODE_ERROR
    assert sent.status.message == "refused for key [redacted]"
    assert attributes(sent) == {"error.type": "rate_limit"}
    assert not sent.events


async def test_a_process_says_who_it_is_and_posts_to_the_path_of_traces(
    collector: Collector,
) -> None:
    environ = {
        "OTEL_SERVICE_NAME": "digest",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=seven",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
    }
    tracing = configure_tracing(collector.environ | environ)
    one_span(tracing)
    assert await tracing.shutdown(PATIENCE_S) is True
    (request,), (headers,) = collector.collected.requests, collector.collected.headers
    resource = request.resource_spans[0].resource
    said = {each.key: each.value.string_value for each in resource.attributes}
    assert said["service.name"] == "digest"
    assert said["deployment.environment.name"] == "test"
    assert said["service.version"]
    assert said["service.instance.id"]
    assert request.resource_spans[0].scope_spans[0].scope.name == "magsag.runtime"
    assert headers["path"] == "/v1/traces"
    assert headers["x-tenant"] == "seven"
    assert headers["content-encoding"] == "gzip"


async def test_grpc_is_spoken_where_it_is_asked_for() -> None:
    receiver = GrpcReceiver()
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        add_TraceServiceServicer_to_server(receiver, server)  # type: ignore[no-untyped-call]  # generated
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        tracing = configure_tracing(
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_HEADERS": "X-Tenant=seven",
                "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            }
        )
        one_span(tracing)
        assert await tracing.shutdown(PATIENCE_S) is True
        server.stop(None).wait(PATIENCE_S)
    assert receiver.collected.named("invoke_workflow digest").trace_id == RUN.to_bytes(16, "big")
    assert receiver.collected.headers[0]["x-tenant"] == "seven"


async def test_what_otlp_cannot_carry_takes_no_other_span_with_it(collector: Collector) -> None:
    tracing = configure_tracing(collector.environ)
    broken = tracing.start("\ud800", trace_id=RUN, attributes={"a": "\udfff", "b": 1 << 80})
    broken.set({"long": "x" * 100_000, "many": ["y"] * 1_000})
    broken.event("\ud800", {"c": "\ud800"})
    broken.end(error_type="\ud800", message="\ud800")
    one_span(tracing, "sound")
    assert await tracing.shutdown(PATIENCE_S) is True
    sent = collector.collected
    said = attributes(sent.named("?"))
    assert said["a"] == "?"
    assert said["b"] == hex(1 << 80)
    assert len(said["long"]) == 8_192
    assert len(said["many"].values) == 128
    assert sent.named("sound").name == "sound"


async def test_every_span_of_many_threads_is_counted_and_arrives(collector: Collector) -> None:
    tracing = configure_tracing(collector.environ)

    def work() -> None:
        for _ in range(100):
            one_span(tracing)

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(anyio.to_thread.run_sync, work)
    assert await tracing.shutdown(PATIENCE_S) is True
    counted = tracing.statistics()
    assert (counted.started, counted.ended, counted.delivered) == (400, 400, 400)
    assert len(collector.collected.spans) == 400


async def test_a_span_that_was_never_ended_is_no_loss_but_can_be_seen(
    collector: Collector,
) -> None:
    tracing = configure_tracing(collector.environ)
    tracing.start("open", trace_id=RUN)
    assert await tracing.shutdown(PATIENCE_S) is True
    assert tracing.statistics().started == 1
    assert tracing.statistics().ended == 0


async def test_what_a_sampler_leaves_out_is_neither_sent_nor_counted(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")  # the SDK reads it itself
    tracing = configure_tracing(collector.environ | {"OTEL_TRACES_SAMPLER": "always_off"})
    one_span(tracing)
    assert await tracing.shutdown(PATIENCE_S) is True
    assert collector.collected.spans == []
    assert tracing.statistics().ended == 0


def test_spans_arrive_also_when_nobody_shuts_down_and_the_program_fails(
    collector: Collector,
) -> None:
    ended = run(
        """
        from otel import configure_tracing
        configure_tracing().start("last words", trace_id=7).end()
        raise SystemExit(3)
        """,
        collector,
    )
    assert ended.returncode == 3
    assert ended.stderr == ""
    assert collector.collected.named("last words").trace_id == (7).to_bytes(16, "big")


def test_instrumentation_that_knows_nothing_of_us_joins_the_attached_span(
    collector: Collector,
) -> None:
    ended = run(
        """
        import anyio
        from opentelemetry import trace
        from otel import configure_tracing

        async def main():
            tracing = configure_tracing()
            span = tracing.start("agent", trace_id=7)
            with span.attached():
                trace.get_tracer("theirs").start_span("inner").end()
            trace.get_tracer("theirs").start_span("outer").end()
            span.end()
            again = configure_tracing()  # the provider of the process is ours, not a person's
            assert again.destination == tracing.destination
            assert await tracing.shutdown() and await again.shutdown()

        anyio.run(main)
        """,
        collector,
    )
    assert ended.stderr == ""
    sent = collector.collected
    assert sent.named("inner").parent_span_id == sent.named("agent").span_id
    assert sent.named("inner").trace_id == (7).to_bytes(16, "big")
    assert sent.named("outer").parent_span_id == b""
    assert sent.named("outer").trace_id != (7).to_bytes(16, "big")
