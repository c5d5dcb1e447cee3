"""The classic contract: a plain ``def`` that gets a dict and four objects to work with.

It runs in a worker thread, so every call here may simply wait. ``registry`` knows the agents and
skills, ``skills`` runs skills by name, ``runner`` delegates, ``obs`` takes notes.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, FiniteFloat

from runtime import Delegation, skill

if TYPE_CHECKING:
    from runtime.classic import (
        ClassicObservability,
        ClassicRegistry,
        ClassicRunner,
        ClassicSkills,
    )

SKILL = "skill.describe-numbers"
SAG = "data-analysis-sag"


class Numbers(BaseModel, extra="ignore"):
    """The numbers to describe."""

    numbers: list[FiniteFloat] = Field(min_length=1, max_length=100_000)


@skill(name=SKILL, inline=True)
def describe_numbers(given: Numbers) -> dict[str, int | float]:
    """Describe numbers by count, mean, median, spread and limits."""
    numbers = given.numbers
    return {
        "count": len(numbers),
        "mean": statistics.fmean(numbers),
        "median": statistics.median(numbers),
        "standard_deviation": statistics.pstdev(numbers),
        "smallest": min(numbers),
        "largest": max(numbers),
    }


def run(
    payload: dict[str, Any],
    *,
    registry: ClassicRegistry,
    skills: ClassicSkills,
    runner: ClassicRunner,
    obs: ClassicObservability,
) -> dict[str, Any]:
    """Describe the numbers of ``payload``, and have them put into words.

    Args:
        payload: ``numbers``, and if you like ``title`` and ``model`` (the model to ask).
        registry: what is known of agents and skills.
        skills: runs skills.
        runner: runs other agents.
        obs: takes notes.
    """
    title = str(payload.get("title") or "The numbers")
    figures = skills.invoke(SKILL, payload)
    obs.log("described", {"count": figures["count"]})
    result = runner.invoke_sag(
        Delegation(
            task_id="analyze-1",
            sag_id=SAG,
            input={"title": title, "figures": _sentences(title, figures)},
            context={"preferred_model": str(payload["model"])} if payload.get("model") else {},
        )
    )
    if not result.ok:  # figures without words are still of use
        obs.log("analysis_failed", {"reason": result.reason, "error": result.error})
    return {
        "title": title,
        "figures": figures,
        "analysis": result.output,
        "analyst": registry.load_agent(SAG)["description"],
        "error": result.error,
        "cost_usd": obs.get_current_cost(),
    }


def _sentences(title: str, figures: dict[str, int | float]) -> str:
    facts = (f"{name.replace('_', ' ')} is {value:,.10g}" for name, value in figures.items())
    return " ".join(f"{title}: the {fact}." for fact in facts)
