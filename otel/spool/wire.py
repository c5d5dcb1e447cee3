"""Protocol buffers by hand: the few forms that spans are made of, written and read.

Only what OTLP needs. The tests hold it field by field to ``opentelemetry-proto``, which takes six
times as long: <https://protobuf.dev/programming-guides/encoding/>.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from mmap import mmap

    Readable = bytes | memoryview | mmap

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5

_WIDTHS: Final = {FIXED64: 8, FIXED32: 4}
ONE_BYTE: Final = 0x80
_TWO_BYTES: Final = 0x4000
_MOST_VARINT: Final = 10  # bytes that 64 bits take
SMALL: Final = tuple(bytes([number]) for number in range(ONE_BYTE))

pack_fixed64: Final = Struct("<Q").pack
pack_double: Final = Struct("<d").pack
pack_fixed32: Final = Struct("<I").pack


class Torn(ValueError):
    """The bytes end, or make no sense, in the middle of a field."""


class Field(NamedTuple):
    """One field of a message as it is on the wire.

    Attributes:
        number: which field.
        kind: its wire type.
        number_value: its value where it is a number; the length of its bytes otherwise.
        start: where its bytes begin.
        end: where the next field begins.
    """

    number: int
    kind: int
    number_value: int
    start: int
    end: int


def varint(number: int) -> bytes:
    """Return a number of at most 64 bits; a negative one as its two's complement."""
    if 0 <= number < ONE_BYTE:
        return SMALL[number]
    if 0 <= number < _TWO_BYTES:
        return bytes((number & 0x7F | 0x80, number >> 7))
    number &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while number >= ONE_BYTE:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(number: int, kind: int) -> bytes:
    """Return what a field begins with."""
    return varint(number << 3 | kind)


def delimited(start: bytes, content: bytes) -> bytes:
    """Return a field of bytes, whose tag is given."""
    return start + varint(len(content)) + content


def read_varint(data: Readable, at: int, end: int) -> tuple[int, int]:
    """Return a number and where the next thing begins.

    Raises:
        Torn: it does not end before ``end``.
    """
    result = shift = 0
    for place in range(at, min(end, at + _MOST_VARINT)):
        byte = data[place]
        result |= (byte & 0x7F) << shift
        if byte < ONE_BYTE:
            return result, place + 1
        shift += 7
    raise Torn(f"no number at {at}")


def read_field(data: Readable, at: int, end: int) -> Field:
    """Return the field that begins at a place.

    Raises:
        Torn: it does not end before ``end``, or is none.
    """
    start, at = read_varint(data, at, end)
    number, kind = start >> 3, start & 7
    if kind == VARINT:
        value, after = read_varint(data, at, end)
        return Field(number, kind, value, at, after)
    if kind == BYTES:
        length, at = read_varint(data, at, end)
    else:
        length = _WIDTHS.get(kind, end)
    if not number or at + length > end:
        raise Torn(f"no field at {at}")
    value = length if kind == BYTES else int.from_bytes(data[at : at + length], "little")
    return Field(number, kind, value, at, at + length)


def fields(data: Readable, start: int = 0, end: int | None = None) -> Iterator[Field]:
    """Yield the fields of a message.

    Raises:
        Torn: it ends in the middle of one.
    """
    at, end = start, len(data) if end is None else end
    while at < end:
        field = read_field(data, at, end)
        yield field
        at = field.end
