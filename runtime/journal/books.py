"""Model calls and what they cost, as one transaction of a database sees them.

The row of a call that runs is its reservation: what it may cost at worst is counted until its
outcome replaces it. So nothing can be reserved without a call, and a call that is lost in a crash
is found by its row.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from runtime.journal.calls import CALL_COLUMNS, Begun, CallRow, Ended, Retried, call_values, day_of
from runtime.journal.ledger import SUBJECTS, Balance, Ledger
from runtime.journal.liveness import is_lost

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runtime.journal.connection import Connection
    from runtime.journal.entry import Entry
    from runtime.journal.ledger import Scope, Shortfall

CallKey = tuple[str, str]

_COLUMNS = ", ".join(CALL_COLUMNS)
_CHANGES = ", ".join(f"{column} = excluded.{column}" for column in CALL_COLUMNS[2:])
_SAVE = (
    f"INSERT INTO call ({_COLUMNS}) VALUES ({', '.join('?' * len(CALL_COLUMNS))}) "  # noqa: S608  # our own columns
    f"ON CONFLICT (run_id, op) DO UPDATE SET {_CHANGES}"
)
_LOAD = f"SELECT {_COLUMNS} FROM call WHERE run_id = ? AND op = ?"  # noqa: S608  # our own columns
_IS_THERE = "SELECT 1 FROM call WHERE run_id = ? AND op = ?"
_SPEND = """
    INSERT INTO spending (subject, name, day, nano_usd) VALUES (?, ?, ?, ?)
    ON CONFLICT (subject, name, day) DO UPDATE SET nano_usd = spending.nano_usd + excluded.nano_usd
"""
# One statement, so that a call which ends meanwhile in another transaction is in one of the sums.
BALANCE = {
    subject: f"""
        SELECT
            (
                SELECT coalesce(sum(nano_usd), 0) FROM spending
                WHERE subject = :subject AND name = :name
                AND day BETWEEN :first_day AND :last_day
            ),
            (
                SELECT coalesce(sum(reserved_nano_usd), 0) FROM call
                WHERE status = 'running' AND {subject} = :name
                AND day BETWEEN :first_day AND :last_day
            )
    """  # noqa: S608  # one of three columns
    for subject in SUBJECTS
}
_RUNNING = f"""
    SELECT {", ".join(f"call.{column}" for column in CALL_COLUMNS)},
           coalesce(run.status IN ('waiting', 'paused'), FALSE),
           run.owner, run.pid, run.host, lease.held_until
    FROM call LEFT JOIN run ON run.run_id = call.run_id LEFT JOIN lease USING (owner)
    WHERE call.status = 'running'
    /*+ FOR UPDATE OF call SKIP LOCKED */
"""  # noqa: S608  # our own columns


class Books:
    """The calls of one transaction.

    Args:
        connection: the database, in a transaction.
        open_calls: rows of calls that run, by run and step; kept from one transaction to the next.
        read: rows that were read in this transaction, None for those that are not there; what is
            missing here is read when it is needed.
    """

    def __init__(
        self,
        connection: Connection,
        open_calls: dict[CallKey, CallRow],
        read: Mapping[CallKey, CallRow | None] = MappingProxyType({}),
    ) -> None:
        self._connection = connection
        self._open = open_calls
        self._read = read
        self._ledger = Ledger(self._stored)
        self._changed: dict[CallKey, CallRow] = {}
        self._spent: defaultdict[tuple[str, str, str], int] = defaultdict(int)
        self._reaped = False

    def shortfall(self, entry: Entry) -> Shortfall | None:
        """Return the claim that a call's worst case does not fit into; None if it fits."""
        if not entry.claims or entry.call is None:
            return None
        needed = entry.call.needed
        short = self._ledger.shortfall(entry.claims, needed)
        if short is None or self._reaped:
            return short
        self._reaped = True
        self.reap(time.time_ns() / 1e9)
        return self._ledger.shortfall(entry.claims, needed)

    def is_running(self, entry: Entry) -> bool:
        """Whether the call of a record has begun, and not ended yet."""
        key = (entry.run_id, entry.op)
        row = self._changed.get(key) or self._open.get(key) or self._loaded(key)
        return row is not None and row.status == "running"

    def take(self, entry: Entry) -> None:
        """Count what a record says of a call."""
        key = (entry.run_id, entry.op)
        match entry.call:
            case Begun() as begun:
                self._lose(key, begun.at)
                self._begin(key, begun.row(*key))
            case Retried() as retried:
                self._retry(key, retried)
            case Ended() as ended:
                row = self._row(key, ended.at)
                with self._settled(row):
                    row.end(ended)
                self._open.pop(key, None)

    def reap(self, now: float) -> None:
        """Settle the calls that their owners have lost, and those that nobody waits for any more.

        Nobody waits for a call of a run that is paused, either: it will be made again.
        """
        for found in self._connection.execute(_RUNNING).fetchall():
            row, is_left, owner = CallRow(*found[:-5]), found[-5], found[-4:]
            key = (row.run_id, row.op)
            is_nobody_s = is_left or row.is_overdue(now) or is_lost(now, *owner)
            if key not in self._changed and is_nobody_s:
                with self._settled(row):
                    row.lose(now)
                self._open.pop(key, None)

    def save(self) -> None:
        """Write what has changed."""
        if self._changed:
            self._connection.executemany(_SAVE, map(call_values, self._changed.values()))
        if self._spent:
            # In order, so that two writers who wait for each other's rows never do so in a circle.
            spent = [(*key, amount) for key, amount in sorted(self._spent.items())]
            self._connection.executemany(_SPEND, spent)

    def _lose(self, key: CallKey, at: float) -> None:
        """A step begins: one that had begun before is lost, and may have cost its worst case."""
        row = self._changed.get(key) or self._open.get(key) or self._loaded(key)
        if row is not None and row.status == "running":
            with self._settled(row):
                row.lose(at)

    def _begin(self, key: CallKey, row: CallRow) -> None:
        self._changed[key] = row
        if row.status == "running":
            self._open[key] = row
            self._ledger.change(row, reserved=row.reserved_nano_usd)

    def _retry(self, key: CallKey, retried: Retried) -> None:
        row = self._row(key, retried.at)
        if row.status == "running":
            row.grow(retried)
            self._changed[key] = self._open[key] = row
            self._ledger.change(row, reserved=retried.reserved)

    @contextmanager
    def _settled(self, row: CallRow) -> Iterator[None]:
        """Count what the end of a call, which happens inside, changes in the balances.

        One that was taken for lost may still end: what was counted for it is taken back.
        """
        reserved = row.reserved_nano_usd if row.status == "running" else 0
        earlier = row.settled_nano_usd or 0
        yield
        spent = row.settled - earlier
        self._changed[row.run_id, row.op] = row
        self._ledger.change(row, spent=spent, reserved=-reserved)
        for subject in SUBJECTS:
            name = getattr(row, subject)
            if name and spent:
                self._spent[subject, name, row.day] += spent

    def _row(self, key: CallKey, at: float) -> CallRow:
        row, known = self._changed.get(key), self._open.get(key)
        if row is None and known is not None and not known.is_late(at):
            row = known  # one that is late another process may have taken for lost
        return row or self._loaded(key) or CallRow(*key, at, day_of(at))

    def _loaded(self, key: CallKey) -> CallRow | None:
        if key in self._read:
            return self._read[key]
        # Few are there, and of all columns that are asked for the names are put together first.
        if self._connection.execute(_IS_THERE, key).fetchone() is None:
            return None
        return CallRow(*self._connection.execute(_LOAD, key).fetchone())

    def _stored(self, scope: Scope) -> Balance:
        return Balance(
            *self._connection.execute(BALANCE[scope.subject], scope._asdict()).fetchone()
        )
