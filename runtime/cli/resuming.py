"""What ``resume`` does: open the journal and the catalog, and go on with one run, or with all."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio

from runtime.approval import approval_of
from runtime.cli.commission import Commission
from runtime.cli.failures import CANCELLED, FAILED
from runtime.cli.history import History
from runtime.cli.interrupts import Interrupts
from runtime.cli.liveness import LOST
from runtime.cli.pinned import kept_files, laid_out
from runtime.cli.places import catalog_folder
from runtime.cli.report import Source, report, summary
from runtime.cli.streams import emit, emit_json, prints_to_stderr, say
from runtime.cli.workplace import screen_for, system_for
from runtime.errors import ConfigurationError, RuntimeFault
from runtime.identity import wall_clock
from runtime.outcome import ResumeOptions, outcome_of
from runtime.requests import fold
from runtime.resumption import check_resumable

if TYPE_CHECKING:
    from decimal import Decimal

    from runtime.journal import Journal, RunRow
    from runtime.outcome import RunOutcome
    from runtime.run import OnCodeChange
    from runtime.system import System

MOST_RUNS = 1_000_000  # of --all
AT_ONCE = 16  # of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation(Commission):
    """What ``resume`` was asked to do.

    Attributes:
        name: the run, as a person names it; None for all.
        everything: whether all runs are meant whose processes have died, or that waited for
            decisions which are there.
        deadline: the time each gets, as ``ResumeOptions`` has it.
        budget_usd: what each may cost; None for what it was allowed before.
        retry_in_doubt: whether skills with side effects are used again that had begun.
        on_code_change: what is done where the code has changed; None for what each was told.
        approve: names or patterns of tools that are approved.
    """

    name: str | None
    everything: bool
    deadline: float | Literal["keep", "extend"]
    budget_usd: Decimal | None
    retry_in_doubt: bool
    on_code_change: OnCodeChange | None
    approve: tuple[str, ...]


def go_on(wanted: Continuation) -> int:
    """Go on with runs, print what came of them, and return the exit code.

    Raises:
        RuntimeFault: it could not begin, or the journal could not be written.
    """
    with prints_to_stderr():
        outcomes, refused, interrupted = anyio.run(_carry_out, wanted)
    if interrupted and not outcomes:
        say("no run was gone on with: they are as they were")
        return CANCELLED
    if wanted.name is not None:
        (outcome,) = outcomes
        source = Source(wanted.db, wanted.catalog)
        report(outcome, source, as_json=wanted.as_json, quiet=wanted.quiet, kept=True)
        return outcome.exit_code
    if wanted.as_json:
        emit_json([outcome.as_json() for outcome in outcomes])
    elif outcomes:
        emit("\n".join(map(summary, outcomes)))
    elif not wanted.quiet and not refused:
        say("no run has died or was decided about that could be gone on with")
    if interrupted:
        return CANCELLED
    went_well = all(outcome.ok or outcome.is_parked for outcome in outcomes)
    return FAILED if refused or not went_well else 0


async def _carry_out(wanted: Continuation) -> tuple[list[RunOutcome], int, bool]:
    """Return what came of the runs, how many could not go on, and whether a signal ended it."""
    history, interrupts = History(wanted.db), Interrupts()
    rows = await _rows(history, wanted.name)
    if not rows:
        return [], 0, False
    screen = screen_for(wanted, None if wanted.name is None else rows[0].target)
    today = catalog_folder(wanted.catalog, Path.cwd())
    files = await kept_files(history, rows[0], wanted.on_code_change) if wanted.name else None
    options = ResumeOptions(
        deadline=wanted.deadline,
        budget_usd=wanted.budget_usd,
        retry_in_doubt=wanted.retry_in_doubt,
        on_code_change=wanted.on_code_change,
        approve=approval_of(wanted.approve),
        listener=None if screen is None else screen.take,
    )
    if files is not None and wanted.machines.engine == "nats":
        raise ConfigurationError(
            f"run {rows[0].run_id} goes on with the code that it has kept, which nodes of a cluster"
            " do not have; resume it with --engine local"
        )
    async with (
        interrupts.watched(),
        laid_out(files, today) as folder,
        system_for(wanted, folder) as system,
        screen.shown() if screen is not None else nullcontext(),
    ):
        one = wanted.name is not None
        outcomes, refused = await _resumed(system, rows, options, interrupts, one=one)
        return outcomes, refused, interrupts.scope.cancelled_caught


async def _rows(history: History, name: str | None) -> list[RunRow]:
    """Return the runs to go on with.

    Raises:
        UnknownName: no run is called so.
        ConfigurationError: it is over, or its process has it.
    """
    if name is None:
        lost = await history.runs(MOST_RUNS, LOST)
        found = [row for row in lost if row.resumable] + await _decided(history)
        return sorted(found, key=lambda row: row.started_at)
    row = await history.find(name)
    check_resumable(row)
    return [row]


async def _decided(history: History) -> list[RunRow]:
    """Return the runs that have waited for a decision which is there, or will not come any more."""
    waiting = {row.run_id: row for row in await history.runs(MOST_RUNS, "waiting")}
    if not waiting:
        return []
    now, tickets = wall_clock(), fold(await history.requests())
    owners = ((waiting.get(ticket.request.run_id), ticket) for ticket in tickets)
    ready = {row.run_id for row, ticket in owners if row is not None and ticket.is_news(row, now)}
    return [row for run_id, row in waiting.items() if run_id in ready]


async def _resumed(
    system: System, rows: list[RunRow], options: ResumeOptions, interrupts: Interrupts, *, one: bool
) -> tuple[list[RunOutcome], int]:
    """Go on with some runs side by side.

    Returns:
        What came of them, in their order, and how many were refused.
    """
    refused = 0
    found: dict[str, RunOutcome] = {}
    limit = anyio.CapacityLimiter(AT_ONCE)

    async def resume(row: RunRow) -> None:
        nonlocal refused
        async with limit:
            try:
                found[row.run_id] = await system.resume(row.run_id, options)
            except RuntimeFault as error:
                if one:
                    raise
                if await _is_somebody_elses(system.journal, row):
                    say(f"run {row.run_id} ({row.target}) is gone on with by another process")
                    return
                refused += 1
                say(f"error: run {row.run_id} ({row.target}): {error}")

    with interrupts.scope:
        if one:
            await resume(rows[0])
        else:
            async with anyio.create_task_group() as tasks:
                for row in rows:
                    tasks.start_soon(resume, row)
    if interrupts.scope.cancelled_caught:
        await _fill_in(system.journal, rows, found)
    return [found[row.run_id] for row in rows if row.run_id in found], refused


async def _is_somebody_elses(journal: Journal, row: RunRow) -> bool:
    """Whether another process has taken a run over since it was listed: all is well then."""
    now = await journal.run(row.run_id)
    return now is not None and now.epoch > row.epoch


async def _fill_in(journal: Journal, rows: list[RunRow], found: dict[str, RunOutcome]) -> None:
    """Add what runs came to that a signal has ended."""
    await journal.flush()
    for row in rows:
        if row.run_id not in found:
            ended = await journal.run(row.run_id)
            if ended is not None and ended.is_over:
                found[row.run_id] = outcome_of(ended)
