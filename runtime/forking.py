"""A fork: a run that has of another what came before a step, and works live from there. Pure.

What came before is what began before it, by the numbers of the steps: it cannot depend on what
began later, but for delegations, and skills that ask by themselves, which count only if they ended
before it, too. These records are copied into the fork's own journal, marked as inherited, so that
it can be resumed, replayed and forked when its source is deleted; there they cost and count
nothing. Records never change, so the source may be under way: what has no outcome is done again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.errors import UnknownName
from runtime.journal import KINDS
from runtime.parting import totals_of
from runtime.recorded import was_given_up
from runtime.steps import Step, Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from runtime.agent import Skill
    from runtime.journal import EventRow, RunRow

AS_THEY_ARE = frozenset(
    ("delegation_sent", "delegation_started", "log", "invocation_cached", "invocation_denied")
)
WITH_OUTCOME = frozenset(("invocation_started", "skill_started", "approval_requested"))
NOT_INHERITED = ("reserved_nano_usd", "settled_nano_usd", "expires_at")


class Fork(NamedTuple):
    """What a run begins with that is forked from another.

    Attributes:
        step: the step from which on it works live.
        records: what it inherits.
        effects: the skills with side effects that its source has used from that step on.
        note: what its own journal says of all that: ``run_id``, ``step``, ``op``, ``inherited``.
    """

    step: Step
    records: list[EventRow]
    effects: list[str]
    note: dict[str, Any]


def forked(
    row: RunRow, events: Sequence[EventRow], at: str, skills: Callable[[str], Skill | None]
) -> Fork:
    """Return what a fork of a run begins with.

    Args:
        row: the run.
        events: all of its records.
        at: the step, by its number or its id.
        skills: a skill by its name; None where it is not here.

    Raises:
        UnknownName: the run has no such step.
    """
    steps = Steps(events)
    step = _find(row, steps, at)
    ended = {
        event.op
        for event in events
        if _is_outcome(event) and _came_before(steps.get(event.op), event, step.seq, skills)
    }
    kept = (event for event in events if _is_kept(event, ended, step.seq))
    records = [_inherited(number, event) for number, event in enumerate(kept, 1)]
    totals = totals_of(replace(each, inherited=False) for each in Steps(records))
    note = {
        "run_id": row.run_id,
        "step": step.seq,
        "op": step.op,
        "inherited": {
            "calls": totals.calls,
            "input_tokens": totals.input_tokens,
            "output_tokens": totals.output_tokens,
            "cost_nano_usd": totals.cost,
            "unpriced_calls": totals.unpriced,
        },
    }
    return Fork(step, records, sorted({*_effects(events, ended, skills)}), note)


def _find(row: RunRow, steps: Steps, at: str) -> Step:
    named = (each for each in steps if at in (str(each.seq), each.op))
    step = next(named, None)
    if step is None:
        raise UnknownName(
            f"run {row.run_id} has no step {at!r};"
            f" python -m runtime show {row.run_id} --steps lists them"
        )
    return step


def _is_outcome(event: EventRow) -> bool:
    """Whether a record is an outcome that somebody has seen."""
    rule = KINDS[event.kind]
    is_one = rule.terminal and rule.status is None and event.kind not in AS_THEY_ARE
    return is_one and not event.body.get("unfinished") and not was_given_up(event)


def _came_before(
    step: Step | None, outcome: EventRow, seq: int, skills: Callable[[str], Skill | None]
) -> bool:
    """Whether a step depends on none that began at a record or after it."""
    if step is None or step.seq >= seq:
        return False
    if outcome.seq < seq or step.kind in ("model", "approval"):
        return True
    skill = skills(step.name) if step.kind == "skill" else None
    return skill is not None and not skill.wants_context


def _is_kept(event: EventRow, ended: set[str], seq: int) -> bool:
    if event.kind in AS_THEY_ARE:
        return event.seq < seq
    return event.op in ended and (event.kind in WITH_OUTCOME or _is_outcome(event))


def _inherited(number: int, event: EventRow) -> EventRow:
    """Return a record as a fork has it: marked first of all, and free."""
    body = {name: value for name, value in event.body.items() if name not in NOT_INHERITED}
    mark = {"seq": event.seq, "at": event.at, "cost_nano_usd": event.cost_nano_usd}
    return replace(event, seq=number, body={"inherited": mark} | body, cost_nano_usd=0)


def _effects(
    events: Sequence[EventRow], ended: set[str], skills: Callable[[str], Skill | None]
) -> Iterator[str]:
    """Yield the skills with side effects that the source has used and the fork has no answer of."""
    for event in events:
        name = event.body.get("skill")
        if event.kind == "skill_started" and event.op not in ended:
            skill = skills(str(name))
            if event.body.get("side_effects") or (skill is not None and skill.has_effects):
                yield str(name)
