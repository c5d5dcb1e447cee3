"""Runs as a table, or as JSON."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio

from runtime.cli.history import History, run_json
from runtime.cli.liveness import status_of
from runtime.cli.size_bound import bound_of, mention_size
from runtime.cli.streams import emit, emit_json, say
from runtime.cli.text import duration, local_time, money, table

if TYPE_CHECKING:
    from runtime.journal import RunRow

HEAD = ("run", "started", "target", "status", "duration", "calls", "tokens", "cost")


def list_runs(database: str | None, *, limit: int, status: str | None, as_json: bool) -> None:
    """Print the newest runs of a journal.

    Args:
        database: what ``--db`` says.
        limit: the most runs.
        status: only those that stand there; None for all.
        as_json: print a list of objects instead of a table.

    Raises:
        JournalFailed: they cannot be read.
    """
    history = History(database)
    found = anyio.run(history.runs, limit, status)
    if as_json:
        emit_json([run_json(row) for row in found])
    elif found:
        emit(table(HEAD, [_cells(row) for row in found]))
    else:
        say(f"no runs in {history.location}")
    mention_size(history.location, bound_of(os.environ))


def _cells(row: RunRow) -> tuple[str, ...]:
    return (
        row.run_id,
        local_time(row.started_at),
        row.target,
        status_of(row)
        if row.parked_at is None
        else f"{row.status} since {local_time(row.parked_at)}",
        "-" if row.ended_at is None else duration(row.ended_at - row.started_at),
        f"{row.calls:,}",
        f"{row.input_tokens + row.output_tokens:,}",
        money(row.cost_nano_usd, row.unpriced_calls),
    )
