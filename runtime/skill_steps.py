"""Uses of skills as steps of a run: what was done before an interruption is not done again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.errors import DeadlineExceeded
from runtime.failed_before import failure_of

if TYPE_CHECKING:
    from runtime.agent import Skill
    from runtime.journal import EventRow
    from runtime.run import Run


def may_have_taken_place(run: Run, skill: Skill, op: str) -> bool:
    """Whether a use had begun when the run was interrupted, of a skill that must not be repeated.

    Then people are asked whether it may be used again, anew after each interruption.
    """
    recorded = run.recorded
    return recorded is not None and skill.is_once and recorded.is_in_doubt(op)


def question_of_doubt(run: Run, skill: Skill, op: str) -> tuple[str, str]:
    """Return the id of the question whether a skill may be used again, and its words."""
    begun = 0 if run.recorded is None else run.recorded.begun(op)
    return f"{op}/again:{begun}", (
        f"{skill.name} had begun when the run was interrupted, and nobody knows whether it took"
        " place. May it be used again?"
    )


def used_again(run: Run, parent: str, skill: Skill, given: Any, op: str) -> str:
    """Return the id of a use of a skill that somebody has approved once more.

    One that had ended as cut off has an outcome: then it is another step.
    """
    is_another = run.recorded is not None and run.recorded.use_again(op)
    return run.operation(parent, skill.name, given) if is_another else op


def outcome_of_skill(run: Run, op: str) -> EventRow | None:
    """Return the outcome of a use of a skill before an interruption, if it has one."""
    return None if run.recorded is None else run.recorded.outcome(op)


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
