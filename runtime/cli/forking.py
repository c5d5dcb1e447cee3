"""What ``fork`` does: open the journal and the catalog, and begin a run with another one's past."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from runtime.approval import approval_of
from runtime.cli.commission import Commission
from runtime.cli.execution import cancelled
from runtime.cli.history import History
from runtime.cli.interrupts import Interrupts
from runtime.cli.report import Source, inheritance, report
from runtime.cli.streams import prints_to_stderr, say
from runtime.cli.workplace import screen_for, system_for
from runtime.identity import new_run_id, wall_clock
from runtime.outcome import ForkOptions

if TYPE_CHECKING:
    from decimal import Decimal

    from runtime.outcome import RunOutcome
    from runtime.run import Durability


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch(Commission):
    """What ``fork`` was asked to do.

    Attributes:
        name: the run, as a person names it.
        at: the step.
        model: whom to ask from there on; None as the run asked.
        budget_usd: what the fork may cost; None for the run's.
        deadline_s: the seconds it gets; None for the run's.
        new_id: its name; None for a new one.
        repeat_side_effects: whether skills with side effects are used again.
        approve: names or patterns of tools that are approved.
        durability: what is on the disk before it goes on; None as the run.
    """

    name: str
    at: str
    model: str | None
    budget_usd: Decimal | None
    deadline_s: float | None
    new_id: str | None
    repeat_side_effects: bool
    approve: tuple[str, ...]
    durability: Durability | None


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
    screen = screen_for(wanted, row.target)
    options = _options(wanted, None if screen is None else screen.take)
    interrupts = Interrupts()
    async with (
        interrupts.watched(),
        system_for(wanted) as system,
        screen.shown() if screen is not None else nullcontext(),
    ):
        with interrupts.scope:
            return await system.fork(row.run_id, wanted.at, options)
        return await cancelled(system.journal, str(options.run_id))


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
