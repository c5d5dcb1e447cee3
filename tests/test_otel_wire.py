"""Spans as they are written by hand are what ``opentelemetry-proto`` reads."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan

from otel.attributes import Alike, Joined
from otel.span import Link, Span
from otel.spool import encoding
from otel.spool.attribute_fields import attribute_fields
from otel.spool.wire import Torn, fields, read_varint, varint

TEXTS = st.text(max_size=40)
NUMBERS = st.integers(-(2**63) + 1, 2**63 - 1)
VALUES = st.one_of(
    TEXTS,
    st.booleans(),
    NUMBERS,
    st.floats(allow_nan=False),
    st.lists(TEXTS, max_size=4),
    st.tuples(TEXTS, TEXTS),
)
NAMES = st.text(min_size=1, max_size=20)
ATTRIBUTES = st.dictionaries(NAMES, VALUES, max_size=6)
IDS = st.integers(1, 2**64 - 1)
TRACES = st.integers(1, 2**128 - 1)
TIMES = st.integers(0, 2**63 - 1)


def plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    return getattr(value, kind)


def said(pairs: Any) -> dict[str, Any]:
    return {each.key: plain(each.value) for each in pairs}


def sent(values: dict[str, Any]) -> dict[str, Any]:
    """Return values as OTLP carries them: lone surrogates are no text."""

    def text(value: Any) -> Any:
        if isinstance(value, str):
            return value.encode("utf-8", "replace").decode()
        return [text(each) for each in value] if isinstance(value, list | tuple) else value

    return {text(name): text(value) for name, value in values.items()}


@given(
    st.tuples(TRACES, IDS, st.sampled_from([0, 1])),
    st.none() | st.tuples(TRACES, IDS),
    TEXTS,
    st.sampled_from(["internal", "client", "server", "producer", "consumer"]),
    st.tuples(TIMES, TIMES),
    ATTRIBUTES,
    ATTRIBUTES,
    st.lists(st.tuples(TEXTS, TIMES, ATTRIBUTES), max_size=2),
    st.lists(st.tuples(TRACES, IDS, ATTRIBUTES), max_size=2),
    st.none() | TEXTS,
)
def test_every_field_of_a_span_is_read_as_it_was_meant(  # noqa: PLR0917  # all that a span is made of
    ids: tuple[int, int, int],
    parent: tuple[int, int] | None,
    name: str,
    kind: Any,
    times: tuple[int, int],
    first: dict[str, Any],
    later: dict[str, Any],
    events: list[tuple[str, int, dict[str, Any]]],
    links: list[tuple[int, int, dict[str, Any]]],
    error: str | None,
) -> None:
    span, above = Span(*ids), None if parent is None else Span(*parent)
    written = b"".join(
        (
            encoding.head(span, above, name, kind, times[0]),
            encoding.links([Link(Span(trace, of), values) for trace, of, values in links]),
            attribute_fields(first),
            attribute_fields(later),
            *(encoding.event(*each) for each in events),
            encoding.end(times[1]),
            b"" if error is None else encoding.status(encoding.ERROR, error),
        )
    )
    scope = ScopeSpans.FromString(encoding.frame(written))
    (read,) = scope.spans
    assert int.from_bytes(read.trace_id, "big") == span.trace_id
    assert int.from_bytes(read.span_id, "big") == span.span_id
    assert int.from_bytes(read.parent_span_id, "big") == (0 if above is None else above.span_id)
    assert read.flags == span.flags
    assert [read.name] == list(sent({name: 0}))
    assert SentSpan.SpanKind.Name(read.kind) == f"SPAN_KIND_{kind.upper()}"
    assert (read.start_time_unix_nano, read.end_time_unix_nano) == times
    both = [(each.key, plain(each.value)) for each in read.attributes]
    assert both == [
        (key, list(value) if isinstance(value, tuple) else value)
        for values in (first, later)
        for key, value in ((*sent({key: value}).items(),)[0] for key, value in values.items())
    ]
    assert [(each.time_unix_nano, said(each.attributes)) for each in read.events] == [
        (at, said_as_lists(values)) for _, at, values in events
    ]
    assert [int.from_bytes(each.span_id, "big") for each in read.links] == [
        of for _, of, _ in links
    ]
    assert [said(each.attributes) for each in read.links] == [
        said_as_lists(values) for _, _, values in links
    ]
    code = Status.STATUS_CODE_UNSET if error is None else Status.STATUS_CODE_ERROR
    assert read.status.code == code


def said_as_lists(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in sent(values).items()
    }


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (2**63, "0x8000000000000000"),
        (-(2**70), "-0x400000000000000000"),
        ("x" * 9_000, "x" * 8_191 + "…"),
        ("\ud800", "?"),
        (math.inf, math.inf),
        ({"a": 1}, "{'a': 1}"),
        (b"ab", "b'ab'"),
        (True, True),
        ([1, "a", None], [1, "a", "None"]),
        (["x"] * 200, ["x"] * 128),
    ],
)
def test_what_otlp_cannot_carry_is_made_harmless(value: object, read: object) -> None:
    (sent_,) = SentSpan.FromString(attribute_fields({"a": value})).attributes
    assert plain(sent_.value) == read
    assert type(plain(sent_.value)) is type(read)


@given(ATTRIBUTES, NAMES, st.lists(TRACES, max_size=4))
def test_a_request_says_whose_spans_they_are(
    resource: dict[str, Any], scope: str, traces: list[int]
) -> None:
    frames = b"".join(
        encoding.frame(encoding.head(Span(trace, 1), None, "x", "internal", 1)) for trace in traces
    )
    body = encoding.request(encoding.resource(resource), encoding.scope("s", "1.0"), frames)
    (of_resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert said(of_resource.resource.attributes) == said_as_lists(resource)
    (of_scope,) = of_resource.scope_spans
    assert (of_scope.scope.name, of_scope.scope.version) == ("s", "1.0")
    assert [int.from_bytes(each.trace_id, "big") for each in of_scope.spans] == traces


@given(NUMBERS)
def test_a_number_is_read_as_it_was_written(number: int) -> None:
    written = varint(number)
    assert read_varint(written, 0, len(written)) == (number % 2**64, len(written))
    value = AnyValue(int_value=number).SerializeToString()
    assert attribute_fields({"a": number}).endswith(value)


@given(ATTRIBUTES, st.data())
def test_a_message_that_is_cut_off_is_torn_and_nothing_else(
    values: dict[str, Any], data: st.DataObject
) -> None:
    whole = attribute_fields(values)
    assert len(list(fields(whole))) == len(values)
    cut = data.draw(st.integers(0, len(whole)))
    try:
        found = list(fields(whole[:cut]))
    except Torn:
        return
    assert not found or found[-1].end == cut


@given(st.binary(max_size=60))
def test_bytes_that_are_no_message_are_torn_and_nothing_else(data: bytes) -> None:
    try:
        for field in fields(data):
            assert 0 <= field.start <= field.end <= len(data)
    except Torn:
        pass


def test_a_key_value_is_what_the_library_writes() -> None:
    library = KeyValue(key="name", value=AnyValue(string_value="x" * 300)).SerializeToString()
    assert attribute_fields({"name": "x" * 300}).endswith(library)


@given(ATTRIBUTES, ATTRIBUTES)
def test_what_spans_say_alike_is_written_as_if_each_had_said_it(
    common: dict[str, Any], own: dict[str, Any]
) -> None:
    alike = Alike({name: value for name, value in common.items() if name not in own})
    for _ in range(2):
        joined = Joined(alike, own)
        assert joined == {**alike, **own}
        span = SentSpan.FromString(attribute_fields(joined))
        assert said(span.attributes) == sent(dict(joined))
