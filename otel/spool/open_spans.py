"""The spans that have begun and not ended, where they outlive their process.

A file of slots, mapped into memory. A span that begins has what is known of it copied into a slot,
which is cleared when it ends. Whoever finds the file of a dead process closes what is still in it.
The time in the header is when the process is known to have lived last.
"""

from __future__ import annotations

import threading
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from otel.spool import mapped_file
from otel.spool.segment import NotASegment, Origin, begin, read_header, write_number
from otel.spool.wire import Torn, fields

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX: Final = ".open"
SLOTS: Final = 4_096  # spans; what is open beyond is not closed after a crash
NO_SLOT: Final = -1

_SLOT: Final = 768  # bytes; of a span that needs more only the head is kept
_LENGTH: Final = Struct("<H")
_LONGEST: Final = _SLOT - _LENGTH.size
_FREE: Final = _LENGTH.pack(0)


class OpenSpans:
    """The open spans of this process.

    Args:
        path: the file to make.
        origin: whose spans they are.
        slots: how many there may be.

    Raises:
        OSError: the file cannot be made.
    """

    __slots__ = ("_file", "_free", "_is_over", "_lock", "_memory")

    def __init__(self, path: Path, origin: Origin, slots: int = SLOTS) -> None:
        room = len(origin.resource) + len(origin.scope) + _SLOT  # the header, generously
        self._is_over = False
        self._lock = threading.Lock()
        self._file = mapped_file.make(path, room + slots * _SLOT)
        self._memory = self._file.memory
        start = begin(self._memory, origin).size
        write_number(self._memory, 0)
        self._free = list(range(start + (slots - 1) * _SLOT, start - 1, -_SLOT))

    def __repr__(self) -> str:
        return f"<OpenSpans {self._file.path.name} [{len(self._free)} slots free]>"

    def opened(self, whole: bytes, head: bytes) -> int:
        """Keep what is known of a span that begins; return its slot.

        Args:
            whole: its head with its attributes.
            head: the head alone, for when that is too long.
        """
        known = whole if len(whole) <= _LONGEST else head
        if len(known) > _LONGEST:
            return NO_SLOT
        with self._lock:
            if not self._free or self._is_over:
                return NO_SLOT
            slot = self._free.pop()
            at = slot + _LENGTH.size
            self._memory[at : at + len(known)] = known
            self._memory[slot:at] = _LENGTH.pack(len(known))  # last: only then is the rest read
        return slot

    def closed(self, slot: int) -> None:
        """Forget a span that has ended."""
        with self._lock:
            if slot != NO_SLOT and not self._is_over:
                self._memory[slot : slot + _LENGTH.size] = _FREE
                self._free.append(slot)

    def lives(self, now_ns: int) -> None:
        """Note that the process lives, in nanoseconds since the Unix epoch."""
        with self._lock:
            if not self._is_over:
                write_number(self._memory, now_ns)

    def close(self) -> None:
        """Remove the file: what is open now has nobody to end it, and is no crash."""
        with self._lock:
            self._is_over = True
            self._file.delete()

    def leave(self) -> None:
        """Give the file up as it is, in a child process: it is the parent's."""
        self._lock = threading.Lock()
        if not self._is_over:
            self._is_over = True
            self._file.abandon()


class LeftOpen(NamedTuple):
    """What a dead process left open.

    Attributes:
        origin: whose spans they are.
        last_ns: when it is known to have lived last, in nanoseconds since the Unix epoch; else 0.
        spans: what is known of each.
    """

    origin: Origin
    last_ns: int
    spans: tuple[bytes, ...]


def left_open(path: Path) -> LeftOpen:
    """Read the file of a process.

    Raises:
        NotASegment: the file is none.
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    header = read_header(data, path)
    return LeftOpen(header.origin, header.number, tuple(_slots(data, header.size)))


def _slots(data: bytes, start: int) -> Iterator[bytes]:
    for slot in range(start, len(data) - _SLOT + 1, _SLOT):
        (length,) = _LENGTH.unpack_from(data, slot)
        span = data[slot + _LENGTH.size : slot + _LENGTH.size + length]
        if 0 < length <= _LONGEST and _is_whole(span):
            yield span


def _is_whole(span: bytes) -> bool:
    """Whether a loss of power has torn nothing off it."""
    try:
        return all(field.number for field in fields(span))
    except Torn:
        return False


__all__ = ["NO_SLOT", "SUFFIX", "LeftOpen", "NotASegment", "OpenSpans", "left_open"]
