"""The skill ``skill.test-helper-transform``: simple figures, the same on every machine."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from runtime import skill


class Transform(BaseModel):
    """The figures.

    Attributes:
        upper_text: the text in capitals.
        value_squared: the value times itself.
        numbers_doubled: each number times two.
        numbers_total: the sum of the numbers.
        source: whether the skill computed this, or an agent that had to do without it.
    """

    upper_text: str
    value_squared: int
    numbers_doubled: list[int]
    numbers_total: int
    source: Literal["skill", "fallback"] = "skill"


@skill(name="skill.test-helper-transform", inline=True)
def transform(text: str, value: int, numbers: list[int]) -> Transform:
    """Compute simple figures from a text, a value and some numbers."""
    return Transform(
        upper_text=text.upper(),
        value_squared=value * value,
        numbers_doubled=[number * 2 for number in numbers],
        numbers_total=sum(numbers),
    )
