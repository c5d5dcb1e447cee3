"""What waits for its commit: filled by any thread, emptied by the writer in groups."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

from runtime.journal.faults import JournalFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from runtime.journal.entry import Entry

T = TypeVar("T")
_LARGEST_GROUP = 4096  # records; more gains nothing and keeps whoever waits waiting
_LARGEST_GROUP_BYTES = 16 * 1024 * 1024
_TURN = 100  # records, some tenths of a millisecond


class Backlog:
    """A queue that hands over all it has at once.

    Attributes:
        appended: how many records were ever put in.
    """

    def __init__(self) -> None:
        self.appended = 0
        self._fresh: list[Entry] = []
        self._closed = False
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)

    def put(self, entry: Entry) -> None:
        """Add a record; the lock is only ever held for a few instructions.

        Raises:
            JournalFailed: the backlog is closed.
        """
        with self._lock:
            if self._closed:
                raise JournalFailed("the journal is closed")
            fresh = self._fresh
            if not fresh:  # else the writer has been called, or is at work
                self._arrived.notify()
            fresh.append(entry)
            self.appended += 1

    def close(self) -> None:
        """Take nothing more; ``groups`` ends when it has given out the rest."""
        with self._lock:
            self._closed = True
            self._arrived.notify()

    def groups(self, patience: Callable[[], float | None]) -> Iterator[list[Entry]]:
        """Yield what waits, in order, and wait for more until the backlog is closed.

        Args:
            patience: after how many seconds without a record an empty group is yielded; None for
                never.
        """
        while (taken := self._take(patience())) is not None:
            yield from _split(taken)
            if not taken:
                yield taken

    def _take(self, patience_s: float | None) -> list[Entry] | None:
        """Return what has come; None when nothing will come any more."""
        with self._lock:
            if not (self._fresh or self._closed):
                self._arrived.wait(patience_s)
            taken, self._fresh = self._fresh, []
            return None if self._closed and not taken else taken


def _split(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    group: list[Entry] = []
    size = 0
    for entry in entries:
        if len(group) == _LARGEST_GROUP or (group and size + entry.size > _LARGEST_GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(entry)
        size += entry.size
    if group:
        yield group


def in_turns(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield some of them at a time, and let the event loop have its turn in between.

    Python takes its lock from a thread that computes only after 5 ms, and a large group is longer.
    """
    for start in range(0, len(rows), _TURN):
        if start:
            time.sleep(0)  # noqa: TID251  # the writer's thread; it only lets go of the lock
        yield rows[start : start + _TURN]
