"""How many calls a node starts in a second, and how large they are: what it will soon need."""

from __future__ import annotations

from math import ceil, exp

from providers.cluster.amount import NOTHING, Amount

MEMORY_S = 1.0  # a start of so long ago counts for a third
SLOWEST = 2.0  # starts in a second; to whom starts less often, an answer in time is quick enough
SIZE_MEMORY = 0.1  # the part that the newest call has in the average size


class StartRate:
    """The starts of the last second or so, each of them counting for less as time goes by.

    Attributes:
        average: the size of a call.
    """

    __slots__ = ("_at", "_count", "_sizes")

    def __init__(self) -> None:
        self._at = 0.0
        self._count = 0.0
        self._sizes: tuple[float, float] | None = None

    @property
    def average(self) -> Amount:
        """What one call reserves, on average."""
        return Amount(1, *map(round, self._sizes)) if self._sizes else NOTHING

    def add(self, size: Amount, now: float) -> None:
        """Count a start."""
        self._count = self._left(now) + size.requests
        self._at = now
        into, out_of = self._sizes or (float(size.tokens_in), float(size.tokens_out))
        into += SIZE_MEMORY * (size.tokens_in - into)
        self._sizes = into, out_of + SIZE_MEMORY * (size.tokens_out - out_of)

    def per_s(self, now: float) -> float:
        """Return the rate; 0 when it is too low to be worth a stock."""
        rate = self._left(now) / MEMORY_S
        return rate if rate >= SLOWEST else 0.0

    def of(self, seconds: float, now: float) -> Amount:
        """Return what that comes to in so many seconds; nothing when the rate is too low."""
        return self.average.times(ceil(self.per_s(now) * seconds))

    def _left(self, now: float) -> float:
        return self._count * exp(min(0.0, self._at - now) / MEMORY_S)
