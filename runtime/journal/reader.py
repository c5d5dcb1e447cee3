"""The queries that a ``Journal`` answers, and what is made of their rows, for every database."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runtime.identity import wall_clock
from runtime.journal.books import BALANCE
from runtime.journal.calls import CALL_COLUMNS, CallRow
from runtime.journal.fold import COLUMNS, RunState
from runtime.journal.ledger import Balance
from runtime.journal.liveness import is_lost
from runtime.journal.protocol import check_limit
from runtime.journal.query import Filed
from runtime.journal.reading import source_of
from runtime.journal.records import OF_THE_RUN, EventRow, Request
from runtime.journal.schema import IS_REQUEST

if TYPE_CHECKING:
    from collections.abc import Collection

    from runtime.journal.ledger import Scope
    from runtime.journal.location import Location
    from runtime.journal.query import CallQuery
    from runtime.journal.reading import Source
    from runtime.journal.records import RunRow, RunStatus

_MOST_OPEN = 1_000_000  # calls that run, or seem to
_RUN = f"""
    SELECT {", ".join(f"run.{column}" for column in COLUMNS)},
           coalesce(first.body, first_blob.data), coalesce(last.body, last_blob.data),
           lease.held_until
    FROM run
    LEFT JOIN lease ON lease.owner = run.owner
    LEFT JOIN journal AS first ON first.run_id = run.run_id AND first.seq = run.started_seq
    LEFT JOIN blob AS first_blob ON first_blob.sha256 = first.sha256
    LEFT JOIN journal AS last ON last.run_id = run.run_id AND last.seq = run.ended_seq
    LEFT JOIN blob AS last_blob ON last_blob.sha256 = last.sha256
"""  # noqa: S608  # our own columns
_ONE_RUN = f"{_RUN} WHERE run.run_id = ?"
_RUNS = f"""
    {_RUN} WHERE CAST(:status AS TEXT) IS NULL OR run.status = :status
    ORDER BY run.started_at DESC, run.run_id DESC LIMIT :limit
"""
_CALLS = f"""
    SELECT {", ".join(f"call.{column}" for column in CALL_COLUMNS)},
           coalesce(run.target, ''), run.status, run.owner, run.pid, run.host, lease.held_until
    FROM call LEFT JOIN run ON run.run_id = call.run_id
    LEFT JOIN lease ON lease.owner = run.owner
"""  # noqa: S608  # our own columns
_ANSWER = """
    SELECT seq, at, kind, journal.op, coalesce(body, data), journal.cost_nano_usd
    FROM call
    JOIN journal ON journal.run_id = call.run_id AND journal.op = call.op AND journal.terminal = 1
    LEFT JOIN blob USING (sha256)
    WHERE call.request_sha256 = ? AND call.tenant = ? AND call.started_at >= ?
    AND call.status = 'completed'
    ORDER BY call.started_at DESC LIMIT 1
"""
_EVENT = """
    SELECT seq, at, kind, op, coalesce(body, data), cost_nano_usd
    FROM journal LEFT JOIN blob USING (sha256)
    WHERE run_id = ?
"""
_BELOW = "op > ? || '/' AND op < ? || '0'"  # 0 comes after the slash
_OF_THE_RUN = ", ".join(f"'{kind}'" for kind in sorted(OF_THE_RUN))
_EVENTS = f"{_EVENT} AND seq > ? ORDER BY seq LIMIT ?"
_EVENTS_OF_BRANCH = f"""
    {_EVENT} AND seq > ? AND (op = ? OR ({_BELOW}) OR kind IN ({_OF_THE_RUN}))
    ORDER BY seq LIMIT ?
"""
_OUTCOME = f"{_EVENT} AND op = ? AND terminal = 1"
_OUTCOMES = f"{_EVENT} AND {_BELOW} AND terminal = 1"  # the index of outcomes has them

_REQUESTS = f"""
    SELECT journal.run_id, seq, at, kind, op, coalesce(body, data), journal.cost_nano_usd
    FROM journal JOIN run ON run.run_id = journal.run_id LEFT JOIN blob USING (sha256)
    WHERE {IS_REQUEST} AND run.status IN ('running', 'waiting', 'paused')
"""  # noqa: S608  # our own kinds
_IN_ORDER = "ORDER BY journal.run_id, seq"
_AT_ONCE = 500  # runs of one query


class Reader:
    """Reads a journal beside its writer.

    Args:
        source: where it is.
    """

    def __init__(self, source: Source) -> None:
        self._rows = source.rows
        self._close = source.close

    @classmethod
    def of(cls, location: Location, most_idle: int = 0) -> Reader:
        """Return the reader of a journal, which need not be there yet; see ``source_of``."""
        return cls(source_of(location, most_idle))

    async def close(self) -> None:
        """Let go of the database."""
        await self._close()

    async def run(self, run_id: str) -> RunRow | None:
        """Return a run; see ``Journal``."""
        rows: list[RunRow] = await self._rows(_ONE_RUN, (run_id,), _run_row)
        return rows[0] if rows else None

    async def runs(self, limit: int, status: RunStatus | None) -> list[RunRow]:
        """Return the newest runs; see ``Journal``."""
        check_limit(limit)
        return await self._rows(_RUNS, {"status": status, "limit": limit}, _run_row)

    async def events(
        self, run_id: str, after: int, limit: int, branch: str | None = None
    ) -> list[EventRow]:
        """Return a run's events; see ``Journal``."""
        check_limit(limit)
        if branch is not None:
            given = (run_id, after, branch, branch, branch, limit)
            return await self._rows(_EVENTS_OF_BRANCH, given, _event_row)
        return await self._rows(_EVENTS, (run_id, after, limit), _event_row)

    async def outcome(self, run_id: str, op: str) -> EventRow | None:
        """Return the outcome of a step; see ``Journal``."""
        found: list[EventRow] = await self._rows(_OUTCOME, (run_id, op), _event_row)
        return found[0] if found else None

    async def outcomes(self, run_id: str, op: str) -> list[EventRow]:
        """Return the outcomes of the steps below one; see ``Journal``."""
        return await self._rows(_OUTCOMES, (run_id, op, op), _event_row)

    async def requests(self, run_ids: Collection[str] | None) -> list[Request]:
        """Return what people are asked and ask; see ``Journal``."""
        if run_ids is None:
            return await self._rows(f"{_REQUESTS} {_IN_ORDER}", (), _request)
        found: list[Request] = []
        ids = sorted(run_ids)
        for first in range(0, len(ids), _AT_ONCE):
            some = tuple(ids[first : first + _AT_ONCE])
            of_some = f"AND journal.run_id IN ({', '.join('?' * len(some))})"
            found += await self._rows(f"{_REQUESTS} {of_some} {_IN_ORDER}", some, _request)
        return found

    async def calls(self, query: CallQuery) -> list[Filed]:
        """Return calls of the audit trail; see ``Journal``."""
        check_limit(query.limit)
        where = " AND ".join(_sought(query).conditions()) or "TRUE"
        way = "DESC" if query.newest_first else "ASC"
        order = ", ".join(f"call.{name} {way}" for name in ("started_at", "run_id", "op"))
        text = f"{_CALLS} WHERE {where} ORDER BY {order} LIMIT :limit"
        found: list[Filed] = await self._rows(text, _sought(query).parameters(), _filed)
        return [one for one in found if query.wants(one)][: query.limit]

    async def balance(self, scope: Scope) -> Balance:
        """Return what a scope has spent and reserved; see ``Journal``."""
        found: list[Balance] = await self._rows(
            BALANCE[scope.subject], scope._asdict(), Balance._make
        )
        return found[0]

    async def answer(self, request_sha256: str, tenant: str, since: float) -> EventRow | None:
        """Return the newest answer to an equal question; see ``Journal``."""
        found: list[EventRow] = await self._rows(
            _ANSWER, (request_sha256, tenant, since), _event_row
        )
        return found[0] if found else None


def _sought(query: CallQuery) -> CallQuery:
    """Return the query of the file: there, a call that died with its process is still running."""
    if query.status not in ("running", "lost"):
        return query
    return replace(query, status=None if query.status == "lost" else "running", limit=_MOST_OPEN)


def _filed(row: tuple[Any, ...]) -> Filed:
    call, workflow, run_status, owner = CallRow(*row[:-6]), row[-6], row[-5], row[-4:]
    call.unpriced = bool(call.unpriced)
    if call.status == "running" and (run_status != "running" or is_lost(wall_clock(), *owner)):
        call.status = "lost"
    return Filed(call, workflow)


def _run_row(row: tuple[Any, ...]) -> RunRow:
    *columns, first, last, held_until = row
    started, ended = json.loads(first or "{}"), json.loads(last or "{}")
    return RunState(*columns).row(started, ended, held_until)


def _event_row(row: tuple[Any, ...]) -> EventRow:
    seq, at, kind, op, body, cost = row
    return EventRow(seq, at, kind, op, json.loads(body), cost)


def _request(row: tuple[Any, ...]) -> Request:
    run_id, *columns = row
    return Request(run_id, _event_row(tuple(columns)))
