"""``data search``: records of the journal in which something stands."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runtime.cli.journal_file import find_journal, is_begun, journal_faults
from runtime.cli.moments import moment
from runtime.cli.streams import emit, emit_json, say
from runtime.cli.text import local_time, plural, table, utc_time
from runtime.journal.search import search
from runtime.journal.search_records import Bounds

if TYPE_CHECKING:
    from runtime.journal.location import Location
    from runtime.journal.search_records import Hit

HEAD = ("at", "run", "kind", "agent", "text")


def search_records(
    database: str | None,
    pattern: str,
    *,
    form: str,
    since: str | None,
    timeout_s: float,
    run_id: str | None,
    agent: str | None,
    limit: int,
) -> None:
    """Print the records in which something stands, newest first.

    Args:
        database: what ``--db`` says.
        pattern: what to look for.
        form: ``json`` or ``table``.
        since: only what was written since then; None for all.
        timeout_s: how long looking through the records one by one may take.
        run_id: only of this run.
        agent: only of this agent, or of those it delegated to.
        limit: how many at most.

    Raises:
        ConfigurationError: ``since`` is no time, it takes too long, or the journal cannot be read.
        ResultUnwritten: the result cannot be written.
    """
    begin = moment("--since", since, datetime.now(UTC))
    journal = find_journal(database)
    bounds = Bounds(run_id=run_id, agent=agent, since=begin, limit=limit)
    with journal_faults():
        begun = is_begun(journal)
        found = _search(journal, pattern, bounds, timeout_s) if begun else []
    if form == "json":
        emit_json([_json(hit) for hit in found])
    elif found:
        emit(table(HEAD, [_cells(hit) for hit in found]))
    elif begun:
        say(f"nothing like that in {journal}")


def _search(journal: Location, pattern: str, bounds: Bounds, timeout_s: float) -> list[Hit]:
    return search(journal, pattern, bounds, timeout_s=timeout_s, warned=_warned, busy=_busy)


def _warned(why: str) -> None:
    say(f"note: {why}")


def _busy(count: int) -> None:
    if sys.stderr.isatty():
        say(f"{plural(count, 'new record')} go into the index first")


def _json(hit: Hit) -> dict[str, Any]:
    return {
        "run_id": hit.run_id,
        "workflow": hit.workflow,
        "seq": hit.seq,
        "at": utc_time(hit.at),
        "kind": hit.kind,
        "agent": hit.agent,
        "op": hit.op,
        "snippet": hit.snippet,
    }


def _cells(hit: Hit) -> tuple[str, ...]:
    return (local_time(hit.at), hit.run_id, hit.kind, hit.agent, hit.snippet)
