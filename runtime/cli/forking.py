"""What ``fork`` does: open the journal and the catalog, and begin a run with another one's past."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from runtime.approval import approval_of
from runtime.cli.history import History
from runtime.cli.interrupts import Interrupts
from runtime.cli.logs import log_to
from runtime.cli.machines import settings_of
from runtime.cli.opening import opened
from runtime.cli.places import catalog_folder, journal_location
from runtime.cli.report import Source, inheritance, report
from runtime.cli.streams import prints_to_stderr, say
from runtime.errors import Cancelled
from runtime.identity import new_run_id, wall_clock
from runtime.launch import running
from runtime.outcome import ForkOptions, outcome_of
from runtime.workspace import check_workspace, open_catalog

if TYPE_CHECKING:
    from decimal import Decimal

    from runtime.cli.machines import Machines
    from runtime.cli.options import Session
    from runtime.cli.screen import Screen
    from runtime.journal import Journal
    from runtime.outcome import RunOutcome
    from runtime.run import Durability


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """What ``fork`` was asked to do.

    Attributes:
        session: the call of the command line.
        name: the run, as a person names it.
        at: the step.
        model: whom to ask from there on; None as the run asked.
        budget_usd: what the fork may cost; None for the run's.
        deadline_s: the seconds it gets; None for the run's.
        new_id: its name; None for a new one.
        repeat_side_effects: whether skills with side effects are used again.
        approve: names or patterns of tools that are approved.
        durability: what is on the disk before it goes on; None as the run.
        db: what ``--db`` says.
        machines: where the work is done.
        catalog: what ``--catalog`` says.
        as_json: whether JSON is wanted.
        quiet: whether only errors are wanted besides the result.
        verbose: whether the log of what goes well is wanted.
        live: whether the tree of agents is to be shown.
    """

    session: Session
    name: str
    at: str
    model: str | None
    budget_usd: Decimal | None
    deadline_s: float | None
    new_id: str | None
    repeat_side_effects: bool
    approve: tuple[str, ...]
    durability: Durability | None
    db: str | None
    machines: Machines
    catalog: Path | None
    as_json: bool
    quiet: bool
    verbose: bool
    live: bool


def branch_off(wanted: Branch) -> int:
    """Fork a run, print what came of it, and return the exit code.

    Raises:
        RuntimeFault: it could not begin, or the journal could not be written.
    """
    with prints_to_stderr():
        outcome = anyio.run(_carry_out, wanted)
    source = Source(wanted.db, wanted.catalog)
    report(outcome, source, as_json=wanted.as_json, quiet=wanted.quiet, kept=True)
    if outcome.forked_from is not None and not (wanted.quiet or wanted.as_json):
        say(inheritance(outcome.forked_from))
    return outcome.exit_code


async def _carry_out(wanted: Branch) -> RunOutcome:
    row = await History(wanted.db).find(wanted.name)
    screen = _screen(row.target) if wanted.live else None
    stream = None if screen is None else screen.log
    log_to(stream, wanted.session, verbose=wanted.verbose, quiet=wanted.quiet)
    check_workspace()
    catalog = open_catalog(catalog_folder(wanted.catalog, Path.cwd()))
    database = journal_location(wanted.db, os.environ, Path.cwd())
    cluster = settings_of(wanted.machines, database, quiet=wanted.quiet)
    options = _options(wanted, None if screen is None else screen.take)
    interrupts = Interrupts()
    async with (
        interrupts.watched(),
        opened(database) as journal,
        running(catalog, journal=journal, cluster=cluster) as system,
        screen.shown() if screen is not None else nullcontext(),
    ):
        with interrupts.scope:
            return await system.fork(row.run_id, wanted.at, options)
        return await _cancelled(journal, str(options.run_id))


def _options(wanted: Branch, listener: Any) -> ForkOptions:
    return ForkOptions(
        run_id=wanted.new_id or new_run_id(int(wall_clock() * 1_000)),
        model=wanted.model,
        budget_usd=wanted.budget_usd,
        deadline_s=wanted.deadline_s,
        repeat_side_effects=wanted.repeat_side_effects,
        approve=approval_of(wanted.approve),
        listener=listener,
        durability=wanted.durability,
        argv=wanted.session.argv,
    )


async def _cancelled(journal: Journal, run_id: str) -> RunOutcome:
    """Return what a fork came to that a signal has ended."""
    await journal.flush()
    row = await journal.run(run_id)
    if row is None:
        raise Cancelled("cancelled before the fork began")
    return outcome_of(row)


def _screen(title: str) -> Screen:
    from runtime.cli.screen import Screen  # noqa: PLC0415  # rich: only where a terminal is

    return Screen(title)
