"""A piece of the spool: a file of fixed size that frames are appended to.

    magic, cursor, lengths | resource | scope | frame frame frame 0 0 0 ...

A frame is a span as ``ScopeSpans`` has it, so that a range of frames is sent as it is. Appending is
a copy into memory that the file is mapped to: no system call, no other thread gets in between, and
what is copied outlives the process. The first byte of a frame is written last, so a process that is
killed in between leaves no half of one. A loss of power may: reading stops there.

The cursor says up to where a collector has taken them.
"""

from __future__ import annotations

import mmap
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from otel.spool import mapped_file
from otel.spool.encoding import IDS_BYTES, SPANS
from otel.spool.wire import BYTES, Torn, read_field

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel.spool.mapped_file import MappedFile
    from otel.spool.wire import Readable

SUFFIX: Final = ".spans"

_MAGIC: Final = b"MAGSPAN1"
_HEADER: Final = Struct("<8sQII")
_NUMBER: Final = Struct("<Q")
_NUMBER_AT: Final = len(_MAGIC)
_FIRST: Final = SPANS[0]


class NotASegment(ValueError):
    """A file is none, or what is left of one."""


class Origin(NamedTuple):
    """Whose spans they are, as OTLP has it on the wire.

    Attributes:
        resource: the process.
        scope: the instrumentation.
    """

    resource: bytes
    scope: bytes


class Header(NamedTuple):
    """How a file of the spool begins.

    Attributes:
        number: what changes: a cursor, or a time.
        origin: whose spans are in it.
        size: how long the header is.
    """

    number: int
    origin: Origin
    size: int


class Mark(NamedTuple):
    """A place between two frames.

    Attributes:
        at: the offset.
        spans: how many frames are before it.
    """

    at: int
    spans: int


class Segment:
    """One piece.

    Attributes:
        origin: whose spans they are.
        committed: where the next frame will be, and how many there are.
        acknowledged: up to where they have been taken.
    """

    __slots__ = ("_at", "_count", "_file", "_memory", "_size", "acknowledged", "origin")

    def __init__(self, file: MappedFile | None, memory: mmap.mmap, header: Header) -> None:
        self.origin = header.origin
        self.acknowledged = Mark(header.size, 0)
        self._file = file
        self._memory = memory
        self._size = len(memory)
        self._at = header.size
        self._count = 0

    def __repr__(self) -> str:
        where = "memory" if self._file is None else self._file.path.name
        return f"<Segment {where} [{self._count} spans, {self.pending} pending]>"

    @property
    def committed(self) -> Mark:  # noqa: D102  # in the attributes above
        return Mark(self._at, self._count)

    @property
    def pending(self) -> int:
        """How many frames have not been taken."""
        return self._count - self.acknowledged.spans

    @property
    def is_on_disk(self) -> bool:
        """Whether it outlives the process."""
        return self._file is not None

    def append(self, frame: bytes) -> bool:
        """Add a frame; return whether there was room."""
        at = self._at
        end = at + len(frame)
        if end >= self._size:
            return False
        memory = self._memory
        memory[at + 1 : end] = frame[1:]
        memory[at] = _FIRST
        self._at = end
        self._count += 1
        return True

    def frames(self, start: Mark, end: Mark) -> bytes:
        """Return a range of frames as they are."""
        return self._memory[start.at : end.at]

    def acknowledge(self, mark: Mark) -> None:
        """Note that everything up to a place has been taken."""
        self.acknowledged = mark
        _NUMBER.pack_into(self._memory, _NUMBER_AT, mark.at)

    def marks(self, bytes_apart: int) -> Iterator[Mark]:
        """Yield places after what has been taken, so many bytes or one frame apart, and the end."""
        last, end = self.acknowledged, self.committed
        at, count = last
        while end.at - last.at > bytes_apart and at < end.at:
            after = read_field(self._memory, at, end.at).end
            if after - last.at > bytes_apart and at > last.at:
                last = Mark(at, count)
                yield last
            at, count = after, count + 1
        if end.at > last.at:
            yield end

    def spans(self) -> Iterator[bytes]:
        """Yield the spans that have not been taken, without what frames them."""
        at = self.acknowledged.at
        while at < self._at:
            field = read_field(self._memory, at, self._at)
            yield self._memory[field.start : field.end]
            at = field.end

    def trim(self) -> None:
        """Give back the room behind its frames: nobody appends any more."""
        self._size = self._at
        if self._file is not None:
            self._file.cut(self._at)

    def leave(self) -> None:
        """Give it up as it is: it is another process's."""
        if self._file is not None:
            self._file.abandon()

    def close(self) -> None:
        """Give it up: it is removed if all of it has been taken, else cut to what it holds."""
        if self._file is None:
            self._memory.close()
        elif self.pending:
            self._file.keep(self._at)
        else:
            self._file.delete()


def size_for(origin: Origin, frames: int) -> int:
    """Return the bytes that a segment takes for so many bytes of frames."""
    return _HEADER.size + len(origin.resource) + len(origin.scope) + frames + 1


def create(path: Path, origin: Origin, size: int) -> Segment:
    """Make a new file.

    Raises:
        OSError: it cannot be made, e.g. the disk is full.
    """
    file = mapped_file.make(path, size)
    return Segment(file, file.memory, begin(file.memory, origin))


def in_memory(origin: Origin, size: int) -> Segment:
    """Make one that ends with the process, for when the disk is full."""
    memory = mmap.mmap(-1, size)
    return Segment(None, memory, begin(memory, origin))


def adopt(path: Path) -> Segment | None:
    """Take over the file of a dead process; None if its process lives, or it is gone.

    Raises:
        NotASegment: it is none.
        OSError: it cannot be read.
    """
    try:
        file = mapped_file.take(path)
    except ValueError as error:
        raise NotASegment(f"{path} is empty") from error
    if file is None:
        return None
    try:
        found = _read(file, file.memory, path)
        found.trim()
    except BaseException:
        file.abandon()
        raise
    return found


def view(path: Path) -> Segment:
    """Look into a copy of a file that somebody may be writing.

    Raises:
        NotASegment: it is none.
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    memory = mmap.mmap(-1, max(len(data), 1))
    memory[: len(data)] = data
    return _read(None, memory, path)


def begin(memory: mmap.mmap, origin: Origin) -> Header:
    """Write the header of an empty file, and return it."""
    size = _HEADER.size + len(origin.resource) + len(origin.scope)
    lengths = len(origin.resource), len(origin.scope)
    memory[:size] = _HEADER.pack(_MAGIC, size, *lengths) + origin.resource + origin.scope
    return Header(size, origin, size)


def read_header(data: Readable, path: Path) -> Header:
    """Return how a file begins.

    Raises:
        NotASegment: not as one of a spool does.
    """
    if len(data) >= _HEADER.size:
        magic, number, of_resource, of_scope = _HEADER.unpack_from(data)
        middle = _HEADER.size + of_resource
        size = middle + of_scope
        if magic == _MAGIC and size <= len(data):
            origin = Origin(bytes(data[_HEADER.size : middle]), bytes(data[middle:size]))
            return Header(number, origin, size)
    raise NotASegment(f"{path} is no file of a spool")


def write_number(memory: mmap.mmap, number: int) -> None:
    """Change the number in a header: eight bytes at once."""
    _NUMBER.pack_into(memory, _NUMBER_AT, number)


def _read(file: MappedFile | None, memory: mmap.mmap, path: Path) -> Segment:
    """Return a segment as its file has it, up to the last whole frame."""
    header = read_header(memory, path)
    segment = Segment(file, memory, header)
    for mark in _whole(memory, header.size):
        if mark.at <= header.number:
            segment.acknowledged = mark
        segment._at, segment._count = mark  # noqa: SLF001  # it is made here
    return segment


def _whole(memory: mmap.mmap, at: int) -> Iterator[Mark]:
    """Yield the end of each whole frame."""
    count = 0
    while at < len(memory) and memory[at] == _FIRST:
        try:
            field = read_field(memory, at, len(memory))
        except Torn:
            return
        if field.kind != BYTES or field.end - field.start < IDS_BYTES:
            return
        at, count = field.end, count + 1
        yield Mark(at, count)
