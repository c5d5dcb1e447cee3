"""Which runs of a journal may leave it. Changes nothing.

A run that has ended may, once nobody can be waiting for a call of it. One that its process has lost
may only where somebody says so: it can be resumed. Any other never may, whatever it waits for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from runtime.identity import wall_clock
from runtime.journal.liveness import is_lost

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from runtime.journal.connection import Connection

ENDED = ("completed", "failed", "cancelled")
_QUIET_S = 60.0  # after the end of a run, its calls that are open still get their outcomes
_PAGE = 1_000
_INCREMENTAL = 2  # what SQLite calls a file whose free pages can be given back one by one

_OVER = f"""
    SELECT run_id, next_seq - 1, epoch, status, started_at, run.owner, pid, host, held_until
    FROM run LEFT JOIN lease USING (owner)
    WHERE (started_at, run_id) > (:at, :behind)
    AND (status IN (SELECT value FROM json_each(:statuses)) OR :lost = 1 AND status = 'running')
    AND (CAST(:run_ids AS TEXT) IS NULL OR run_id IN (SELECT value FROM json_each(:run_ids)))
    AND (:before IS NULL OR CASE status WHEN 'running' THEN started_at ELSE ended_at END < :before
        AND NOT EXISTS (
            SELECT 1 FROM journal
            WHERE journal.run_id = run.run_id AND seq = run.next_seq - 1 AND at >= :before
        ))
    AND (status = 'running' OR ended_at < :quiet OR NOT EXISTS (
        SELECT 1 FROM call WHERE call.run_id = run.run_id AND call.status = 'running'
    ))
    ORDER BY started_at, run_id LIMIT {_PAGE}
"""  # noqa: S608  # our own number
_SAME = """
    SELECT 1 FROM run WHERE run_id = ? AND next_seq - 1 = ? AND epoch = ? AND status = ?
    /*+ FOR UPDATE */
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which runs shall go, of those that may. All that it says must hold.

    Attributes:
        before: they ended before, in seconds since the Unix epoch; None for any time.
        run_ids: these; empty for any.
        statuses: they ended so.
        lost: also those that began before and that their processes have lost, see ``ownership``.
        max_bytes: only the oldest, until the journal is not larger; None for all.
    """

    before: float | None = None
    run_ids: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ENDED
    lost: bool = False
    max_bytes: int | None = None


class Over(NamedTuple):
    """A run that may go, as it was when that was found.

    Attributes:
        run_id: the run.
        records: how many it has.
        epoch: the how-manieth owner it has.
        status: where it stands.
        started_at: seconds since the Unix epoch.
    """

    run_id: str
    records: int
    epoch: int
    status: str
    started_at: float


def runs_over(connection: Connection, selection: Selection, now: float) -> Iterator[Over]:
    """Yield the runs that shall go and may, the oldest first, whatever the journal's size.

    Each page is read for itself, so nobody who writes meanwhile is disturbed.

    Args:
        connection: the journal.
        selection: which.
        now: seconds since the Unix epoch.
    """
    given = {
        "statuses": json.dumps(selection.statuses),
        "run_ids": json.dumps(selection.run_ids) if selection.run_ids else None,
        "before": selection.before,
        "lost": selection.lost,
        "quiet": now - _QUIET_S,
    }
    at, behind = float("-inf"), ""
    while page := connection.execute(_OVER, {**given, "at": at, "behind": behind}).fetchall():
        for row in page:
            run, owner = Over(*row[:-4]), row[-4:]
            if run.status != "running" or is_lost(wall_clock(), *owner):
                yield run
        at, behind = run.started_at, run.run_id


def is_unchanged(connection: Connection, run: Over) -> bool:
    """Whether a run is there, and nothing of it was written since it was found."""
    return connection.execute(_SAME, run[:4]).fetchone() is not None


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return how many bytes of a journal's file are in use."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    in_use: int = (pages - free) * size
    return in_use


def free_pages(connection: sqlite3.Connection) -> int:
    """Return how many pages can be given back a few at a time: none of an earlier file's."""
    count, mode = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("freelist_count", "auto_vacuum")
    )
    free: int = count if mode == _INCREMENTAL else 0
    return free
