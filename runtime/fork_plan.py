"""What is looked at before a run is forked: can it be done here, with whom, and what it repeats."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from runtime.errors import ConfigurationError, UnknownName
from runtime.forking import forked
from runtime.governance.cost import NANO
from runtime.identity import new_run_id, wall_clock
from runtime.outcome import DEFAULT_DEADLINE_S
from runtime.recorded import Recorded
from runtime.resumption import Resumable, described
from runtime.routing import Wish, choose
from runtime.start import check_routing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.agent import Skill
    from runtime.catalog import Catalog
    from runtime.directory import Directory
    from runtime.journal import EventRow, RunRow
    from runtime.outcome import ForkOptions


class ForkPlan(NamedTuple):
    """What a fork is begun with; see ``Workflows.fork``."""

    found: Resumable
    options: ForkOptions
    inherited: list[EventRow]


def plan_fork(
    row: RunRow,
    events: Sequence[EventRow],
    at: str,
    options: ForkOptions,
    *,
    catalog: Catalog,
    directory: Directory,
) -> ForkPlan:
    """Return what a fork is begun with.

    Args:
        row: the run that it is forked from.
        events: all of its records.
        at: the step, by its number or its id.
        options: how.
        catalog: routing and providers.
        directory: the agents and skills.

    Raises:
        UnknownName: there is no such step or model, or the agent or routing file is not here.
        ConfigurationError: the run was not begun by ``run``, or skills with side effects would be
            used again, and the options do not say to do that.
    """
    if not row.resumable:
        raise ConfigurationError(f"run {row.run_id} ({row.target}) was not begun by run")
    whole = Recorded(events)
    directory.slug(str(whole.beginning.get("agent")))
    routing = whole.beginning.get("routing")
    check_routing(routing, catalog)
    if options.model is not None:
        choose((Wish(options.model, None, "fork"),), catalog.routing_of(routing), catalog.providers)

    fork = forked(row, events, at, partial(_skill, directory))
    if fork.effects and not options.repeat_side_effects:
        raise ConfigurationError(
            f"run {row.run_id} has used skills with side effects from step {fork.step.seq} on:"
            f" {', '.join(fork.effects)}; a fork may do that again; if it shall, fork with"
            " --repeat-side-effects"
        )
    source = described(row, 1, whole)
    models = [wish.model for wish in source.overrides]
    models += [] if options.model is None else [options.model]
    note = fork.note | ({"models": models} if models else {})
    budget = source.budget_nano_usd
    given = whole.beginning.get("deadline_s") if options.deadline_s is None else options.deadline_s
    found = source._replace(
        run_id=options.run_id or new_run_id(int(wall_clock() * 1_000)),
        budget_nano_usd=budget if options.budget_usd is None else int(options.budget_usd * NANO),
        time_left=DEFAULT_DEADLINE_S if given is None else given,
        durability=options.durability or source.durability,
        recorded=Recorded(fork.records),
        forked_from=note,
    )
    return ForkPlan(found, options, fork.records)


def _skill(directory: Directory, name: str) -> Skill | None:
    try:
        return directory.skill(name)
    except UnknownName:
        return None
