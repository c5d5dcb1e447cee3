"""Attributes as OTLP has them on the wire: ``opentelemetry/proto/common/v1/common.proto``.

Most of an attribute is before its value: tags, lengths, and the name. All of that depends on no
more than the name, and the type and the size of the value, so it is written once and kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel.attributes import Alike, Joined
from otel.sendable import sendable_name, sendable_text
from otel.spool.wire import BYTES, FIXED64, VARINT, delimited, pack_double, tag, varint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_KEY: Final = tag(1, BYTES)
_VALUE: Final = tag(2, BYTES)
_STRING: Final = tag(1, BYTES)
_BOOL: Final = tag(2, VARINT)
_INT: Final = tag(3, VARINT)
_DOUBLE: Final = tag(4, FIXED64)
_ARRAY: Final = tag(5, BYTES)
_LIST_ITEM: Final = tag(1, BYTES)

_SHORT: Final = 160  # bytes of a text that needs no cutting, and whose size is a usual one
_LONGEST_LIST: Final = 128
_LARGEST_INT: Final = (1 << 63) - 1
_MOST_NAMES: Final = 1_024  # that are kept; there are few
_SMALL: Final = 64  # numbers that are kept with their names: depths, counts of nothing


class _Before(dict[int, bytes]):
    """What is before a value of one type, by the size of the value in bytes."""

    __slots__ = ("_of",)

    def __init__(self, of: Callable[[int], bytes]) -> None:
        super().__init__()
        self._of = of

    def __missing__(self, size: int) -> bytes:
        written = self[size] = self._of(size)
        return written


class _Name:
    """A name of attributes, with what is before its values."""

    __slots__ = ("_key", "_start", "before_double", "before_int", "before_text", "numbers")

    def __init__(self, start: bytes, name: str) -> None:
        self._start = start
        self._key = delimited(_KEY, sendable_name(name).encode()) + _VALUE
        self.before_text = _Before(self._before_text)
        self.before_int = _Before(self._before_int)
        self.before_double = self._before(len(_DOUBLE) + 8) + _DOUBLE
        self.numbers: dict[int, bytes] = {}

    def field(self, any_value: bytes) -> bytes:
        """Return the attribute of a value, which is written already."""
        return self._before(len(any_value)) + any_value

    def number(self, number: int) -> bytes:
        """Return the attribute of a number."""
        if not -_LARGEST_INT <= number <= _LARGEST_INT:
            return self.field(_int(number))
        said = varint(number)
        written = self.before_int[len(said)] + said
        if 0 <= number < _SMALL:
            self.numbers[number] = written
        return written

    def _before(self, size: int) -> bytes:
        """Return what is before an ``AnyValue`` of so many bytes."""
        after_key = varint(size)
        return self._start + varint(len(self._key) + len(after_key) + size) + self._key + after_key

    def _before_text(self, size: int) -> bytes:
        said = _STRING + varint(size)
        return self._before(len(said) + size) + said

    def _before_int(self, size: int) -> bytes:
        return self._before(len(_INT) + size) + _INT


class Names(dict[str, _Name]):
    """The names of the attributes of one kind of thing.

    Args:
        start: the tag of the field that an attribute is in that thing.
    """

    __slots__ = ("_start",)

    def __init__(self, start: bytes) -> None:
        super().__init__()
        self._start = start

    def __missing__(self, name: str) -> _Name:
        known = _Name(self._start, name)
        if len(self) < _MOST_NAMES:
            self[name] = known
        return known


OF_SPANS: Final = Names(tag(9, BYTES))
OF_EVENTS: Final = Names(tag(3, BYTES))
OF_LINKS: Final = Names(tag(4, BYTES))


def attribute_fields(values: Mapping[str, object]) -> bytes:
    """Return the attributes of a span; what many have alike is written once."""
    if type(values) is not Joined:
        return values.written or _written(values) if type(values) is Alike else fields_of(values)
    written = b""
    for each in values.parts:
        written += each.written or _written(each) if type(each) is Alike else fields_of(each)
    return written


def _written(alike: Alike) -> bytes:
    alike.written = fields_of(alike)
    return alike.written


def fields_of(values: Mapping[str, object], names: Names = OF_SPANS) -> bytes:
    """Return attributes as the fields of something, one after the other."""
    out = []
    for name, value in values.items():
        known = names[name]
        if type(value) is str:
            text = value.encode("utf-8", "replace")
            if (size := len(text)) < _SHORT:
                out.append(known.before_text[size] + text)
            else:
                out.append(known.field(_string(value)))
        elif type(value) is int:
            out.append(known.numbers.get(value) or known.number(value))
        elif type(value) is float:
            out.append(known.before_double + pack_double(value))
        else:
            out.append(known.field(_any_value(value)))
    return b"".join(out)


def _any_value(value: object) -> bytes:
    write = _WRITERS.get(type(value))
    if write is None:
        write = next((each for kind, each in _WRITERS.items() if isinstance(value, kind)), _other)
    return write(value)


def _string(value: str) -> bytes:
    return delimited(_STRING, sendable_text(value).encode())


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


_WRITERS: Final[dict[type, Callable[[Any], bytes]]] = {
    str: _string,
    bool: _bool,
    int: _int,
    float: _double,
    tuple: _array,
    list: _array,
}
