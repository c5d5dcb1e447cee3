"""Uses of skills as steps of a run: what was done before an interruption is not done again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.errors import InDoubt
from runtime.recorded import failure_of

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
    if recorded.is_in_doubt(op) and skill.side_effects and not run.retries_in_doubt:
        raise InDoubt(
            f"skill {skill.name!r} had begun when the run was interrupted, and has side effects:"
            " nobody knows whether they took place; find out, then resume with --retry-in-doubt to"
            " do it again"
        )
    return op, recorded.outcome(op)


def recalled_skill(skill: Skill, outcome: EventRow) -> Any:
    """Return what a skill gave before, or raise what it failed with."""
    if outcome.kind == "skill_failed":
        raise failure_of(outcome)
    return skill.signature.restore(outcome.body.get("output"))
