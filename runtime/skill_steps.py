"""Uses of skills as steps of a run: what was done before an interruption is not done again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.errors import DeadlineExceeded
from runtime.failed_before import failure_of, in_doubt

if TYPE_CHECKING:
    from runtime.agent import Skill
    from runtime.journal import EventRow
    from runtime.run import Run


def step_of_skill(run: Run, parent: str, skill: Skill, given: Any) -> tuple[str, EventRow | None]:
    """Return the id of a use of a skill, and its outcome if it has one.

    Args:
        run: the run.
        parent: the delegation of the agent that uses it.
        skill: the skill.
        given: its input, JSON data.

    Raises:
        InDoubt: it had begun when the run was interrupted, and it is one that must not be repeated.
    """
    op, recorded = run.operation(parent, skill.name, given), run.recorded
    if recorded is None:
        return op, None
    if skill.is_once and recorded.is_in_doubt(op):
        raise in_doubt([skill.name])
    return op, recorded.outcome(op)


async def recalled_skill(run: Run, skill: Skill, outcome: EventRow) -> Any:
    """Return what a skill gave before, or raise what it failed with."""
    if run.recorded is not None:
        await run.recorded.turn(outcome)
    if outcome.kind == "skill_failed":
        raise failure_of(outcome)
    return skill.signature.restore(outcome.body.get("output"))


def begun_note(run: Run, skill: Skill, given: Any) -> dict[str, Any]:
    """Return what is used, on what, and whether that may be done twice."""
    note = {"skill": skill.name, "input": given} | (run.code.note(skill) if run.code else {})
    return note | ({"side_effects": True} if skill.is_once else {})


def note_failed(run: Run, op: str, skill: Skill, error: BaseException, reason: str) -> None:
    """Note how a use of a skill failed.

    One that was cut off may have taken place. If it may be done once more, it is noted as
    unfinished, so that it is then the same step, with the same key.
    """
    note: dict[str, Any] = {
        "error": str(error),
        "reason": reason,
        "error_class": type(error).__name__,
    }
    if not isinstance(error, Exception) and not skill.is_once:
        run.record("skill_failed", op, note | {"unfinished": True}, terminal=False)
        return
    was_cut_off = not isinstance(error, Exception) or isinstance(error, DeadlineExceeded)
    if skill.is_once and was_cut_off:
        note["in_doubt"] = True
    run.record("skill_failed", op, note)
