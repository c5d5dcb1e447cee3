"""The spans that have begun and not ended, where they outlive their process.

A file of slots, mapped into memory. A span that begins has what is known of it copied into a slot,
which is cleared when it ends. Whoever finds the file of a dead process closes what is still in it.
The time in the header is when the process is known to have lived last.

A file has its size from the start, so the first is small, and the next one, with four times as many
slots, is made when all are in use. Each stands for itself: recovery knows nothing of the others.

No lock is needed to take a slot or to give it back: a list does either in one step, and a thread
that meets a file which has just been closed has a span that nobody needs to find.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from otel.spool import mapped_file
from otel.spool.segment import NotASegment, Origin, begin, read_header, write_number
from otel.spool.wire import Torn, fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from mmap import mmap
    from pathlib import Path

    from otel.spool.mapped_file import MappedFile

SUFFIX: Final = ".open"
SLOTS: Final = 512  # of the first file
FILES: Final = 3  # 10,752 slots; what is open beyond is not closed after a crash

_SLOT: Final = 768  # bytes; of a span that needs more only the head is kept
_TIMES_MORE: Final = 4  # slots than in the file before
_LOOKS_AGAIN_S: Final = 1.0  # for room for a further file
_LENGTH: Final = Struct("<H")
_LONGEST: Final = _SLOT - _LENGTH.size
_FREE: Final = 0  # the length of what is in a slot that nothing is in


class Slot(NamedTuple):
    """Where an open span is.

    Attributes:
        memory: the file.
        start: the offset in it.
    """

    memory: mmap
    start: int


NO_SLOT: Final = None


class OpenSpans:
    """The open spans of this process.

    Args:
        path: the file to make; further ones are beside it.
        origin: whose spans they are.
        slots: how many the first file has.
        files: how many files there may be.
        check: raises OSError where there is no room for so many bytes more.

    Raises:
        OSError: the first file cannot be made.
    """

    __slots__ = (
        "_check",
        "_files",
        "_free",
        "_is_growing",
        "_is_over",
        "_lock",
        "_looks_again_at",
        "_most_files",
        "_origin",
        "_path",
        "_slots",
    )

    def __init__(
        self,
        path: Path,
        origin: Origin,
        slots: int = SLOTS,
        *,
        files: int = 1,
        check: Callable[[int], None] | None = None,
    ) -> None:
        self._path = path
        self._origin = origin
        self._slots = slots
        self._most_files = files
        self._check = check
        self._is_over = False
        self._lock = threading.RLock()  # a finalizer may end a span while a file is made under it
        self._is_growing = False
        self._looks_again_at = 0.0
        self._files: list[MappedFile] = []
        self._free: list[Slot] = []
        self._add(path)

    def __repr__(self) -> str:
        return f"<OpenSpans {self._path.name} [{len(self._free)} slots free]>"

    def _add(self, path: Path) -> None:
        """Make the next file.

        Raises:
            OSError: there is no room for it.
        """
        origin, slots = self._origin, self._slots * _TIMES_MORE ** len(self._files)
        room = len(origin.resource) + len(origin.scope) + _SLOT  # the header, generously
        size = room + slots * _SLOT
        if self._check is not None:
            self._check(size)
        file = mapped_file.make(path, size)
        start = begin(file.memory, origin).size
        write_number(file.memory, 0)
        self._files.append(file)
        last_first = range(start + (slots - 1) * _SLOT, start - 1, -_SLOT)
        self._free += [Slot(file.memory, at) for at in last_first]

    def _grown(self) -> Slot:
        """Return a slot of a further file, if there may be one and there is room.

        Raises:
            IndexError: there is none.
        """
        with self._lock:
            if not self._free and not self._is_over:
                self._grow()
        return self._free.pop()

    def _grow(self) -> None:
        """Make a further file; for who has the lock."""
        if self._is_growing or len(self._files) >= self._most_files:
            return
        now = time.monotonic()
        if now < self._looks_again_at:
            return
        self._is_growing, self._looks_again_at = True, now + _LOOKS_AGAIN_S
        try:
            with suppress(OSError):
                self._add(self._path.with_stem(f"{self._path.stem}-{len(self._files)}"))
                self._looks_again_at = now
        finally:
            self._is_growing = False

    def opened(self, whole: bytes, head: bytes) -> Slot | None:
        """Keep what is known of a span that begins; return its slot.

        Args:
            whole: its head with its attributes.
            head: the head alone, for when that is too long.
        """
        known = whole if len(whole) <= _LONGEST else head
        size = len(known)
        if size > _LONGEST:
            return NO_SLOT
        try:
            slot = self._free.pop() if self._free else self._grown()
            memory, start = slot
            at = start + _LENGTH.size
            memory[at : at + size] = known
            _LENGTH.pack_into(memory, start, size)  # last: only then is the rest read
        except (IndexError, ValueError):  # none is left, also as the files were closed meanwhile
            return NO_SLOT
        return slot

    def closed(self, slot: Slot | None) -> None:
        """Forget a span that has ended."""
        if slot is not None and not self._is_over:
            try:
                _LENGTH.pack_into(slot.memory, slot.start, _FREE)
            except ValueError:  # the files were closed meanwhile
                return
            self._free.append(slot)

    def lives(self, now_ns: int) -> None:
        """Note that the process lives, in nanoseconds since the Unix epoch."""
        with self._lock:
            if not self._is_over:
                for file in self._files:
                    write_number(file.memory, now_ns)

    def close(self) -> None:
        """Remove the files: what is open now has nobody to end it, and is no crash."""
        with self._lock:
            self._is_over = True
            self._free.clear()
            for file in self._files:
                file.delete()

    def leave(self) -> None:
        """Give the files up as they are, in a child process: they are the parent's."""
        self._lock = threading.RLock()
        if not self._is_over:
            self._is_over = True
            self._free.clear()
            for file in self._files:
                file.abandon()


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
