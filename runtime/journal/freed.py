"""What a vacuum has freed, or would free."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from runtime.journal.faults import JournalFailed, describe
from runtime.journal.over import runs_over, used_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from runtime.journal.over import Selection

SPENDING_DAYS = 400  # the longest limit looks back a month, a person perhaps a year

_GOING = "CREATE TEMP TABLE going (run_id TEXT PRIMARY KEY, records INTEGER) WITHOUT ROWID"
_GOES = "INSERT OR IGNORE INTO going VALUES (?, ?)"
_SUMS = """
    SELECT
        (SELECT count(*) FROM going),
        (SELECT coalesce(sum(records), 0) FROM going),
        (SELECT count(*) FROM call WHERE run_id IN (SELECT run_id FROM going)),
        (SELECT count(*) FROM spending WHERE day < ?)
"""
_CONTENTS = """
    SELECT count(*), coalesce(sum(length(data)), 0) FROM blob
    WHERE NOT EXISTS (
        SELECT 1 FROM journal
        WHERE journal.sha256 = blob.sha256 AND run_id NOT IN (SELECT run_id FROM going)
    )
"""
_CONTENTS_OF = """
    SELECT coalesce(sum(length(data)), 0) FROM blob
    WHERE sha256 IN (SELECT sha256 FROM journal WHERE run_id = ? AND sha256 IS NOT NULL)
"""
_ALL = """
    SELECT (SELECT coalesce(sum(next_seq - 1), 0) FROM run),
           (SELECT coalesce(sum(length(data)), 0) FROM blob)
           + (SELECT count(*) FROM sqlite_master) * (SELECT page_size FROM pragma_page_size)
"""


@dataclass(slots=True)
class Freed:
    """What has left the journal, or would.

    Attributes:
        runs: how many runs.
        records: their records.
        calls: their rows in the audit trail.
        contents: large bodies that nobody else has.
        days: rows of spending: one for each agent, provider and tenant, and each day.
        bytes: by how much the file and its log are smaller.
        over_bytes: by how much more it is in use than it should be; 0 where nothing says so.
        archives: the files that the runs are in now; empty where they were deleted.
        delayed: whether a reader is in the way, so that the file gets smaller only later.
    """

    runs: int = 0
    records: int = 0
    calls: int = 0
    contents: int = 0
    days: int = 0
    bytes: int = 0
    over_bytes: int = 0
    archives: list[Path] = field(default_factory=list)
    delayed: bool = False


def last_day_gone(now: datetime) -> str:
    """Return the day before which spending is forgotten, ``YYYY-MM-DD``."""
    return (now - timedelta(days=SPENDING_DAYS)).date().isoformat()


def foresee(
    path: Path, selections: Sequence[Selection], now: datetime, *, forgets: bool = True
) -> Freed:
    """Return what ``vacuum`` would do; how many bytes that frees is an estimate.

    Args:
        path: the journal's file, absolute; it must be there.
        selections: which runs would go.
        now: the time now, with its zone.
        forgets: whether old spending would be forgotten.

    Raises:
        JournalFailed: it cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return _Foresight(connection, now).of(selections, forgets=forgets)
    except sqlite3.Error as error:
        raise JournalFailed(describe(path, error)) from error


class _Foresight:
    """What is in use, and how much of that would be."""

    def __init__(self, connection: sqlite3.Connection, now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._used = used_bytes(connection)
        self._going = 0.0
        records, others = connection.execute(_ALL).fetchone()
        # What is no large text, and more than the first page of each table, is in equal shares.
        self._share = max(0, self._used - others) / max(1, records)

    def of(self, selections: Sequence[Selection], *, forgets: bool) -> Freed:
        execute = self._connection.execute
        execute(_GOING)
        for selection in selections:
            self._mark(selection)
        day = last_day_gone(self._now) if selections and forgets else ""
        runs, records, calls, days = execute(_SUMS, (day,)).fetchone()
        contents, length = execute(_CONTENTS).fetchone() if selections else (0, 0)
        goes = length + int(self._share * records)
        bounds = [each.max_bytes for each in selections if each.max_bytes is not None]
        over = max(0, self._used - goes - min(bounds)) if bounds else 0
        return Freed(runs, records, calls, contents, days, self._free() + goes, over)

    def _mark(self, selection: Selection) -> None:
        most = selection.max_bytes
        for run in runs_over(self._connection, selection, self._now.timestamp()):
            if most is not None and self._used - self._going <= most:
                return
            if self._connection.execute(_GOES, (run.run_id, run.records)).rowcount:
                self._going += self._size(run.run_id, run.records)

    def _size(self, run_id: str, records: int) -> float:
        contents: int = self._connection.execute(_CONTENTS_OF, (run_id,)).fetchone()[0]
        share: float = self._share * records
        return contents + share

    def _free(self) -> int:
        free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("freelist_count", "page_size")
        )
        freed: int = free * size
        return freed
