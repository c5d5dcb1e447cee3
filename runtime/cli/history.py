"""The journal, read from beside: no writer, no lock, and no file where there is none."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.cli.journal_file import check_version, find_journal, journal_faults
from runtime.cli.liveness import LOST, status_of
from runtime.cli.text import utc_time
from runtime.errors import UnknownName
from runtime.governance.cost import usd
from runtime.journal import Balance
from runtime.journal.reader import Reader
from runtime.journal.reading import schema_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.journal import CallQuery, EventRow, Filed, Request, RunRow, RunStatus, Scope

SEARCHED = 1_000  # the newest runs: where prefixes, lost runs and similar names are looked for
PAGE = 1_000
LAST = "last"  # the newest run, where no run is called so


class History:
    """What a journal remembers.

    Args:
        database: what ``--db`` says.

    Raises:
        ConfigurationError: it says ``:memory:``, which ends with its process, or a server is not
            to be had, or its journal is an earlier version's.
    """

    def __init__(self, database: str | None) -> None:
        self.location = find_journal(database)
        with journal_faults():
            version = schema_of(self.location)
        if not isinstance(self.location, Path):  # an earlier version's file can be read
            check_version(self.location, version)
        self._reader = None if version is None else Reader.of(self.location)

    async def runs(self, limit: int, status: str | None) -> list[RunRow]:
        """Return the newest runs, newest first.

        Args:
            limit: the most rows.
            status: only those that stand there, ``lost`` included; None for all.

        Raises:
            JournalFailed: they cannot be read.
        """
        if self._reader is None:
            return []
        if status not in ("running", LOST):  # those two are told apart here, not in the journal
            known: RunStatus | None = status  # type: ignore[assignment]  # click checked the word
            return await self._reader.runs(limit, known)
        running = await self._reader.runs(max(limit, SEARCHED), "running")
        return [row for row in running if status_of(row) == status][:limit]

    async def find(self, name: str) -> RunRow:
        """Return a run by its id, by the beginning of it, or the newest one by ``last``.

        Raises:
            UnknownName: no run begins so, or several do.
            JournalFailed: it cannot be read.
        """
        if self._reader is None:
            raise UnknownName(f"no run {name!r}: there is no journal {self.location} yet; see --db")
        if (exact := await self._reader.run(name)) is not None:
            return exact
        newest = await self._reader.runs(SEARCHED, None)
        if name == LAST and newest:
            return newest[0]
        found = [row for row in newest if name and row.run_id.startswith(name)]
        if len(found) != 1:
            raise UnknownName(_unclear(name, found, newest))
        return found[0]

    async def requests(self) -> list[Request]:
        """Return what people are asked and ask, of runs that are not over; see ``Journal``.

        Raises:
            JournalFailed: they cannot be read.
        """
        return [] if self._reader is None else await self._reader.requests(None)

    async def calls(self, query: CallQuery) -> list[Filed]:
        """Return calls of the audit trail; see ``Journal``.

        Raises:
            JournalFailed: they cannot be read.
        """
        return [] if self._reader is None else await self._reader.calls(query)

    async def balance(self, scope: Scope) -> Balance:
        """Return what an agent, provider or tenant has spent and reserved in some days.

        Raises:
            JournalFailed: it cannot be read.
        """
        return Balance(0, 0) if self._reader is None else await self._reader.balance(scope)

    async def events(self, run_id: str) -> AsyncIterator[EventRow]:
        """Yield a run's events in their order, a page at a time.

        Raises:
            JournalFailed: they cannot be read.
        """
        after = 0
        while self._reader is not None:
            page = await self._reader.events(run_id, after, PAGE)
            for event in page:
                yield event
            if len(page) < PAGE:
                return
            after = page[-1].seq


def _unclear(name: str, found: list[RunRow], newest: list[RunRow]) -> str:
    if found:
        return f"{len(found)} runs begin with {name!r}; write more of the run id"
    near = difflib.get_close_matches(name, [row.run_id for row in newest], n=1)
    advice = f"did you mean {near[0]!r}?" if near else "python -m runtime runs lists them"
    return f"no run {name!r}; {advice}"


def run_json(row: RunRow) -> dict[str, Any]:
    """Return a run as ``runs --json`` and ``show --json`` print it.

    ``started_at`` is ISO 8601 in UTC, ``duration_s`` is null until the run is over, ``cost_usd``
    is null when nobody knows the price of any call; ``parked_at`` is since when a run waits or is
    paused.
    """
    return {
        "run_id": row.run_id,
        "trace_id": row.trace_id,
        "target": row.target,
        "status": status_of(row),
        "error": row.error,
        "reason": row.reason,
        "started_at": utc_time(row.started_at),
        "parked_at": None if row.parked_at is None else utc_time(row.parked_at),
        "duration_s": None if row.ended_at is None else round(row.ended_at - row.started_at, 3),
        "usage": {
            "calls": row.calls,
            "errors": row.errors,
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
        },
        "cost_usd": None if row.cost_nano_usd is None else usd(row.cost_nano_usd),
        "unpriced_calls": row.unpriced_calls,
        "forked_from": row.forked_from,
        "code": row.code,
    }
