"""Writes finished lines to a stream, and lets nobody wait for whoever reads it.

Theory of operation. A stream with a descriptor may be a full pipe or a slow terminal, so its lines
stand in a bounded queue, and one daemon thread writes them in their order. The thread begins with
the first line and ends with ``close``. When the queue is full, a line is counted and dropped; the
last part of the queue is kept for urgent ones. Where lines are missing a *gap* stands in the queue,
and becomes the one line that tells how many.

| state   | what a line does                                                      |
|---------|-----------------------------------------------------------------------|
| new     | starts the thread and queues                                          |
| queuing | queues                                                                |
| direct  | is written at once: no thread can be had, or ``close`` has ended it   |
| stuck   | is dropped: ``close`` has given up on the stream, and so does everybody |

A stream without a descriptor is memory, or somebody's own: direct from the beginning. So is the
child after a fork, which has no thread; what was queued is its parent's.

Where the stream is an ordinary text file, the thread writes to its descriptor and not through it:
it would hold the stream's lock for as long as the pipe is full, and everybody who prints, and the
interpreter's last flush, would wait for that.
"""

from __future__ import annotations

import os
import select
import threading
import weakref
from collections import deque
from io import TextIOWrapper
from typing import TYPE_CHECKING, Final, Literal, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

CAPACITY: Final = 4_000_000  # characters in the queue
RESERVE: Final = 4  # a quarter of it is for urgent lines only
PIECE: Final = 65_536  # characters that are written at once
CLOSE_S: Final = 2.0

State = Literal["new", "queuing", "direct", "stuck"]


class Gap:
    """Stands in the queue where lines are missing.

    Attributes:
        lines: how many.
    """

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines = 0


class LineWriter:
    """Writes lines to one stream.

    Args:
        stream: where to.
        told: makes the line that tells of so many dropped ones.
        capacity: the characters that may wait.

    Attributes:
        dropped: lines for which there was no room.
        unwritten: lines that the stream did not take.
    """

    def __init__(
        self, stream: TextIO, told: Callable[[int], str], *, capacity: int = CAPACITY
    ) -> None:
        self.dropped = 0
        self.unwritten = 0
        self._stream = stream
        self._told = told
        self._capacity = capacity
        self._state: State = "new" if _has_descriptor(stream) else "direct"
        self._gap: Gap | None = None
        self._stalled: bool
        self._forget_all()
        _writers.add(self)

    def __repr__(self) -> str:
        return (
            f"<LineWriter {self._state} [{self._waiting}/{self._capacity} characters,"
            f" {self.dropped} dropped, {self.unwritten} unwritten]>"
        )

    def put(self, line: str, *, urgent: bool = False) -> None:
        """Have a line written; returns at once, and never raises.

        Args:
            line: with its line break.
            urgent: whether it may use the reserve.
        """
        with self._changed:
            if self._state == "new":
                self._state = "queuing" if self._has_begun() else "direct"
            if self._state == "queuing":
                self._enqueue(line, urgent=urgent)
                return
        if self._state == "stuck":
            self.dropped += 1
        else:
            self._write(line, 1)

    def flush(self, timeout_s: float = CLOSE_S) -> bool:
        """Wait until all that was put is written; return whether it is.

        Who has waited in vain is not followed by others, unless something is written after all.
        """
        with self._changed:
            patience = 0.0 if self._stalled else timeout_s
            done = self._changed.wait_for(lambda: not self._queue and not self._busy, patience)
            self._stalled = not done
        return done

    def close(self, timeout_s: float = CLOSE_S) -> bool:
        """Write what waits, as far as that is done in time, and end the thread.

        Returns:
            Whether everything was written.
        """
        with self._changed:
            done = self.flush(timeout_s)
            if self._state in ("new", "queuing"):
                self._state = "direct" if done else "stuck"
            self._drop_all()
            self._changed.notify_all()
        return done

    # --- the queue -------------------------------------------------------------------------------

    def _enqueue(self, line: str, *, urgent: bool) -> None:
        room = self._capacity if urgent else self._capacity - self._capacity // RESERVE
        if self._waiting + len(line) > room:
            self._drop()
            return
        self._queue.append(line)
        self._waiting += len(line)
        self._changed.notify_all()

    def _drop(self) -> None:
        self.dropped += 1
        if self._gap is None:
            self._gap = Gap()
            self._queue.append(self._gap)
        self._gap.lines += 1

    def _drop_all(self) -> None:
        self.dropped += sum(isinstance(each, str) for each in self._queue)
        self._queue.clear()
        self._waiting = 0

    def _forget_all(self) -> None:
        self._changed = threading.Condition()  # re-entrant: a finalizer may log at any time
        self._queue: deque[str | Gap] = deque()
        self._waiting = 0
        self._gap = None
        self._busy = False
        self._stalled = False

    def after_fork(self) -> None:
        """Be the writer of the child: there is no thread, and the queue is the parent's."""
        self._forget_all()
        self._state = "direct"

    # --- the thread ------------------------------------------------------------------------------

    def _has_begun(self) -> bool:
        thread = threading.Thread(target=self._run, name="log-lines", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # there are too many, or the interpreter is ending
            return False
        return True

    def _run(self) -> None:
        while taken := self._next():
            texts = [each if isinstance(each, str) else self._told(each.lines) for each in taken]
            self._write("".join(texts), len(texts))

    def _next(self) -> list[str | Gap]:
        """Wait for something to write, and take a piece of it; nothing at the end."""
        with self._changed:
            self._busy = self._stalled = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._queue or self._state != "queuing")
            taken = self._take()
            self._busy = bool(taken)
        return taken

    def _take(self) -> list[str | Gap]:
        taken: list[str | Gap] = []
        size = 0
        while self._queue and size < PIECE:
            each = self._queue.popleft()
            taken.append(each)
            if isinstance(each, str):
                size += len(each)
            else:
                self._gap = None
        self._waiting -= size
        return taken

    # --- the stream ------------------------------------------------------------------------------

    def _write(self, text: str, lines: int) -> None:
        try:
            if _is_plain(self._stream):
                _write_to_descriptor(self._stream, text)
            else:
                self._stream.write(text)
                self._stream.flush()
        except Exception:  # noqa: BLE001 - whatever is wrong with it is no error of who logs
            self.unwritten += lines


def _has_descriptor(stream: TextIO) -> bool:
    try:
        return stream.fileno() >= 0
    except Exception:  # noqa: BLE001 - it has none, or is closed
        return False


def _is_plain(stream: TextIO) -> bool:
    return isinstance(stream, TextIOWrapper) and _has_descriptor(stream)


def _write_to_descriptor(stream: TextIO, text: str) -> None:
    rest = memoryview(text.encode(stream.encoding or "utf-8", "backslashreplace"))
    while rest:
        descriptor = stream.fileno()
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # somebody else has made it so that it does not block
            select.select((), (descriptor,), ())


_writers: weakref.WeakSet[LineWriter] = weakref.WeakSet()


def _after_fork() -> None:
    for writer in tuple(_writers):
        writer.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
