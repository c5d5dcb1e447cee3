"""Spans given to a TracerProvider that a person brings along."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from otel.recording import RecordingTracing
from otel.sendable import sendable, sendable_name, sendable_text
from otel.span import Link, span_from
from otel.trace_ids import RunTraceIds

if TYPE_CHECKING:
    from otel.attributes import Attributes

ROOT = Path(__file__).parents[1]
RUN = 0x0199_7F2E_0000_7000_8000_0000_0000_0001

GLOBAL_PROVIDER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from otel import configure_tracing
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
trace.set_tracer_provider(provider)
tracing = configure_tracing({environ})
print(tracing.destination)
tracing.start("mine", trace_id=7).end()
"""


def recorded_by(provider: TracerProvider) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


def tracing_with(provider: trace.TracerProvider) -> RecordingTracing:
    return RecordingTracing(provider, lambda text: text.replace("secret", "*"))


def printed_with_a_global_provider(environ: dict[str, str]) -> str:
    program = GLOBAL_PROVIDER.format(environ=environ)
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return ended.stdout


def test_a_provider_with_our_generator_gives_a_root_the_id_of_its_run() -> None:
    provider = TracerProvider(id_generator=RunTraceIds())
    exporter = recorded_by(provider)
    tracing = tracing_with(provider)
    root = tracing.start("root", trace_id=RUN)
    tracing.start("child", parent=root).end()
    root.end()
    assert root.trace_id == RUN
    assert {span.context.trace_id for span in exporter.get_finished_spans() if span.context} == {
        RUN
    }
    assert tracing.start("another").trace_id not in {0, RUN}


def test_a_provider_without_our_generator_makes_its_own_id_and_the_span_tells_it() -> None:
    tracing = tracing_with(TracerProvider())
    root = tracing.start("root", trace_id=RUN)
    assert root.trace_id != RUN
    assert tracing.start("child", parent=root).trace_id == root.trace_id


def test_the_current_span_of_the_surroundings_is_never_taken_for_a_parent() -> None:
    provider = TracerProvider(id_generator=RunTraceIds())
    with provider.get_tracer("theirs").start_as_current_span("surroundings"):
        assert tracing_with(provider).start("root", trace_id=RUN).trace_id == RUN


def test_an_attached_span_is_current_inside_and_only_inside() -> None:
    provider = TracerProvider(id_generator=RunTraceIds())
    exporter = recorded_by(provider)
    span = tracing_with(provider).start("agent", trace_id=RUN)
    with span.attached():
        provider.get_tracer("theirs").start_span("inside").end()
    assert not trace.get_current_span().get_span_context().is_valid
    (inside,) = exporter.get_finished_spans()
    assert inside.parent is not None
    assert inside.parent.span_id == span.span_id


def test_an_error_inside_an_attached_span_leaves_it_and_is_not_swallowed() -> None:
    span = tracing_with(TracerProvider()).start("agent")
    with pytest.raises(RuntimeError), span.attached():
        raise RuntimeError
    assert not trace.get_current_span().get_span_context().is_valid


def test_the_start_can_lie_in_the_past() -> None:
    provider = TracerProvider()
    exporter = recorded_by(provider)
    tracing_with(provider).start("root", start_time_ns=5).end()
    assert exporter.get_finished_spans()[0].start_time == 5


def test_the_message_of_a_failure_is_redacted() -> None:
    provider = TracerProvider()
    exporter = recorded_by(provider)
    tracing_with(provider).start("root").end(error_type="crashed", message="a secret")
    assert exporter.get_finished_spans()[0].status.description == "a *"


def test_a_failure_without_a_message_is_still_a_failure() -> None:
    provider = TracerProvider()
    exporter = recorded_by(provider)
    tracing_with(provider).start("root").end(error_type="crashed")
    span = exporter.get_finished_spans()[0]
    assert span.status.status_code is trace.StatusCode.ERROR
    assert dict(span.attributes or {}) == {"error.type": "crashed"}


def test_a_span_that_is_not_sampled_hands_the_decision_down() -> None:
    tracing = tracing_with(TracerProvider(sampler=ALWAYS_OFF, id_generator=RunTraceIds()))
    root = tracing.start("root", trace_id=RUN)
    root.set({"a": 1})
    root.end(error_type="crashed")
    assert root.traceparent == f"00-{RUN:032x}-{root.span_id:016x}-00"


def test_a_provider_that_does_nothing_still_leaves_valid_traceparents() -> None:
    tracing = tracing_with(trace.NoOpTracerProvider())
    root = tracing.start("root", trace_id=RUN)
    assert root.trace_id == RUN
    with root.attached():
        child = tracing.start("child", parent=root)
    assert child.trace_id == RUN
    assert span_from(child.traceparent) is not None


@pytest.mark.real_time
async def test_shutdown_flushes_a_persons_provider_and_leaves_it_running() -> None:
    provider = TracerProvider()
    exporter = recorded_by(provider)
    tracing = tracing_with(provider)
    assert await tracing.shutdown() is True
    tracing.start("after").end()
    assert len(exporter.get_finished_spans()) == 1
    assert tracing.destination == "opentelemetry.sdk.trace.TracerProvider"


@pytest.mark.real_time
async def test_a_persons_provider_that_fails_to_flush_or_hangs_ends_the_wait() -> None:
    released = threading.Event()

    class Failing(TracerProvider):
        def force_flush(self, timeout_millis: int = 0) -> bool:
            raise RuntimeError(timeout_millis)

    class Refusing(TracerProvider):
        def force_flush(self, timeout_millis: int = 0) -> bool:
            return timeout_millis < 0

    class Hanging(TracerProvider):
        def force_flush(self, timeout_millis: int = 0) -> bool:
            return released.wait(60.0 + timeout_millis)

    for provider in (Failing(), Refusing(), Hanging()):
        assert await tracing_with(provider).shutdown(0.05) is False
    released.set()
    assert await tracing_with(trace.NoOpTracerProvider()).shutdown() is True


@pytest.mark.parametrize("environ", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}])
def test_the_provider_that_a_person_has_set_comes_before_an_endpoint(
    environ: dict[str, str],
) -> None:
    printed = printed_with_a_global_provider(environ)
    assert printed.startswith("opentelemetry.sdk.trace.TracerProvider")
    assert '"name": "mine"' in printed


def test_turning_telemetry_off_comes_before_everything() -> None:
    printed = printed_with_a_global_provider({"OTEL_SDK_DISABLED": "true"})
    assert printed.strip() == "nowhere"


@given(st.text())
def test_every_text_becomes_one_that_can_be_sent(text: str) -> None:
    assert len(sendable_text(text).encode()) <= 4 * 8_192
    assert len(sendable_name(text)) <= 256


@given(
    st.dictionaries(
        st.text(),
        st.one_of(
            st.text(), st.booleans(), st.integers(), st.floats(), st.lists(st.text(), max_size=200)
        ),
    )
)
def test_every_attribute_becomes_one_that_can_be_sent(
    attributes: dict[str, str | bool | int | float | list[str]],
) -> None:
    for value in sendable(attributes).values():
        if isinstance(value, int):
            assert -(2**63) <= value < 2**63
        elif isinstance(value, list):
            assert len(value) <= 128


def test_what_fits_is_not_changed() -> None:
    said: Attributes = {"a": "é", "b": 2**63 - 1, "c": 0.5, "d": False}
    assert sendable(said) == said
    assert sendable(None) == {}


def test_a_span_may_link_to_others_and_end_before_now() -> None:
    provider = TracerProvider()
    exporter = recorded_by(provider)
    tracing = tracing_with(provider)
    failed = tracing.start("chat a")
    link = Link(failed, {"magsag.fallback.reason": "overloaded"})
    again = tracing.start("chat b", parent=failed, links=[link], start_time_ns=1_000)
    again.end(end_time_ns=3_000)
    (span,) = exporter.get_finished_spans()
    assert (span.start_time, span.end_time) == (1_000, 3_000)
    (linked,) = span.links
    assert (linked.context.trace_id, linked.context.span_id) == (failed.trace_id, failed.span_id)
    assert dict(linked.attributes or {}) == {"magsag.fallback.reason": "overloaded"}
