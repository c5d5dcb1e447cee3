"""One limit of a minute or a day: is there room for this call, and if not, when may there be?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from providers.admission.foreign import ForeignUse

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.admission.headers import Allowance
    from providers.admission.sliding_log import Amounts, SlidingLog

# Requests bunch up on their way: what went out within 60 s may arrive within less. So a minute and
# a day are taken to be one percent longer than they are.
GUARD = 1.01
MINUTE_S = 60.0 * GUARD
DAY_S = 86_400.0 * GUARD
SLACK = 1e-6  # sums of floats are not exact; a millionth of a token is no reason to wait


class Dimension(NamedTuple):
    """One thing that is limited.

    Attributes:
        name: what ``Limits`` calls its limit.
        told_as: what ``RateHeaders`` calls its allowance.
        amount_of: how much of it a call, a charge or a whole log uses.
        whole: whether it comes in whole numbers, so that part of one is no use.
    """

    name: str
    told_as: str
    amount_of: Callable[[Amounts], float]
    whole: bool = False


REQUESTS = Dimension("rpm", "requests", lambda use: use.requests, whole=True)
TOKENS = (
    Dimension("tpm", "tokens", lambda use: use.tokens_in + use.tokens_out),
    Dimension("itpm", "input_tokens", lambda use: use.tokens_in),
    Dimension("otpm", "output_tokens", lambda use: use.tokens_out),
)
REQUESTS_A_DAY = Dimension("rpd", "requests_day", lambda use: use.requests, whole=True)


class Window:
    """One limit, and what is used of it. The lower of the configured and the told limit counts.

    Attributes:
        dimension: what is limited.
        limit: the server's limit in its period; None when it is not known.
        capacity: what this process may use of it at once; infinity when it is not known.
        rate: what it may use of it in a second, on average; infinity when it is not known.
    """

    def __init__(
        self, dimension: Dimension, configured: float | None, share: float, log: SlidingLog
    ) -> None:
        self.dimension = dimension
        self._configured = configured
        self._share = share
        self._log = log
        self._foreign = ForeignUse()
        self._set(configured)

    def fits(self, ticket: Amounts) -> bool:
        """Return whether a call could ever be sent: it is not larger than the limit itself."""
        return self.limit is None or self.dimension.amount_of(ticket) <= max(1.0, self.limit)

    def opens(self, ticket: Amounts, now: float) -> float:
        """Return when there may be room for a call; not later than ``now`` when there is.

        A call that is larger than the share of this process has room when nothing else is used.
        When there is no room, the instant is the earliest at which there may be some without a
        settlement; to be asked again then.
        """
        amount_of = self.dimension.amount_of
        used = amount_of(self._log) + self._foreign.at(now)
        excess = used + min(amount_of(ticket), self.capacity) - self.capacity
        if excess <= SLACK:
            return -math.inf
        return min(self._log.frees_at(amount_of, excess), self._foreign.frees_at(excess, now))

    def hear(self, told: Allowance, now: float) -> None:
        """Adapt to what the server said: a lower limit than configured, and what others use."""
        limit = told.limit
        if limit is not None:
            limit = limit if self._configured is None else min(limit, self._configured)
            if limit != self.limit:
                self._set(limit)
        if told.remaining is None or self.limit is None:
            return
        unexplained = self.capacity - self.dimension.amount_of(self._log) - told.remaining
        span = self._log.span_s
        reset_s = span if told.reset_s is None else min(told.reset_s, span)
        self._foreign.set(unexplained, now, reset_s)

    def _set(self, limit: float | None) -> None:
        self.limit = limit
        self.capacity = self.rate = math.inf
        if limit is None:
            return
        self.capacity = self._share * limit
        self.rate = self.capacity / self._log.span_s
        if self.dimension.whole:
            # Part of a request is no use: round up, where the server's limit leaves room for it.
            # The pace keeps the average at the exact share.
            self.capacity = max(1, min(math.ceil(self.capacity - SLACK), math.floor(limit)))
