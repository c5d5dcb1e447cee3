"""The audit trail of a journal in memory."""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import TYPE_CHECKING

from runtime.journal.calls import Begun, CallRow, Ended, Retried, day_of
from runtime.journal.ledger import SUBJECTS, Balance, Ledger
from runtime.journal.query import Filed, place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.journal.entry import Entry
    from runtime.journal.ledger import Scope, Shortfall
    from runtime.journal.query import CallQuery


class MemoryCalls:
    """The calls of one process, and what they cost."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], CallRow] = {}
        self._running: dict[tuple[str, str], CallRow] = {}
        self._spent: defaultdict[tuple[str, str, str], int] = defaultdict(int)

    def shortfall(self, entry: Entry) -> Shortfall | None:
        """Return the claim that a call's worst case does not fit into; None if it fits."""
        if entry.call is None:
            return None
        return Ledger(self.balance).shortfall(entry.claims or (), entry.call.needed)

    def take(self, entry: Entry) -> None:
        """Count what a record says of a call."""
        key = (entry.run_id, entry.op)
        match entry.call:
            case Begun() as begun:
                self._lose(key, begun.at)
                row = self._rows[key] = begun.row(*key)
                if row.status == "running":
                    self._running[key] = row
            case Retried() as retried:
                if key in self._running:
                    self._running[key].grow(retried)
            case Ended() as ended:
                row = self._rows.setdefault(key, CallRow(*key, ended.at, day_of(ended.at)))
                earlier = row.settled_nano_usd or 0
                row.end(ended)
                self._running.pop(key, None)
                self._spend(row, row.settled - earlier)

    def _lose(self, key: tuple[str, str], at: float) -> None:
        """A step begins: one that had begun before is lost, and may have cost its worst case."""
        row = self._running.pop(key, None)
        if row is not None:
            row.lose(at)
            self._spend(row, row.settled)

    def _spend(self, row: CallRow, amount: int) -> None:
        for subject in SUBJECTS:
            self._spent[subject, getattr(row, subject), row.day] += amount

    def balance(self, scope: Scope) -> Balance:
        """Return what a scope has spent and reserved."""
        spent = sum(
            amount
            for (subject, name, day), amount in self._spent.items()
            if (subject, name) == scope[:2] and scope.first_day <= day <= scope.last_day
        )
        reserved = sum(
            row.reserved_nano_usd
            for row in self._running.values()
            if getattr(row, scope.subject) == scope.name
            and scope.first_day <= row.day <= scope.last_day
        )
        return Balance(spent, reserved)

    def find(self, query: CallQuery, workflow_of: Callable[[str], str]) -> list[Filed]:
        """Return the calls that are wanted."""
        filed = (Filed(row, workflow_of(row.run_id)) for row in self._rows.values())
        wanted = (one for one in filed if query.wants(one) and query.comes_behind(one.call))
        pick = heapq.nlargest if query.newest_first else heapq.nsmallest
        return pick(query.limit, wanted, key=lambda one: place_of(one.call))

    def answered(self, request_sha256: str, tenant: str, since: float) -> CallRow | None:
        """Return the newest call of an equal question that was answered."""
        equal = (
            row
            for row in self._rows.values()
            if row.request_sha256 == request_sha256
            and row.tenant == tenant
            and row.status == "completed"
            and row.started_at >= since
        )
        return max(equal, key=lambda row: row.started_at, default=None)
