"""Where the spans of this process wait until a collector has taken them: files, else memory.

    span.end() -> Lane -> the newest Segment ... older segments -> the sender -> deleted

A span is safe from the end of its process the moment ``append`` returns. Each kind of
instrumentation has its lane, and a lane one file at a time; a full file is left to the sender and
the next one begun, which is larger: files have their size from the start, and one that says little
shall not take the room of many. All files of a folder together take so many bytes at most. When
there is no room for the next one, spans wait in memory, in pieces of the largest size. When one of
these is full, whoever begins something new is held up (``Tracing.room``), and an alarm says so;
beyond the bound of the memory spans are lost and counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from otel.spool import segment
from otel.spool.folder import SpoolFolder
from otel.spool.segment import Origin, Segment
from otel.spool.settings import DEFAULT_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from otel.spool.open_spans import OpenSpans
    from otel.spool.segment import Mark


_log = logging.getLogger("otel.spool")

_SEGMENT_BYTES: Final = 4 << 20
_FIRST_BYTES: Final = 256 << 10
_TIMES_LARGER: Final = 4  # than the one before
_MOST_IN_MEMORY: Final = 16  # segments, while the disk is full
_LOOKS_AGAIN_S: Final = 1.0  # for room on a full disk
_MOST_LANES: Final = 32  # kinds of instrumentation; whoever is beyond shares the last lane


class SpoolStatistics(NamedTuple):
    """What became of the spans of this process.

    Attributes:
        written: spans that were put here.
        delivered: spans that a collector took, those of dead processes included.
        pending: spans that still wait.
        rejected: spans that the collector refused; they are kept in the folder ``rejected``.
        lost: spans that there was no room for, on disk or in memory.
        recovered: spans of dead processes that were found here.
    """

    written: int
    delivered: int
    pending: int
    rejected: int
    lost: int
    recovered: int


class Spool:
    """The spans of this process that wait.

    Attributes:
        folder: where the files are.
        written: spans that were put here.
        delivered: spans that a collector took.
        rejected: spans that it refused.
        recovered: spans of dead processes.

    Args:
        folder: where the files shall be.
        resource: what is said of this process, as OTLP has it on the wire.
        most_bytes: what all files of the folder may take.
        segment_bytes: what one file takes at most, unless a span needs more.
    """

    def __init__(
        self,
        folder: Path,
        resource: bytes,
        *,
        most_bytes: int = DEFAULT_BYTES,
        segment_bytes: int = _SEGMENT_BYTES,
    ) -> None:
        self.folder = folder
        self.delivered = self.rejected = self.recovered = 0
        self.lock = threading.RLock()  # what is logged under it may end spans: see ``Lane.append``
        self.is_appending = False
        self.late: deque[tuple[Lane, bytes]] = deque()
        self._resource = resource
        self._files = SpoolFolder(folder, most_bytes)
        self._segment_bytes = segment_bytes
        self._waiting: list[Segment] = []
        self._lanes: dict[bytes, Lane] = {}
        self._is_full = False
        self._looks_again_at = 0.0
        self.written = self._lost = 0

    def __repr__(self) -> str:
        return f"<Spool {self.folder} {self.statistics()}>"

    def lane(self, scope: bytes) -> Lane:
        """Return where one kind of instrumentation puts its spans."""
        with self.lock:
            lane = self._lanes.get(scope)
            if lane is None and len(self._lanes) >= _MOST_LANES:
                return next(reversed(self._lanes.values()))
            if lane is None:
                lane = self._lanes[scope] = Lane(self, Origin(self._resource, scope))
            return lane

    def open_spans(self, scope: bytes) -> OpenSpans | None:
        """Begin the file of the spans that are open; None where there is no room for it."""
        return self._files.open_spans(Origin(self._resource, scope))

    @property
    def holds_up(self) -> bool:
        """Whether there is so little room that nobody should begin anything new."""
        if not self._is_full:
            return False
        with self.lock:
            self._look_for_room()
            return self._is_full and any(map(self._is_left_in_memory, self._waiting))

    @property
    def waiting(self) -> tuple[Segment, ...]:
        """The segments that have something to send, or may still get it, oldest first."""
        return tuple(self._waiting)

    def statistics(self) -> SpoolStatistics:
        """Return what became of the spans."""
        with self.lock:
            pending = sum(each.pending for each in self._waiting)
        return SpoolStatistics(
            self.written, self.delivered, pending, self.rejected, self._lost, self.recovered
        )

    # --- for lanes, which hold the lock ----------------------------------------------------------

    def next_segment(
        self, origin: Origin, last: Segment | None, room: int, size: int
    ) -> Segment | None:
        """Return where spans go that the last segment has no room for; None if that is nowhere.

        Args:
            origin: whose spans they are.
            last: the last one; it stays until all of it has been taken.
            room: the bytes that are needed at once.
            size: the bytes of a file, where there is room for it.
        """
        least = segment.size_for(origin, room)
        found = self._on_disk(origin, max(size, least), max(self.size_after(0), least))
        if found is None and self._in_memory() < _MOST_IN_MEMORY:
            found = segment.in_memory(origin, max(self._segment_bytes, least))
        if found is not None:
            self._waiting.append(found)
        if last is not None and not last.pending:
            self._remove(last)
        return found

    def size_after(self, size: int) -> int:
        """Return how large a file is to be after one of a size; after 0, the first."""
        return min(max(size * _TIMES_LARGER, _FIRST_BYTES), self._segment_bytes)

    def lose(self) -> None:
        """Count a span that there is no room for."""
        self._lost += 1
        if self._lost & (self._lost - 1) == 0:  # 1, 2, 4, 8, ...
            _log.error("%d spans are lost: %s and the memory are full", self._lost, self.folder)

    # --- for the sender --------------------------------------------------------------------------

    def take_over(self, found: Segment) -> None:
        """Send what a dead process has left, before what is newer."""
        with self.lock:
            self._waiting.insert(0, found)
            self.recovered += found.pending

    def new_segment(self, origin: Origin, room: int) -> Segment:
        """Return an empty segment of another process's spans, which is not waiting yet.

        Args:
            origin: whose spans they are.
            room: the bytes that they take.

        Raises:
            OSError: there is no room for it.
        """
        return self._files.segment(origin, segment.size_for(origin, room))

    def frames(self, of: Segment, mark: Mark) -> bytes:
        """Return what a segment has up to a place; nothing if it was given up meanwhile."""
        with self.lock:
            return of.frames(of.acknowledged, mark) if of in self._waiting else b""

    def acknowledge(self, of: Segment, mark: Mark, rejected: int = 0) -> None:
        """Note that a collector has taken everything of a segment up to a place.

        Args:
            of: the segment.
            mark: the place.
            rejected: how many of these spans it did not want.
        """
        with self.lock:
            if of not in self._waiting:
                return  # given up: whoever finds it sends it again
            self.rejected += rejected
            self.delivered += mark.spans - of.acknowledged.spans - rejected
            of.acknowledge(mark)
            self._let_go_of(of)

    def reject(self, of: Segment, mark: Mark, reason: str) -> None:
        """Put aside what a collector refuses, up to a place."""
        frames = self.frames(of, mark)
        count = mark.spans - of.acknowledged.spans
        kept = self._files.put_aside(of.origin, frames)
        with self.lock:
            if of not in self._waiting:
                return
            if kept is None:
                self._lost += count
            else:
                self.rejected += count
            of.acknowledge(mark)
            self._let_go_of(of)
        where = f"they are kept in {kept}" if kept is not None else "there is no room to keep them"
        _log.error("%d spans were refused: %s; %s", count, reason, where)

    def close(self) -> None:
        """Give the files up: what is pending stays for the next start, the rest is removed.

        What is written afterwards begins new files, which stay as well.
        """
        with self.lock:
            for lane in self._lanes.values():
                lane.leave()
            for each in self._waiting:
                if not each.is_on_disk and each.pending:
                    self._save(each)
                else:
                    each.close()
            self._waiting.clear()

    def forked(self) -> None:
        """Begin anew in a child process: the files are its parent's."""
        self.lock = threading.RLock()
        self.is_appending = False
        self.late.clear()
        for each in self._waiting:
            each.leave()
        self._waiting = []
        self._files.renamed()
        for lane in self._lanes.values():
            lane.leave()
        self.written = self.delivered = self._lost = self.rejected = self.recovered = 0

    def _on_disk(self, origin: Origin, size: int, least: int) -> Segment | None:
        """Return a file of a size, or of the least one; None where there is no room for that.

        After that there must be room for a large one first, or the alarm would come and go.
        """
        if self._is_full:
            self._look_for_room()
        if self._is_full:
            return None
        with suppress(OSError):
            return self._files.segment(origin, size)
        try:
            return self._files.segment(origin, least)
        except OSError as error:
            self._alarm(error)
            return None

    def _look_for_room(self) -> None:
        """See whether the disk has room again: who is held up writes nothing that would tell."""
        if time.monotonic() < self._looks_again_at:
            return
        try:
            self._files.segment(Origin(self._resource, b""), self._segment_bytes).close()
        except OSError as error:
            self._alarm(error)
        else:
            self._has_room()

    def _has_room(self) -> None:
        if self._is_full:
            self._is_full = False
            _log.warning("there is room for spans in %s again", self.folder)

    def _alarm(self, error: OSError) -> None:
        self._looks_again_at = time.monotonic() + _LOOKS_AGAIN_S
        if not self._is_full:
            self._is_full = True
            _log.error(
                "spans cannot be kept in %s: %s; they wait in memory, of which there is not much:"
                " free space there, or name another folder with MAGSAG_SPOOL",
                self.folder,
                error.strerror or error,
            )

    def _in_memory(self) -> int:
        return sum(not each.is_on_disk for each in self._waiting)

    def _is_left_in_memory(self, each: Segment) -> bool:
        """Whether a segment in memory is full, and waits: each lane may have one that is not."""
        return not each.is_on_disk and each.pending > 0 and not self._is_written(each)

    def _let_go_of(self, of: Segment) -> None:
        """Remove a segment that nobody writes any more and whose spans have all been taken."""
        if not of.pending and not self._is_written(of):
            self._remove(of)

    def _is_written(self, each: Segment) -> bool:
        return any(lane.writes(each) for lane in self._lanes.values())

    def _remove(self, of: Segment) -> None:
        if of in self._waiting:
            self._waiting.remove(of)
            of.close()

    def _save(self, of: Segment) -> None:
        """Write what waits in memory to disk after all, as the process ends."""
        with suppress(OSError):
            frames = of.frames(of.acknowledged, of.committed)
            saved = self._files.segment(of.origin, segment.size_for(of.origin, len(frames)))
            saved.append(frames)
            saved.close()
            of.acknowledge(of.committed)
        self._lost += of.pending
        of.close()


class Lane:
    """Where one kind of instrumentation puts its spans.

    Args:
        spool: where they wait.
        origin: whose they are.
    """

    __slots__ = ("_origin", "_segment", "_size", "_spool")

    def __init__(self, spool: Spool, origin: Origin) -> None:
        self._spool = spool
        self._origin = origin
        self._segment: Segment | None = None
        self._size = 0  # of that; 0 for none yet

    def append(self, frame: bytes) -> None:
        """Keep a span; from any thread."""
        spool = self._spool
        with spool.lock:
            if spool.is_appending:  # a finalizer, or a handler of what is logged below
                spool.late.append((self, frame))
                return
            spool.is_appending = True
            try:
                self.put(frame)
                while spool.late:
                    lane, late = spool.late.popleft()
                    lane.put(late)
            finally:
                spool.is_appending = False

    def put(self, frame: bytes) -> None:
        """Keep it; for ``append``, which holds the lock."""
        spool, current = self._spool, self._segment
        spool.written += 1
        if current is None or not current.append(frame):
            size = spool.size_after(self._size)
            current = self._segment = spool.next_segment(self._origin, current, len(frame), size)
            self._size = size
            if current is None or not current.append(frame):
                spool.lose()

    def writes(self, of: Segment) -> bool:
        """Whether that is where its next span will go."""
        return of is self._segment

    def leave(self) -> None:
        """Begin a new file with the next span."""
        self._segment = None
        self._size = 0
