"""A span as OTLP has it on the wire, written once, when it ends.

``opentelemetry/proto/trace/v1/trace.proto`` has the numbers of the fields. A span is written in two
parts: the head, which is known when it starts, and what came afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel.attributes import Alike, Joined
from otel.sendable import sendable_name, sendable_text
from otel.spool.wire import (
    BYTES,
    FIXED32,
    FIXED64,
    ONE_BYTE,
    SMALL,
    VARINT,
    delimited,
    fields,
    pack_double,
    pack_fixed32,
    pack_fixed64,
    tag,
    varint,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
_ATTRIBUTES = tag(9, BYTES)
_EVENTS = tag(11, BYTES)
_LINKS = tag(13, BYTES)
_STATUS = tag(15, BYTES)
_FLAGS = tag(16, FIXED32)

_EVENT_TIME = tag(1, FIXED64)
_EVENT_NAME = tag(2, BYTES)
_EVENT_ATTRIBUTES = tag(3, BYTES)
_LINK_ATTRIBUTES = tag(4, BYTES)
_LINK_FLAGS = tag(6, FIXED32)
_STATUS_MESSAGE = tag(2, BYTES)
_STATUS_CODE = tag(3, VARINT)

_KEY = tag(1, BYTES)
_VALUE = tag(2, BYTES)
_STRING = tag(1, BYTES)
_BOOL = tag(2, VARINT)
_INT = tag(3, VARINT)
_DOUBLE = tag(4, FIXED64)
_ARRAY = tag(5, BYTES)
_LIST_ITEM = tag(1, BYTES)

_SHORT = 1_024  # signs that need no cutting
_LONGEST_LIST = 128
_LARGEST_INT = (1 << 63) - 1
_MOST_NAMES = 1_024  # that are kept as they are written; there are few
_MOST_TEXTS = 64  # of each name
_LONGEST_KEPT = 160  # bytes of a pair
_names: dict[str, _Name] = {}


def head(span: Span, above: Span | None, name: str, kind: SpanKind, start_ns: int) -> bytes:
    """Return what is known of a span when it starts, without its attributes.

    Args:
        span: its ids.
        above: its parent; None at a root.
        name: its name.
        kind: its kind.
        start_ns: nanoseconds since the Unix epoch.
    """
    said = sendable_name(name).encode()
    return b"".join(
        (
            _TRACE_ID,
            span.trace_id.to_bytes(16, "big"),
            _SPAN_ID,
            span.span_id.to_bytes(8, "big"),
            b"" if above is None else _PARENT_ID + above.span_id.to_bytes(8, "big"),
            _NAME,
            varint(len(said)),
            said,
            _KIND,
            KINDS[kind],
            _START,
            pack_fixed64(start_ns),
            _FLAGS,
            pack_fixed32(span.flags),
        )
    )


def name(said: str) -> bytes:
    """Return another name of a span: of a field that is there twice the last one counts."""
    return delimited(_NAME, sendable_name(said).encode())


def start_of(span: bytes) -> int:
    """Return when an encoded span began, in nanoseconds since the Unix epoch; 0 if never."""
    return next((field.number_value for field in fields(span) if field.number == _START_NUMBER), 0)


def attributes(values: Mapping[str, object]) -> bytes:
    """Return the attributes of a span; what many have alike is written once."""
    if type(values) is Joined:
        return attributes(values.alike) + _attributes(values.own)
    if type(values) is Alike:
        if not values.written:
            values.written = _attributes(values)
        return values.written
    return _attributes(values)


def _attributes(values: Mapping[str, object], start: bytes = _ATTRIBUTES) -> bytes:
    """Return attributes, each as a field that begins with ``start``."""
    out = []
    for name, value in values.items():
        known = _names.get(name) or _known(name)
        if type(value) is str:
            content = known.texts.get(value) or known.text(value)
        elif type(value) is int:
            content = known.numbers.get(value) or known.number(value)
        else:
            content = _pair(known.key, _any_value(value))
        out.append(start)
        out.append(content)
    return b"".join(out)


def event(name: str, at_ns: int, values: Mapping[str, object]) -> bytes:
    """Return one event of a span."""
    said = delimited(_EVENT_NAME, sendable_name(name).encode())
    content = _EVENT_TIME + pack_fixed64(at_ns) + said + _attributes(values, _EVENT_ATTRIBUTES)
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
            + _attributes(each.attributes, _LINK_ATTRIBUTES)
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
    return _attributes(values, tag(1, BYTES))


def request(resource_bytes: bytes, scope_bytes: bytes, frames: bytes) -> bytes:
    """Return an ``ExportTraceServiceRequest`` around frames as they are."""
    scope_spans = delimited(tag(1, BYTES), scope_bytes)
    inner = len(scope_spans) + len(frames)
    spans_of_resource = delimited(tag(1, BYTES), resource_bytes) + tag(2, BYTES) + varint(inner)
    outer = tag(1, BYTES) + varint(len(spans_of_resource) + inner)
    return b"".join((outer, spans_of_resource, scope_spans, frames))


class _Name:
    """A name of attributes, and the texts and numbers that it lately had, as they are written.

    Most come again and again: names of agents and models, ids of runs, depths, counts of nothing.
    """

    __slots__ = ("key", "numbers", "texts")

    def __init__(self, name: str) -> None:
        self.key = delimited(_KEY, sendable_name(name).encode()) + _VALUE
        self.texts: dict[str, bytes] = {}
        self.numbers: dict[int, bytes] = {}

    def number(self, number: int) -> bytes:
        """Return a number as a pair with the name."""
        content = _pair(self.key, _int(number))
        if 0 <= number < _MOST_TEXTS:
            self.numbers[number] = content
        return content

    def text(self, text: str) -> bytes:
        """Return a text as a pair with the name."""
        content = _pair(self.key, _string(text))
        if len(content) <= _LONGEST_KEPT:
            if len(self.texts) >= _MOST_TEXTS:
                self.texts.clear()
            self.texts[text] = content
        return content


def _known(name: str) -> _Name:
    known = _Name(name)
    if len(_names) < _MOST_NAMES:
        _names[name] = known
    return known


def _pair(key: bytes, any_value: bytes) -> bytes:
    """Return a ``KeyValue`` after its length."""
    inner = len(any_value)
    if (outer := len(key) + 1 + inner) < ONE_BYTE:  # then each length is one byte, as most are
        return SMALL[outer] + key + SMALL[inner] + any_value
    content = key + varint(inner) + any_value
    return varint(len(content)) + content


def _any_value(value: object) -> bytes:
    write = _WRITERS.get(type(value))
    if write is None:
        write = next((each for kind, each in _WRITERS.items() if isinstance(value, kind)), _other)
    return write(value)


def _string(value: str) -> bytes:
    text = value.encode() if len(value) < _SHORT and value.isascii() else _text(value)
    length = len(text)
    return _STRING + (SMALL[length] if length < ONE_BYTE else varint(length)) + text


def _bool(value: bool) -> bytes:  # it is what is written
    return _BOOL + (b"\1" if value else b"\0")


def _int(value: int) -> bytes:
    if -_LARGEST_INT <= value <= _LARGEST_INT:
        return _INT + varint(value)
    return _string(sendable_name(hex(value)))


def _double(value: float) -> bytes:
    return _DOUBLE + pack_double(value)


def _array(value: Sequence[object]) -> bytes:
    items = (delimited(_LIST_ITEM, _any_value(item)) for item in value[:_LONGEST_LIST])
    return delimited(_ARRAY, b"".join(items))


def _other(value: object) -> bytes:
    return _string(str(value))


def _text(text: str) -> bytes:
    return sendable_text(text).encode()


_WRITERS: Final[dict[type, Callable[[Any], bytes]]] = {
    str: _string,
    bool: _bool,
    int: _int,
    float: _double,
    tuple: _array,
    list: _array,
}
