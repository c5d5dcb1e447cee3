"""Runs leave the journal for files that can be kept anywhere.

Rule 1: a file has its name only when it is whole, on the disk, and was read back; until then it is
``archive.part``. Only then are its runs deleted, each if nothing of it was written since. So a
process that is killed at any instant has lost nothing: what it had not deleted is archived again,
in a file of the same name if it is the same.
Rule 2: nothing is read under the lock of the writers, and each run in a transaction of its own, so
that neither they nor their checkpoints wait.
Rule 3: a run is whole in one file, with the large bodies of its records. A file ends at a size,
so that memory and the room that is needed on the disk are bounded, whatever is archived.
"""

from __future__ import annotations

import os
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from runtime.journal.archive_file import Head, digest_of, written
from runtime.journal.archive_rows import rows_of, tables_of, with_contents
from runtime.journal.faults import ArchiveUnusable, unwritten
from runtime.journal.lock import FileLock
from runtime.journal.over import is_unchanged
from runtime.journal.schema import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runtime.journal.archive_file import ArchiveWriter
    from runtime.journal.over import Over
    from runtime.journal.sweep import Sweep

ENDING = ".jsonl.gz"
_FILE_BYTES = 256 * 1024 * 1024  # of a file before compression, and its last run
_LEAST_BYTES = 1_000_000  # so that no file is made for next to nothing
_FILE_RUNS = 10_000
_TOLD = 100  # runs between two words about how far it is


class Kept(NamedTuple):
    """A file that is whole.

    Attributes:
        path: where it is.
        runs: the runs in it, as they were when they were read.
    """

    path: Path
    runs: list[Over]


class Archive:
    """A folder of files; one process at a time writes into it."""

    def __init__(self, folder: Path, broom: Sweep, mode: int, now: float) -> None:
        self._folder = folder
        self._part = folder / "archive.part"
        self._broom = broom
        self._mode = mode
        self._now = now
        self._head = Head(VERSION, tables_of(broom.columns))

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, broom: Sweep, now: float) -> Iterator[Archive]:
        """Make a folder where there is none, and keep others from it until the block ends.

        Args:
            folder: the folder.
            broom: the journal.
            now: seconds since the Unix epoch.

        Raises:
            ArchiveUnusable: it cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / ".lock")
        except OSError as error:
            raise unwritten(folder, error) from error
        with closing(lock), lock:
            archive = cls(folder, broom, broom.mode(), now)
            try:
                yield archive
            finally:
                with suppress(OSError):
                    archive._part.unlink(missing_ok=True)

    def write(self, runs: Iterator[Over], most: int | None) -> Kept | None:
        """Write the next runs into a file.

        Args:
            runs: those that shall go; it is left where the file ends.
            most: end it when the journal can be that many bytes smaller; None for the usual length.

        Returns:
            The file; None when there were no more runs.

        Raises:
            ArchiveUnusable: it cannot be written, or does not read back as it was written.
        """
        limit = (
            _FILE_BYTES if most is None else min(max(most + most // 4, _LEAST_BYTES), _FILE_BYTES)
        )  # rows are longer there
        with written(self._part, self._mode, self._head) as file:
            kept = self._fill(file, runs, limit)
            digest = file.end()
        return Kept(self._named(kept, digest), kept) if kept else None

    def _fill(self, file: ArchiveWriter, runs: Iterator[Over], limit: int) -> list[Over]:
        kept: list[Over] = []
        large: set[bytes] = set()
        while file.size < limit and len(kept) < _FILE_RUNS and (run := next(runs, None)):
            self._broom.settle(run.run_id, self._now)
            with self._broom.reading():
                if is_unchanged(self._broom.connection, run):
                    self._put(file, run.run_id, large)
                    kept.append(run)
            if len(kept) % _TOLD == 0:
                self._broom.told("archived", self._broom.freed.runs + len(kept))
        return kept

    def _put(self, file: ArchiveWriter, run_id: str, large: set[bytes]) -> None:
        connection, tables = self._broom.connection, self._head.tables
        rows = rows_of(connection, run_id, tables)
        for table, row in with_contents(connection, rows, tables, large):
            file.add(table, row)

    def _named(self, runs: list[Over], digest: str) -> Path:
        if digest_of(self._part) != digest:
            raise ArchiveUnusable(
                f"archive {self._part} does not read back as it was written, so its runs stay in"
                " the journal; check the disk, or name another folder"
            )
        first, last = (datetime.fromtimestamp(runs[n].started_at, UTC).date() for n in (0, -1))
        path = self._folder / f"{first}_{last}_{digest[:12]}{ENDING}"
        try:
            self._part.replace(path)
            _sync(self._folder)
        except OSError as error:
            raise unwritten(path, error) from error
        return path


def _sync(folder: Path) -> None:
    """Bring the name of a new file to the disk, where folders can be opened for that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
