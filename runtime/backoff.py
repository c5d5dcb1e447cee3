"""How long to wait before the next try: doubling, bounded, with jitter. Pure: no clock, no I/O.

    delay(n) = min(first * 2**n, longest) * (1 - jitter * draw),  draw uniform in [0, 1)

Jitter only ever shortens a wait, so ``longest`` is a promise. Who waits and when the count goes
back to zero is the caller's affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

_LARGEST_EXPONENT = 62  # beyond it every useful `longest` is reached; keeps 2**n a small number


@dataclass(frozen=True, slots=True)
class Backoff:
    """A doubling delay, in seconds.

    Attributes:
        first: the delay before the first retry.
        longest: no delay is longer.
        jitter: the share of a delay that chance may take away, 0 to 1.
    """

    first: float = 0.2
    longest: float = 30.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        """Refuse a back-off that could not be waited for.

        Raises:
            ValueError: a delay is negative or endless, ``longest`` is below ``first``, or jitter
                leaves 0..1.
        """
        if not 0 <= self.first <= self.longest < inf:
            raise ValueError(f"back-off needs 0 <= first <= longest < infinity, got {self}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter is a share between 0 and 1, got {self.jitter}")

    def delay(self, retry: int, draw: float) -> float:
        """Return the seconds to wait before retry number ``retry`` (0 is the first).

        Args:
            retry: how many retries went before this one.
            draw: a random number in [0, 1); the caller draws it, so that this stays pure.
        """
        full = min(self.first * 2.0 ** min(retry, _LARGEST_EXPONENT), self.longest)
        return full * (1.0 - self.jitter * draw)


NO_DELAY = Backoff(first=0.0, longest=0.0, jitter=0.0)
