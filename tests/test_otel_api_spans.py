"""Spans of other people's instrumentation: as the SDK would have them, and no error of theirs."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from otel.spool import encoding
from otel.spool.api_provider import ApiProvider
from otel.spool.reading import exported
from otel.spool.sampling import Sampler
from otel.spool.span_limits import SpanLimits
from otel.spool.spool import Spool
from otel.spool.tracing import SpooledTracing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.real_time


class Unprintable:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class Written:
    """A tracer, and what became of its spans.

    Attributes:
        tracer: as an instrumentation gets it.
        tracing: where its spans go.
    """

    def __init__(self, folder: Path) -> None:
        spool = Spool(folder, encoding.resource({}))
        self.tracing = SpooledTracing(
            spool,
            None,
            sampled=Sampler(),
            limits=SpanLimits(),
            redact=lambda text: text.replace("hunter2", "[redacted]"),
        )
        self.tracer = ApiProvider(self.tracing).get_tracer("theirs")
        self._folder = folder

    def spans(self) -> list[dict[str, Any]]:
        """Return what was written, in order."""
        return [
            span
            for of_resource in exported(self._folder)
            for of_scope in of_resource["scopeSpans"]
            for span in of_scope["spans"]
        ]


@pytest.fixture
async def written(tmp_path: Path) -> AsyncIterator[Written]:
    written = Written(tmp_path)
    yield written
    await written.tracing.shutdown()


def said(of: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: each["value"].get("stringValue") for each in of.get("attributes", ())}


async def test_a_decorated_function_has_a_span_for_each_call(written: Written) -> None:
    @written.tracer.start_as_current_span("work")
    def work() -> trace.Span:
        return trace.get_current_span()

    @written.tracer.start_as_current_span("async work")
    async def async_work() -> trace.Span:
        return trace.get_current_span()

    assert written.tracing.statistics().started == 0, "none before the first call"
    inside = [work(), work(), await async_work()]
    ids = [f"{each.get_span_context().span_id:016x}" for each in inside]
    assert [span["spanId"] for span in written.spans()] == ids
    assert len(set(ids)) == 3


@pytest.mark.parametrize("value", [Unprintable(), None, {"a": 1}, b"bytes", 1 << 70])
async def test_nothing_that_is_said_fails_where_a_span_ends(written: Written, value: Any) -> None:
    span = written.tracer.start_span(value, attributes={"k": value, 5: value}, start_time=1.5)  # type: ignore[dict-item, arg-type]
    span.set_attribute("later", value)
    span.set_attribute(value, "x")
    span.add_event(value, {"k": value}, timestamp=-1)
    span.end(end_time=2.5)  # type: ignore[arg-type]
    (written_,) = written.spans()
    assert written_["endTimeUnixNano"] == "2"


async def test_a_list_is_said_as_it_was(written: Written) -> None:
    span, items = written.tracer.start_span("x"), ["a"]
    span.set_attribute("items", items)
    items.append("b")
    span.end()
    (attribute,) = written.spans()[0]["attributes"]
    assert attribute["value"]["arrayValue"]["values"] == [{"stringValue": "a"}]


async def test_what_many_threads_say_of_a_span_is_all_in_it(written: Written) -> None:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            for _ in range(20):
                span = written.tracer.start_span("x")

                def say(number: int, span: trace.Span = span) -> None:
                    span.add_event("one")
                    span.set_attribute(f"number {number}", "x")

                list(threads.map(say, range(100)))
                span.end()
    finally:
        sys.setswitchinterval(usual)
    counts = [(len(span["events"]), len(span["attributes"])) for span in written.spans()]
    assert counts == [(100, 100)] * 20


async def test_an_error_has_the_type_that_its_instrumentation_says(written: Written) -> None:
    span = written.tracer.start_span("GET")
    span.set_attribute("error.type", "ConnectTimeout")
    span.set_status(StatusCode.ERROR, "no answer")
    span.set_status(StatusCode.UNSET)
    span.update_name("GET /items")
    span.add_event("sent", timestamp=123)
    span.end()
    (of,) = written.spans()
    assert (of["name"], said(of), of["status"]) == (
        "GET /items",
        {"error.type": "ConnectTimeout"},
        {"code": 2, "message": "no answer"},
    )
    assert of["events"][0]["timeUnixNano"] == "123"


async def test_what_was_well_stays_well(written: Written) -> None:
    span = written.tracer.start_span("x")
    span.set_status(StatusCode.OK)
    span.set_status(StatusCode.ERROR)
    span.end()
    assert "status" not in written.spans()[0]


async def test_an_exception_is_told_without_its_secrets(written: Written) -> None:
    with pytest.raises(ValueError, match="hunter2"), written.tracer.start_as_current_span("x"):
        raise ValueError("the key is hunter2")
    (of,) = written.spans()
    assert said(of) == {"error.type": "ValueError"}
    assert said(of["events"][0])["exception.message"] == "the key is [redacted]"
    assert of["status"]["message"] == "ValueError: the key is [redacted]"


async def test_the_spans_of_a_second_system_go_where_that_one_s_go(tmp_path: Path) -> None:
    first, second = Written(tmp_path / "first"), Written(tmp_path / "second")
    provider = ApiProvider(first.tracing)
    tracer = provider.get_tracer("theirs")
    tracer.start_span("one").end()
    provider.tracing = second.tracing
    tracer.start_span("two").end()
    for written in (first, second):
        await written.tracing.shutdown()
    assert [span["name"] for span in first.spans()] == ["one"]
    assert [span["name"] for span in second.spans()] == ["two"]
