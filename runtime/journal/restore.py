"""Archived runs come back into a journal, as they were.

Rule 1: a file is read to its end before anything of it is used.
Rule 2: a run comes back as a whole. One that is there already is compared, row by row: the same is
passed over, another is left as it is. So a restore that was killed is simply repeated.
Rule 3: money is counted already. What a run has spent stayed in the sums when it was archived, so
only the tables that have rows of runs are written.
Rule 4: a few runs at a time under the lock of the writers, as for ``broom``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.journal.archive_file import COUNTS, ArchiveReader
from runtime.journal.archive_rows import CONTENTS, RUN, insertions, rows_of, tables_of
from runtime.journal.faults import ArchiveUnusable, JournalUnusable, describe, translated
from runtime.journal.schema import VERSION
from runtime.journal.sweeping import sweeping

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.journal.archive_file import Head
    from runtime.journal.archive_rows import Row, Tables
    from runtime.journal.location import Location
    from runtime.journal.sweep import Sweep, Told

    Rows = Iterator[tuple[str, list[Any]]]

_GROUP = 500  # rows that are written in one transaction, unless one run has more
_GROUP_BYTES = 1_000_000  # of these rows' large texts, as above


@dataclass(slots=True)
class Restored:
    """What has come back.

    Attributes:
        runs: how many runs.
        records: their records.
        calls: their rows in the audit trail.
        contents: large bodies that were not there.
        present: runs that were there already, the same.
        differing: the ids of runs that are there, but are not the same.
    """

    runs: int = 0
    records: int = 0
    calls: int = 0
    contents: int = 0
    present: int = 0
    differing: list[str] = field(default_factory=list)


def check(files: Sequence[Path]) -> list[dict[str, int]]:
    """Read files to their ends, and return how many runs, records, calls and contents each has.

    Raises:
        ArchiveUnusable: one is damaged, or cannot be used with this version.
    """
    return [_checked(path) for path in files]


def _checked(path: Path) -> dict[str, int]:
    with ArchiveReader.opened(path) as reader:
        if reader.head.schema > VERSION:
            raise ArchiveUnusable(
                f"archive {path} is of a journal with schema {reader.head.schema}, this version of"
                f" the runtime knows schemas up to {VERSION}; install a newer version"
            )
        return reader.check()


def restore(location: Location, files: Sequence[Path], told: Told = lambda *_: None) -> Restored:
    """Bring the runs of some files back.

    Args:
        location: where the journal is, a file absolute; it is created where there is none.
        files: the archives; none is used unless all of them are whole.
        told: is told from time to time what is done so far.

    Raises:
        ArchiveUnusable: a file is damaged, or of a newer version.
        JournalUnusable: the journal cannot be written, or is none.
        JournalFailed: something went wrong on the way; whole runs may have come back.
    """
    check(files)
    if isinstance(location, Path):
        _make_folder(location)
    done = Restored()
    with sweeping(location, told) as broom, translated(location):
        broom.enforce_references()
        for file in files:
            with ArchiveReader.opened(file) as reader:
                _check_columns(file, reader.head, broom)
                _Restore(broom, reader.head.tables, done).take(reader.rows(), told)
        broom.sweep_contents()  # those of runs that were there
        broom.compact()
    return done


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise JournalUnusable(describe(path, error)) from error


def _check_columns(file: Path, head: Head, broom: Sweep) -> None:
    known = tables_of(broom.columns)
    for table, columns in head.tables.items():
        if unknown := sorted({*columns} - {*known.get(table, ())}):
            raise ArchiveUnusable(
                f"archive {file} has columns of {table} that no journal has: {', '.join(unknown)}"
            )


class _Restore:
    """One file on its way back."""

    def __init__(self, broom: Sweep, tables: Tables, done: Restored) -> None:
        self._broom = broom
        self._connection = broom.connection
        self._tables = tables
        self._insert = insertions(tables)
        self._done = done
        self._run_id = ""
        self._there: Iterator[Row] | None = None
        self._is_same = True

    def take(self, rows: Rows, told: Told) -> None:
        """Take all rows in."""
        row = next(rows, None)
        while row is not None:
            with self._broom.transaction():
                row = self._take_some(chain([row], rows))
            told("restored", self._done.runs)
            self._broom.pause()

    def _take_some(self, rows: Rows) -> tuple[str, list[Any]] | None:
        """Take whole runs in, and return the row where the next one begins."""
        size = 0
        for count, (table, row) in enumerate(rows):
            if table == RUN:
                self._end_run()
                if count >= _GROUP or size >= _GROUP_BYTES:
                    return table, row
                self._begin_run(row)
            self._take(table, row)
            size += sum(len(value) for value in row if isinstance(value, str))
        self._end_run()
        return None

    def _begin_run(self, row: Sequence[Any]) -> None:
        self._run_id = row[self._tables[RUN].index("run_id")]
        there = self._connection.execute("SELECT 1 FROM run WHERE run_id = ?", (self._run_id,))
        is_there = there.fetchone() is not None
        self._there = rows_of(self._connection, self._run_id, self._tables) if is_there else None
        self._is_same = True

    def _take(self, table: str, row: Sequence[Any]) -> None:
        if self._there is None or table == CONTENTS:
            added = self._connection.execute(self._insert[table], row).rowcount
            setattr(self._done, COUNTS[table], getattr(self._done, COUNTS[table]) + added)
        elif self._is_same:
            self._is_same = next(self._there, None) == (table, tuple(row))

    def _end_run(self) -> None:
        if self._there is None:
            return
        if self._is_same and next(self._there, None) is None:
            self._done.present += 1
        else:
            self._done.differing.append(self._run_id)
        self._there = None
