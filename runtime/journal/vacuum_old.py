"""Which runs of a journal are old, and what would be gone with them. Changes nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from runtime.journal.faults import JournalFailed, describe
from runtime.journal.liveness import is_dead

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

SPENDING_DAYS = 400  # the longest limit looks back a month, a person perhaps a year

_OLD = """
    SELECT run_id, next_seq - 1, status, pid, host FROM run
    WHERE run_id > :after
    AND CASE status WHEN 'running' THEN started_at ELSE ended_at END < :before
    AND NOT EXISTS (
        SELECT 1 FROM journal
        WHERE journal.run_id = run.run_id AND journal.seq = run.next_seq - 1 AND at >= :before
    )
    ORDER BY run_id LIMIT 1000
"""
_GOING = "CREATE TEMP TABLE going (run_id TEXT PRIMARY KEY, records INTEGER) WITHOUT ROWID"
_SUMS = """
    SELECT
        (SELECT count(*) FROM going),
        (SELECT coalesce(sum(records), 0) FROM going),
        (SELECT count(*) FROM call WHERE run_id IN (SELECT run_id FROM going)),
        (SELECT count(*) FROM spending WHERE day < ?)
"""
_CONTENTS = """
    SELECT count(*), coalesce(sum(length(data)), 0) FROM blob
    WHERE sha256 NOT IN (
        SELECT sha256 FROM journal
        WHERE sha256 IS NOT NULL AND run_id NOT IN (SELECT run_id FROM going)
    )
"""
_ALL = """
    SELECT (SELECT coalesce(sum(next_seq - 1), 0) FROM run),
           (SELECT coalesce(sum(length(data)), 0) FROM blob)
"""


@dataclass(slots=True)
class Freed:
    """What was deleted, or would be.

    Attributes:
        runs: how many runs.
        records: their records.
        calls: their rows in the audit trail.
        contents: large bodies that nobody else has.
        days: rows of spending: one for each agent, provider and tenant, and each day.
        bytes: by how much the file and its log are smaller.
        delayed: whether a reader is in the way, so that they get smaller only later.
    """

    runs: int = 0
    records: int = 0
    calls: int = 0
    contents: int = 0
    days: int = 0
    bytes: int = 0
    delayed: bool = False


class OldRun(NamedTuple):
    """A run that may go.

    Attributes:
        run_id: the run.
        records: how many it has.
    """

    run_id: str
    records: int


def old_runs(connection: sqlite3.Connection, before: float, after: str = "") -> Iterator[OldRun]:
    """Yield the runs that may go, in the order of their ids.

    Args:
        connection: the journal.
        before: they ended before, or began before and their process is dead; in seconds since
            the Unix epoch.
        after: only those with a greater id.
    """
    while page := connection.execute(_OLD, {"before": before, "after": after}).fetchall():
        for run_id, records, status, pid, host in page:
            if status != "running" or is_dead(pid, host):
                yield OldRun(run_id, records)
        after = page[-1][0]


def last_day_gone(now: datetime) -> str:
    """Return the day before which spending is forgotten, ``YYYY-MM-DD``."""
    return (now - timedelta(days=SPENDING_DAYS)).date().isoformat()


def foresee(path: Path, before: float | None, now: datetime) -> Freed:
    """Return what ``vacuum`` would do; how many bytes that frees is an estimate.

    Args:
        path: the journal's file, absolute; it must be there.
        before: as there.
        now: the time now, with its zone.

    Raises:
        JournalFailed: it cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return _foresee(connection, before, now)
    except sqlite3.Error as error:
        raise JournalFailed(describe(path, error)) from error


def _foresee(connection: sqlite3.Connection, before: float | None, now: datetime) -> Freed:
    execute = connection.execute
    pages, free, size = (
        execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    if before is None:
        return Freed(bytes=free * size)
    execute(_GOING)
    connection.executemany("INSERT INTO going VALUES (?, ?)", old_runs(connection, before))
    runs, records, calls, days = execute(_SUMS, (last_day_gone(now),)).fetchone()
    contents, length = execute(_CONTENTS).fetchone()
    all_records, all_length = execute(_ALL).fetchone()
    others = max(0, (pages - free) * size - all_length)  # what is no large text, in equal shares
    share = others * records // max(1, all_records)
    return Freed(runs, records, calls, contents, days, free * size + length + share)
