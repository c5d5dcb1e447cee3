"""How fast, how reliable and how talkative each target has been: averages that forget.

Theory of operation: every call has a weight that halves every ``HALF_LIFE_S`` seconds, so an
average is of the last minutes where there were many calls, and of what there is where there were
few. A target of which little is known is taken to be a little better than the best of the others:
so it gets a try, and one that was slow once gets another when that is long ago. One that fails
takes its own time and that of whoever is asked instead, so it goes back, however fast it fails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.catalog import Target

HALF_LIFE_S = 600.0
PRIOR_CALLS = 1.0  # how many calls what is assumed of a target counts as
OPTIMISM = 0.8  # what is assumed of a target, as a share of what the best of the others takes
LEAST_SUCCESS = 0.05  # share of calls; a target that never answers is slow, not infinitely so
USUAL_OUTPUT = 500.0  # tokens of an answer where nothing is known
MOST_TARGETS = 10_000


@dataclass(slots=True)
class Average:
    """What the calls of one target came to.

    Attributes:
        at: when that was, in seconds of any steady clock.
        weight: how many calls it stands for by now.
        seconds: that one took.
        output_tokens: that an answer had.
        success: the share of calls that were answered.
    """

    at: float
    weight: float = 0.0
    seconds: float = 0.0
    output_tokens: float = 0.0
    success: float = 0.0

    def weight_at(self, now: float) -> float:
        """Return how many calls it still stands for."""
        return self.weight * math.exp2(-max(0.0, now - self.at) / HALF_LIFE_S)

    def expected(self, instead: float) -> float:
        """Return how many seconds an answer may take; ``instead`` is what another one takes."""
        return self.seconds / max(LEAST_SUCCESS, self.success) + (1.0 - self.success) * instead

    def add(self, seconds: float, output_tokens: int, now: float, *, ok: bool) -> None:
        """Count a call in."""
        old = self.weight_at(now)
        new = old + 1.0
        self.seconds = (self.seconds * old + seconds) / new
        if ok:
            answered = self.success * old  # so many of those were answered
            self.output_tokens = (self.output_tokens * answered + output_tokens) / (answered + 1.0)
        self.success = (self.success * old + ok) / new
        self.weight, self.at = new, max(now, self.at)


class Learned:
    """What is known of targets from their calls."""

    def __init__(self) -> None:
        self._averages: dict[Target, Average] = {}

    def __repr__(self) -> str:
        return f"<Learned [{len(self._averages)} targets]>"

    def add(
        self, target: Target, seconds: float, output_tokens: int, now: float, *, ok: bool
    ) -> None:
        """Count a call in.

        Args:
            target: who was asked.
            seconds: from the question to its end.
            output_tokens: that were generated.
            now: the time of its end, in seconds.
            ok: whether it was answered.
        """
        average = self._averages.get(target)
        if average is None:
            if len(self._averages) >= MOST_TARGETS:
                return
            average = self._averages[target] = Average(now)
        average.add(seconds, output_tokens, now, ok=ok)

    def seconds(self, targets: Iterable[Target], now: float) -> dict[Target, float]:
        """Return how many seconds an answer of each target may be expected to take."""
        averages = {each: self._averages[each] for each in targets if each in self._averages}
        longest = max((average.seconds for average in averages.values()), default=0.0)
        known = {target: average.expected(longest) for target, average in averages.items()}
        assumed = OPTIMISM * min(known.values(), default=0.0)
        return {target: self._mixed(target, known, assumed, now) for target in targets}

    def output_tokens(self, target: Target) -> float:
        """Return how many tokens an answer of a target may be expected to have."""
        average = self._averages.get(target)
        return USUAL_OUTPUT if average is None or not average.success else average.output_tokens

    def questions(self, target: Target) -> float:
        """Return how many questions it may be expected to take until a target answers one."""
        average = self._averages.get(target)
        return 1.0 if average is None else 1.0 / max(LEAST_SUCCESS, average.success)

    def _mixed(
        self, target: Target, known: dict[Target, float], assumed: float, now: float
    ) -> float:
        if target not in known:
            return assumed
        weight = self._averages[target].weight_at(now)
        return (known[target] * weight + assumed * PRIOR_CALLS) / (weight + PRIOR_CALLS)
