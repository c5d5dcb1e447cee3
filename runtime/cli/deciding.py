"""What ``approve`` and ``deny`` do: note the decision, and go on with a run that is parked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from runtime.approval import Decision
from runtime.cli.commission import Commission
from runtime.cli.history import History
from runtime.cli.opening import opened
from runtime.cli.places import journal_location
from runtime.cli.resuming import Continuation, go_on
from runtime.cli.streams import emit_json, say
from runtime.cli.text import utc_time
from runtime.errors import ConfigurationError
from runtime.identity import wall_clock, whoami
from runtime.requests import decide, row_of
from runtime.resumption import is_at_work

if TYPE_CHECKING:
    from runtime.journal import RunRow
    from runtime.requests import Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Commission):
    """What somebody has decided.

    Attributes:
        run_id: the run, as a person names it.
        ticket: the question, likewise.
        approved: whether it is a yes.
        comment: what that person says about it.
        no_resume: whether the run is not to be gone on with here.
    """

    run_id: str
    ticket: str
    approved: bool
    comment: str
    no_resume: bool


def give(verdict: Verdict) -> int:
    """Note a decision, go on with the run if that is for this process, and return the exit code.

    Raises:
        RuntimeFault: it cannot be noted, or the run not gone on with.
    """
    row, ticket = anyio.run(_decide, verdict)
    goes_on = not (verdict.no_resume or is_at_work(row) or row.status == "paused")
    if not verdict.quiet:
        say(f"run {row.run_id}: {ticket.request.ticket} is {_word(ticket)}{_next(row, goes_on)}")
    if not goes_on:
        if verdict.as_json:
            emit_json(_json(ticket))
        return 0
    return _go_on(verdict, row)


async def _decide(verdict: Verdict) -> tuple[RunRow, Ticket]:
    """Note the decision; return the run as it stands after that, and the question."""
    run_id = (await History(verdict.db).find(verdict.run_id)).run_id
    decision = Decision(verdict.approved, whoami(), wall_clock(), verdict.comment)
    async with opened(journal_location(verdict.db, os.environ, Path.cwd())) as journal:
        ticket = await decide(journal, run_id, verdict.ticket, decision)
        return await row_of(journal, run_id), ticket


def _go_on(verdict: Verdict, row: RunRow) -> int:
    try:
        return go_on(
            Continuation(
                session=verdict.session,
                name=row.run_id,
                everything=False,
                deadline="keep",
                budget_usd=None,
                retry_in_doubt=False,
                on_code_change=None,
                approve=(),
                db=verdict.db,
                machines=verdict.machines,
                catalog=verdict.catalog,
                as_json=verdict.as_json,
                quiet=verdict.quiet,
                verbose=verdict.verbose,
                live=verdict.live,
            )
        )
    except ConfigurationError:
        now = anyio.run(History(verdict.db).find, row.run_id)
        if now.epoch == row.epoch:
            say(f"the decision is noted; resume {row.run_id} goes on when this is put right:")
            raise
        say(f"run {row.run_id} is gone on with by another process")
        return 0


def _word(ticket: Ticket) -> str:
    return "approved" if ticket.decision else "denied"


def _next(row: RunRow, goes_on: bool) -> str:  # what `give` has found out
    if goes_on:
        return ""
    if is_at_work(row):
        return f"; its process, {row.pid} on {row.host}, hears of it in a moment"
    paused = ", but it is paused" if row.status == "paused" else ""
    return f"{paused}; python -m runtime resume {row.run_id} goes on with it"


def _json(ticket: Ticket) -> dict[str, Any]:
    request, decision = ticket.request, ticket.decision
    said = {"run_id": request.run_id, "ticket": request.ticket}
    if decision is None:
        return said
    return said | decision.as_body() | {"at": utc_time(decision.at)}
