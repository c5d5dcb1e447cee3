"""Numbers within bounds and steps, exactly: fractions until the last moment."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from providers.filling.demands import Demands
    from providers.filling.dice import Dice

SPAN = 100  # how far invented numbers reach where the schema names one bound or none
TRIES = 32
FINER = ((1, Fraction(1, 100)), (10, Fraction(1, 10)), (math.inf, Fraction(1, 2)))


def number_candidates(
    demands: Demands, dice: Dice, place: str, *, integer: bool
) -> Iterator[int | float]:
    """Return numbers that ought to satisfy ``demands``, the likeliest first.

    Floats cannot hold every multiple of every step, so there are several, and the caller checks.
    """
    low, high = _range(demands)
    step = _step(demands.all("multipleOf"), high - low, integer=integer)
    first, last = math.ceil(low / step), math.floor(high / step)
    width = max(last - first + 1, 1)
    start = dice.below(width, place)
    for offset in range(min(width, TRIES)):
        yield _json(step * (first + (start + offset) % width))
    for edge in (low, high, (low + high) / 2):
        yield _json(Fraction(round(edge)) if integer else edge)


def _range(demands: Demands) -> tuple[Fraction, Fraction]:
    lows = _bounds(demands, "minimum", "exclusiveMinimum")
    highs = _bounds(demands, "maximum", "exclusiveMaximum")
    span = max([Fraction(1), *map(_exact, demands.all("multipleOf"))]) * SPAN
    low = max(lows) if lows else min([Fraction(0), *(high - span for high in highs)])
    return low, min(highs) if highs else low + span


def _bounds(demands: Demands, *words: str) -> list[Fraction]:
    return [_exact(bound) for word in words for bound in demands.all(word)]


def _exact(value: Any) -> Fraction:
    return Fraction(str(value))


def _step(steps: list[Any], width: Fraction, *, integer: bool) -> Fraction:
    """Return the least common multiple of all steps, or one that is fine enough for the range."""
    exact = [Fraction(1)] if integer else []
    exact += [_exact(step) for step in steps]
    if not exact:
        fine = next(fine for widest, fine in FINER if width <= widest)
        return fine if width >= fine else max(width, Fraction(1, 10**12)) / 8
    common = exact[0]
    for step in exact[1:]:
        common = Fraction(
            math.lcm(common.numerator, step.numerator),
            math.gcd(common.denominator, step.denominator),
        )
    return common


def _json(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)
