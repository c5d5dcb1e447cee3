"""``compensation-advisor-sag``: the offer for one candidate, and figures about it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, model_validator

from agents.pay import CandidateProfile, Offer, offer_for
from agents.transform import Transform, transform
from runtime import Context, sag
from runtime.errors import UnknownName

SKILL = "skill.test-helper-transform"


class AdviceRequest(BaseModel, extra="allow"):
    """A candidate's profile, in a field of its own or as the whole input."""

    candidate_profile: CandidateProfile

    @model_validator(mode="before")
    @classmethod
    def _profile_alone(cls, data: Any) -> Any:
        alone = isinstance(data, dict) and "candidate_profile" not in data
        return {"candidate_profile": data} if alone else data


class OfferSummary(BaseModel):
    """The figures of an offer in one place."""

    level: str
    location: str
    experience_years: int
    base_salary: int
    numbers_total: int


class Analysis(BaseModel):
    """What can be said about an offer."""

    transform: Transform
    summary: OfferSummary


class Advice(BaseModel):
    """An offer, with what can be said about it."""

    offer: Offer
    analysis: Analysis
    metadata: dict[str, str]


@sag(name="compensation-advisor-sag")
async def advise(ctx: Context, request: AdviceRequest) -> Advice:
    """Work out the offer for one candidate."""
    offer = offer_for(request.candidate_profile)
    figures = await _figures(ctx, offer)
    summary = OfferSummary(
        level=offer.level,
        location=offer.location,
        experience_years=offer.experience_years,
        base_salary=offer.base_salary.amount,
        numbers_total=figures.numbers_total,
    )
    return Advice(
        offer=offer,
        analysis=Analysis(transform=figures, summary=summary),
        metadata={"agent": ctx.agent, "task_id": ctx.task_id},
    )


async def _figures(ctx: Context, offer: Offer) -> Transform:
    """Use the skill by its name, so that a catalog may replace it or leave it out."""
    numbers = [offer.experience_years, offer.base_salary.amount // 1_000, len(offer.level)]
    payload = {"text": offer.role, "value": offer.experience_years, "numbers": numbers}
    try:
        return Transform.model_validate(await ctx.use(SKILL, **payload), from_attributes=True)
    except UnknownName:
        ctx.log("skill_missing", skill=SKILL)
        return Transform.model_validate(transform(**payload)).model_copy(
            update={"source": "fallback"}
        )
