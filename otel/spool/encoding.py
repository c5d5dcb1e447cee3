"""A span as OTLP has it on the wire, written once, when it ends.

``opentelemetry/proto/trace/v1/trace.proto`` has the numbers of the fields. A span is written in two
parts: the head, which is known when it starts, and what came afterwards.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from otel.sendable import sendable_name, sendable_text
from otel.spool.attribute_fields import OF_EVENTS, OF_LINKS, Names, fields_of
from otel.spool.wire import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    delimited,
    fields,
    pack_fixed32,
    pack_fixed64,
    tag,
    varint,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel.span import Link, Span, SpanKind

KINDS: Final[Mapping[SpanKind, bytes]] = {
    "internal": varint(1),
    "server": varint(2),
    "client": varint(3),
    "producer": varint(4),
    "consumer": varint(5),
}
ERROR: Final = 2  # the code of a status
SPANS: Final = tag(2, BYTES)  # of ScopeSpans; every frame of a spool begins with it
IDS_BYTES: Final = 28  # what trace and span id take at the beginning of a head

_TRACE_ID = tag(1, BYTES) + varint(16)
_SPAN_ID = tag(2, BYTES) + varint(8)
_PARENT_ID = tag(4, BYTES) + varint(8)
_NAME = tag(5, BYTES)
_KIND = tag(6, VARINT)
_START_NUMBER: Final = 7
_START = tag(_START_NUMBER, FIXED64)
_END = tag(8, FIXED64)
_EVENTS = tag(11, BYTES)
_LINKS = tag(13, BYTES)
_STATUS = tag(15, BYTES)
_FLAGS = tag(16, FIXED32)

_EVENT_TIME = tag(1, FIXED64)
_EVENT_NAME = tag(2, BYTES)
_LINK_FLAGS = tag(6, FIXED32)
_STATUS_MESSAGE = tag(2, BYTES)
_STATUS_CODE = tag(3, VARINT)


def head(span: Span, above: Span | None, name: str, kind: SpanKind, start_ns: int) -> bytes:
    """Return what is known of a span when it starts, without its attributes.

    Args:
        span: its ids.
        above: its parent; None at a root.
        name: its name.
        kind: its kind.
        start_ns: nanoseconds since the Unix epoch.
    """
    parent = b"" if above is None else _PARENT_ID + above.span_id.to_bytes(8, "big")
    return b"".join(
        (
            _TRACE_ID,
            span.trace_id.to_bytes(16, "big"),
            _SPAN_ID,
            span.span_id.to_bytes(8, "big"),
            parent,
            _title(name, kind),
            pack_fixed64(start_ns),
            _flags(span.flags),
        )
    )


@lru_cache(maxsize=1_024)
def _title(name: str, kind: SpanKind) -> bytes:
    """Return what is between the ids of a span and its start, which many spans have alike."""
    return delimited(_NAME, sendable_name(name).encode()) + _KIND + KINDS[kind] + _START


@lru_cache(maxsize=8)
def _flags(flags: int) -> bytes:
    return _FLAGS + pack_fixed32(flags)


def name(said: str) -> bytes:
    """Return another name of a span: of a field that is there twice the last one counts."""
    return delimited(_NAME, sendable_name(said).encode())


def start_of(span: bytes) -> int:
    """Return when an encoded span began, in nanoseconds since the Unix epoch; 0 if never."""
    return next((field.number_value for field in fields(span) if field.number == _START_NUMBER), 0)


def event(name: str, at_ns: int, values: Mapping[str, object]) -> bytes:
    """Return one event of a span."""
    said = delimited(_EVENT_NAME, sendable_name(name).encode())
    content = _EVENT_TIME + pack_fixed64(at_ns) + said + fields_of(values, OF_EVENTS)
    return delimited(_EVENTS, content)


def links(to: Sequence[Link]) -> bytes:
    """Return the links of a span."""
    return b"".join(
        delimited(
            _LINKS,
            _TRACE_ID
            + each.to.trace_id.to_bytes(16, "big")
            + _SPAN_ID
            + each.to.span_id.to_bytes(8, "big")
            + fields_of(each.attributes, OF_LINKS)
            + _LINK_FLAGS
            + pack_fixed32(each.to.flags),
        )
        for each in to
    )


def end(at_ns: int) -> bytes:
    """Return when a span ended."""
    return _END + pack_fixed64(at_ns)


def status(code: int, message: str) -> bytes:
    """Return how a span ended."""
    said = delimited(_STATUS_MESSAGE, sendable_text(message).encode()) if message else b""
    return delimited(_STATUS, said + _STATUS_CODE + varint(code))


def frame(span: bytes) -> bytes:
    """Return a span as a field of ``ScopeSpans``."""
    return SPANS + varint(len(span)) + span


def scope(name: str, version: str) -> bytes:
    """Return an ``InstrumentationScope``."""
    return delimited(tag(1, BYTES), name.encode()) + delimited(tag(2, BYTES), version.encode())


def resource(values: Mapping[str, object]) -> bytes:
    """Return a ``Resource``."""
    return fields_of(values, Names(tag(1, BYTES)))


def request(resource_bytes: bytes, scope_bytes: bytes, frames: bytes) -> bytes:
    """Return an ``ExportTraceServiceRequest`` around frames as they are."""
    scope_spans = delimited(tag(1, BYTES), scope_bytes)
    inner = len(scope_spans) + len(frames)
    spans_of_resource = delimited(tag(1, BYTES), resource_bytes) + tag(2, BYTES) + varint(inner)
    outer = tag(1, BYTES) + varint(len(spans_of_resource) + inner)
    return b"".join((outer, spans_of_resource, scope_spans, frames))
