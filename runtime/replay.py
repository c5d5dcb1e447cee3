"""Replay: the code of a run that is over, run again offline, and compared record by record.

It is a composition of its own, so that nothing can leave by mistake: there is no provider actor and
no account in it, no tracer, no exporter, no meter, and no journal but an empty one in memory. What
is asked of models and skills is answered from the records. The policies and prices are those of
the day of the run, by the catalog as it is now.
"""

from __future__ import annotations

import importlib
import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from otel import NO_METRICS, Tracing
from runtime.actors import Supervisor, actor_system
from runtime.approval_steps import Approvals
from runtime.dispatch import Dispatcher
from runtime.elsewhere import Elsewhere
from runtime.errors import ConfigurationError, DeadlineExceeded, UnknownName
from runtime.invocations.invocation import Doors
from runtime.invocations.reservation import Reservations
from runtime.journal import MemoryJournal
from runtime.messages import Delegation
from runtime.models import Models
from runtime.planner import Planner
from runtime.playback import Difference, Playback, Side
from runtime.pricing import Pricing
from runtime.rehearsal import Conductor, Nobody, Paid, Rehearsal, Unhurried
from runtime.resumption import described
from runtime.routing import Learned
from runtime.rules import Rules
from runtime.skills import Skills
from runtime.start import check_routing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.catalog import Catalog
    from runtime.directory import Directory
    from runtime.journal import EventRow, RunRow
    from runtime.messages import Result
    from runtime.resumption import Resumable

LONGEST_S = 3_600.0  # a replay; nothing runs for ever because nobody said for how long


class Replayed(NamedTuple):
    """What came of a replay.

    Attributes:
        run_id: the run.
        status: what had become of it: ``completed``, ``failed`` or ``cancelled``.
        steps: how many steps its record has.
        difference: the first difference; None where it came to the same.
    """

    run_id: str
    status: str
    steps: int
    difference: Difference | None

    @property
    def is_identical(self) -> bool:
        """Whether it came to the same, byte for byte."""
        return self.difference is None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        told = self.difference
        return {
            "run_id": self.run_id,
            "status": self.status,
            "identical": self.is_identical,
            "steps": self.steps,
            "difference": None
            if told is None
            else {
                "step": told.step,
                "op": told.op,
                "why": told.why,
                "expected": None if told.expected is None else told.expected._asdict(),
                "found": None if told.found is None else told.found._asdict(),
            },
        }


class Stage(NamedTuple):
    """What a replay goes by: the catalog, its agents and skills, the environment."""

    catalog: Catalog
    directory: Directory
    environ: Mapping[str, str]


async def replay(
    stage: Stage, row: RunRow, events: Sequence[EventRow], *, longest_s: float = LONGEST_S
) -> Replayed:
    """Run the code of a run again on its records, and compare.

    Args:
        stage: what to go by.
        row: the run.
        events: all of its records.
        longest_s: the seconds that it may take.

    Raises:
        ConfigurationError: the run is not over, or its record does not have what is needed.
        UnknownName: its agent or its routing file is not here.
        DeadlineExceeded: it did not come to an end.
    """
    recorded = Playback(events, partial(_has_context, stage.directory))
    _check(row, recorded)
    stage.directory.slug(str(recorded.beginning.get("agent")))
    check_routing(recorded.beginning.get("routing"), stage.catalog)
    conductor: Conductor | None = None
    with anyio.move_on_after(longest_s) as limit:
        conductor = await _rehearse(stage, row, recorded)
    if conductor is None or limit.cancelled_caught:
        raise DeadlineExceeded(
            f"the replay of run {row.run_id} has not come to its end in {longest_s:g} s"
        )
    return Replayed(row.run_id, row.status, len(recorded.steps), conductor.difference)


async def _rehearse(stage: Stage, row: RunRow, recorded: Playback) -> Conductor:
    found = described(row, row.epoch, recorded)
    async with (
        actor_system() as actors,
        anyio.create_task_group() as tasks,
    ):
        conductor = Conductor(recorded, tasks.cancel_scope.cancel)
        recorded.prompter = conductor
        engine = Unhurried(await actors.supervise(Supervisor))
        engine.conductor, conductor.end = conductor, engine.cancel
        run = _run_of(found, recorded, conductor)
        tasks.start_soon(conductor.conduct)
        result = await _dispatcher(stage, engine, row.started_at).run_root(run, _root(run, found))
        if not conductor.is_at_its_end:
            conductor.differ(_end_unlike(row, result))
        tasks.cancel_scope.cancel()
    return conductor


def _run_of(found: Resumable, recorded: Playback, conductor: Conductor) -> Rehearsal:
    run = Rehearsal(
        found.run_id,
        found.target,
        budget=Paid(found.budget_nano_usd),
        journal=MemoryJournal(),
        clock=lambda: 0.0,
        wishes=found.wishes,
        routing=found.routing,
        tenant=found.tenant,
        dialogue=found.dialogue,
    )
    run.recorded, run.conductor, recorded.budget = recorded, conductor, run.budget
    run.overrides = found.overrides
    return run


def _root(run: Rehearsal, found: Resumable) -> Delegation:
    said = run.recorded.beginning.get("deadline_s")
    seconds = LONGEST_S if said is None else said
    return Delegation(
        run.task_id(found.agent),
        found.agent,
        found.payload,
        run_id=run.id,
        op=run.operation("", found.agent, None),
        deadline=anyio.current_time() + seconds,
    )


def _dispatcher(stage: Stage, engine: Unhurried, at: float) -> Dispatcher:
    catalog, directory, environ = stage
    accounts: Any = Nobody()
    rules = Rules(catalog, environ, lambda: at)
    price_of = Pricing(catalog, importlib.import_module("providers").price_of, rules)
    tracing = Tracing()
    doors = Doors(tracing, Reservations(), lambda _: None)
    planner = Planner(catalog, rules, price_of.of, Learned())
    approvals = Approvals(tracing)
    return Dispatcher(
        directory,
        engine,
        tracing,
        models=Models(planner, accounts, Elsewhere(catalog, environ, accounts), doors),
        skills=Skills(directory, tracing, {}, rules=rules, approvals=approvals, metrics=NO_METRICS),
        approvals=approvals,
        metrics=NO_METRICS,
    )


def _check(row: RunRow, recorded: Playback) -> None:
    """Refuse a run that cannot be replayed.

    Raises:
        ConfigurationError: it is such a one.
    """
    if not row.is_over:
        raise ConfigurationError(
            f"run {row.run_id} is not over: {row.status}; python -m runtime resume goes on with it"
            " if its process has died or it is parked"
        )
    if not row.resumable:
        raise ConfigurationError(f"run {row.run_id} ({row.target}) was not begun by run")
    if wordless := recorded.wordless():
        raise ConfigurationError(
            f"run {row.run_id} cannot be replayed: nobody has kept the words of"
            f" {len(wordless)} answers, as a policy says (contents: digest); the first is step"
            f" {wordless[0].seq}, {wordless[0]}"
        )


def _end_unlike(row: RunRow, result: Result[Any]) -> Difference | None:
    """Return the difference between the ends of a run; None if they are equal."""
    was = [row.output, row.reason, row.error]
    now = [result.output if result.ok else None, result.reason, result.error]
    if json.dumps(was) == json.dumps(now):
        return None
    why = "the run comes to something else"
    return Difference(None, "", why, Side(row.status, was), Side(result.status, now))


def _has_context(directory: Directory, skill: str) -> bool:
    """Whether a skill can ask and delegate by itself; of one that is not here, nobody knows."""
    try:
        return directory.skill(skill).wants_context
    except UnknownName:
        return True
