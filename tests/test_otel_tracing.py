"""Tracing that goes nowhere: valid ids for next to nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel import Span, Tracing, configure_tracing
from otel.span import span_from

ROOT = Path(__file__).parents[1]
RUN = 0x0199_7F2E_0000_7000_8000_0000_0000_0001
IMPORTED = """
import sys
{body}
heavy = ("opentelemetry", "structlog", "grpc", "requests")
print(sorted(name for name in sys.modules if name.split(".")[0] in heavy))
"""


def imported_after(body: str) -> str:
    program = IMPORTED.format(body=body)
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return ended.stdout.strip()


def test_without_an_endpoint_a_root_has_the_trace_id_of_its_run() -> None:
    root = configure_tracing({}).start("invoke_workflow digest", trace_id=RUN)
    assert root.trace_id == RUN
    assert root.traceparent == f"00-{RUN:032x}-{root.span_id:016x}-01"


def test_a_child_stays_in_the_trace_and_gets_an_id_of_its_own() -> None:
    tracing = Tracing()
    root = tracing.start("root", trace_id=RUN)
    for parent in (root, root.traceparent):
        child = tracing.start("child", parent=parent)
        assert child.trace_id == RUN
        assert child.span_id not in {0, root.span_id}


def test_a_root_without_a_run_gets_a_random_trace_id() -> None:
    first, second = Tracing().start("a"), Tracing().start("b")
    assert first.trace_id != second.trace_id
    assert span_from(first.traceparent) is not None


@given(
    trace_id=st.integers(1, 2**128 - 1),
    span_id=st.integers(1, 2**64 - 1),
    flags=st.integers(0, 3),
)
def test_a_traceparent_is_read_as_it_was_written(trace_id: int, span_id: int, flags: int) -> None:
    span = span_from(Span(trace_id, span_id, flags).traceparent)
    assert span is not None
    assert (span.trace_id, span.span_id, span.flags) == (trace_id, span_id, flags)


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "garbage",
        f"00-{'0' * 32}-{'1' * 16}-01",
        f"00-{'1' * 32}-{'0' * 16}-01",
        f"ff-{'1' * 32}-{'1' * 16}-01",
        f"00-{'1' * 32}-{'1' * 16}-01-more",
        f"00-{'A' * 32}-{'1' * 16}-01",
        f"00-{'1' * 31}-{'1' * 16}-01",
        f"00-{'1' * 32}-{'1' * 16}-01\n",
        f"01-{'1' * 32}-{'1' * 16}-01-{'x' * 10_000}",
    ],
)
def test_a_traceparent_that_is_not_valid_begins_a_trace_of_its_own(traceparent: str) -> None:
    assert span_from(traceparent) is None
    span = Tracing().start("child", parent=traceparent)
    assert span_from(span.traceparent) is not None
    assert span.trace_id != 0x11111111111111111111111111111111


@given(st.text(max_size=80))
def test_no_text_at_all_makes_reading_a_traceparent_fail(text: str) -> None:
    span = span_from(text)
    assert span is None or span_from(span.traceparent) is not None


def test_a_traceparent_of_a_later_version_is_understood() -> None:
    span = span_from(f"cc-{'1' * 32}-{'2' * 16}-03-what-the-future-holds")
    assert span is not None
    assert span.flags == 3


def test_the_decision_of_a_caller_not_to_record_is_handed_down() -> None:
    child = Tracing().start("child", parent=f"00-{'1' * 32}-{'2' * 16}-00")
    assert child.traceparent.endswith("-00")


def test_only_a_root_can_be_given_a_trace_id() -> None:
    root = Tracing().start("root", trace_id=RUN)
    with pytest.raises(ValueError, match="only for a root"):
        Tracing().start("child", parent=root, trace_id=RUN)


@pytest.mark.parametrize("trace_id", [0, -1, 2**128])
def test_a_trace_id_that_no_header_can_carry_is_refused(trace_id: int) -> None:
    with pytest.raises(ValueError, match="128 bits"):
        Tracing().start("root", trace_id=trace_id)


async def test_a_span_that_goes_nowhere_takes_everything_and_keeps_its_place() -> None:
    tracing = configure_tracing({})
    span = tracing.start("root", kind="client", trace_id=RUN, attributes={"a": 1})
    before = span.traceparent
    with span.attached():
        span.set({"b": "2"})
        span.event("happened", {"c": 3.0})
    span.end(error_type="timeout", message="too late")
    span.end()
    assert span.traceparent == before
    assert tracing.destination == "nowhere"
    assert repr(tracing) == "<Tracing nowhere>"
    assert tracing.statistics().started == 0
    assert await tracing.shutdown() is True


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_SDK_DISABLED": "True"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_tracing_that_goes_nowhere_imports_no_part_of_opentelemetry(
    environ: dict[str, str],
) -> None:
    body = (
        "import otel\n"
        f"tracing = otel.configure_tracing({environ!r})\n"
        "span = tracing.start('root', trace_id=7)\n"
        "assert span.traceparent.startswith('00-' + '0' * 31 + '7-')\n"
    )
    assert imported_after(body) == "[]"


def test_importing_the_package_imports_neither_opentelemetry_nor_structlog() -> None:
    assert imported_after("import otel") == "[]"


def test_an_endpoint_imports_only_the_exporter_of_its_protocol() -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    imported = imported_after(f"import otel\notel.configure_tracing({endpoint!r})")
    assert "opentelemetry.trace" in imported
    assert "opentelemetry.sdk.trace" not in imported
    assert "grpc" not in imported
