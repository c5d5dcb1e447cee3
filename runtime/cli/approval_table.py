"""Open questions as a table, or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from runtime.cli.history import History
from runtime.cli.report import question_line
from runtime.cli.streams import emit, emit_json, say
from runtime.cli.text import duration, table
from runtime.identity import wall_clock
from runtime.requests import fold

if TYPE_CHECKING:
    from runtime.approval import ApprovalRequest

HEAD = ("run", "ticket", "agent", "question", "age")


def list_approvals(database: str | None, *, as_json: bool) -> None:
    """Print what waits for a decision.

    Args:
        database: what ``--db`` says.
        as_json: print a list of objects instead of a table.

    Raises:
        JournalFailed: it cannot be read.
    """
    history, now = History(database), wall_clock()
    tickets = fold(anyio.run(history.requests))
    found = sorted((one.request for one in tickets if one.is_open(now)), key=_age)
    if as_json:
        emit_json([each.as_json() for each in found])
    elif found:
        emit(table(HEAD, [_cells(each, now) for each in found]))
    else:
        say(f"nothing waits for a decision in {history.location}")


def _age(request: ApprovalRequest) -> float:
    return request.asked_at


def _cells(request: ApprovalRequest, now: float) -> tuple[str, ...]:
    return (
        request.run_id,
        request.ticket,
        request.agent,
        question_line(request),
        duration(max(0.0, now - request.asked_at)),
    )
