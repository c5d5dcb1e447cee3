"""The folder of a spool: how its files are called, what they take, what is put aside.

Names sort by age, and no two processes make the same one.
"""

from __future__ import annotations

import os
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from otel.spool import open_spans, segment

if TYPE_CHECKING:
    from pathlib import Path

    from otel.spool.open_spans import OpenSpans
    from otel.spool.segment import Origin, Segment

REJECTED: Final = "rejected"


class SpoolFolder:
    """The folder, as one process sees it.

    Attributes:
        path: where it is.

    Args:
        path: where it shall be.
        most_bytes: what all files in it may take, those of other processes too.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self.path = path
        self._most_bytes = most_bytes
        self._name = _new_name()
        self._files = 0

    def renamed(self) -> None:
        """Call files otherwise from now on: this is another process."""
        self._name = _new_name()

    def open_spans(self, origin: Origin) -> OpenSpans | None:
        """Begin the file of the spans that are open; None where there is no room for it."""
        with suppress(OSError):
            self._make(self.path)
            return open_spans.OpenSpans(
                self.path / f"{self._name}{open_spans.SUFFIX}",
                origin,
                files=open_spans.FILES,
                check=self._check,
            )
        return None

    def segment(self, origin: Origin, size: int) -> Segment:
        """Begin a file of spans.

        Raises:
            OSError: there is no room for it.
        """
        self._make(self.path)
        self._check(size)
        self._files += 1
        return segment.create(
            self.path / f"{self._name}-{self._files:06}{segment.SUFFIX}", origin, size
        )

    def put_aside(self, origin: Origin, frames: bytes) -> Path | None:
        """Keep what a collector refuses; return where, or None if there is no room."""
        path = self.path / REJECTED / f"{_new_name()}{segment.SUFFIX}"
        size = segment.size_for(origin, len(frames))
        try:
            self._make(path.parent)
            self._check(size)
            kept = segment.create(path, origin, size)
        except OSError:
            return None
        kept.append(frames)
        kept.close()
        return path

    def _make(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _check(self, size: int) -> None:
        if _bytes_in(self.path) + _bytes_in(self.path / REJECTED) + size > self._most_bytes:
            raise OSError(f"its files take {self._most_bytes:,} bytes already")


def _new_name() -> str:
    return f"{time.time_ns():020}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _bytes_in(folder: Path) -> int:
    taken = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # another process has just sent it
                taken += entry.stat(follow_symlinks=False).st_size if entry.is_file() else 0
    return taken
