"""What a candidate is offered: tables and whole dollars, nothing else."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, model_validator

LEVELS = {  # level: (base, sign-on bonus)
    "junior": (90_000, 5_000),
    "mid": (120_000, 10_000),
    "senior": (150_000, 20_000),
    "staff": (190_000, 30_000),
    "principal": (220_000, 50_000),
}
OTHER_LEVEL = (110_000, 10_000)
LOCATIONS = (  # the first one that the candidate's location contains
    ("san francisco", 20_000),
    ("new york", 15_000),
    ("austin", 7_000),
    ("remote", -5_000),
)
PER_YEAR = 3_000
LOWEST = 60_000


class Given(BaseModel, extra="allow", str_strip_whitespace=True):
    """Fields of a form: those that are blank count as not given, and further ones are welcome."""

    @model_validator(mode="before")
    @classmethod
    def _blank_is_missing(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if not _is_blank(value)}


class CandidateProfile(Given):
    """Who gets an offer.

    Attributes:
        role: the job.
        level: ``Junior``, ``Mid``, ``Senior``, ``Staff``, ``Principal`` or another word.
        location: where; a city or ``Remote``.
        experience_years: years in the job; only whole ones count.
        notes: anything else.
    """

    role: str
    level: str = "Mid"
    location: str = "Remote"
    experience_years: float = Field(default=0, ge=0, le=100)
    notes: str = ""


class Amount(BaseModel):
    """An amount of money, in whole units."""

    currency: str = "USD"
    amount: int


class Band(BaseModel):
    """The range that a salary may be in."""

    currency: str = "USD"
    min: int
    max: int


class Offer(BaseModel):
    """What is offered."""

    role: str
    level: str
    experience_years: int
    location: str
    base_salary: Amount
    band: Band
    sign_on_bonus: Amount
    notes: str


def offer_for(candidate: CandidateProfile) -> Offer:
    """Return the offer for a candidate."""
    start, sign_on = LEVELS.get(candidate.level.lower(), OTHER_LEVEL)
    years = int(candidate.experience_years)
    base = start + PER_YEAR * years + _adjustment(candidate.location)
    return Offer(
        role=candidate.role,
        level=candidate.level,
        experience_years=years,
        location=candidate.location,
        base_salary=Amount(amount=base),
        band=Band(min=max(LOWEST, base * 9 // 10), max=base * 11 // 10),
        sign_on_bonus=Amount(amount=sign_on),
        notes=candidate.notes or f"Offer for {candidate.role} ({candidate.level}).",
    )


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _adjustment(location: str) -> int:
    place = location.lower()
    return next((amount for name, amount in LOCATIONS if name in place), 0)
