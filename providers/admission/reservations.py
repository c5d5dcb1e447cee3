"""What calls hold of the known limits: all windows of a group, their logs, and the even pace."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from providers.admission.pacer import Pacer
from providers.admission.sliding_log import Charge, SlidingLog
from providers.admission.ticket import Ticket
from providers.admission.window import (
    DAY_S,
    MINUTE_S,
    REQUESTS,
    REQUESTS_A_DAY,
    TOKENS,
    Window,
)

if TYPE_CHECKING:
    from providers.admission.headers import RateHeaders
    from providers.admission.sliding_log import Amounts
    from runtime.messages import Limits

Charges = tuple[Charge, Charge]  # of the minute and of the day
GRAINS = 1000  # into which a span is cut where no limit of requests bounds its log
SMALLEST = Ticket("", 0, 0, 0.0)


class Reservations:
    """Charges every call that goes out to the minute and to the day.

    Attributes:
        minute: the calls of the last minute.
        day: the calls of the last day.
        pacer: lets requests out evenly where their limit is known, with a burst of ``burst_s``.
    """

    def __init__(self, limits: Limits) -> None:
        self.minute = SlidingLog(MINUTE_S)
        self.day = SlidingLog(DAY_S, DAY_S / GRAINS)
        self.pacer = Pacer()
        self._burst_s = limits.burst_s
        share = limits.share
        self._requests = Window(REQUESTS, limits.rpm, share, self.minute)
        self._windows = (
            self._requests,
            *(Window(each, getattr(limits, each.name), share, self.minute) for each in TOKENS),
            Window(REQUESTS_A_DAY, limits.rpd, share, self.day),
        )
        self._adapt(-inf)

    @property
    def rate(self) -> float:
        """Requests in a second by the known limit; infinity when it is not known."""
        return self._requests.rate

    @property
    def capacities(self) -> dict[str, float]:
        """What this process may use at once of each known limit, by its name in ``Limits``."""
        return {window.dimension.name: window.capacity for window in self._known}

    def share_of(self, amount: Amounts, seconds: float) -> float:
        """Return how much of an amount the limits give in so many seconds; infinity: all."""
        shares = (
            window.rate * seconds / used
            for window in self._known
            if (used := window.dimension.amount_of(amount)) > 0
        )
        return min(shares, default=inf)

    def expire(self, now: float) -> None:
        """Let go of what has left its window."""
        self.minute.expire(now)
        self.day.expire(now)

    def too_small(self, ticket: Ticket) -> Window | None:
        """Return a limit that a call could never keep to; None when there is none."""
        for window in self._known:
            if not window.fits(ticket):
                return window
        return None

    def opens(self, ticket: Ticket, now: float) -> float:
        """Return when all limits may have room for a call."""
        opens = self.pacer.ready_at()
        for window in self._known:
            opens = max(opens, window.opens(ticket, now))
        return opens

    def opens_for_any(self, now: float) -> float:
        """Return when there may be room for the smallest call there is."""
        return self.opens(SMALLEST, now)

    def take(self, ticket: Ticket, now: float) -> None:
        """Charge a call that goes out."""
        self.pacer.take(now)
        ticket.charges = (
            self.minute.add(ticket.tokens_in, ticket.tokens_out, now),
            self.day.add(ticket.tokens_in, ticket.tokens_out, now),
        )

    def settle(self, ticket: Ticket, tokens_in: int, tokens_out: int, requests: int = 1) -> None:
        """Charge a call with what it used in the end, instead of what was reserved."""
        more = (requests - 1, tokens_in - ticket.tokens_in, tokens_out - ticket.tokens_out)
        for log, charge in zip((self.minute, self.day), ticket.charges, strict=True):
            log.adjust(charge, *more)

    def charge(self, amount: Amounts, at: float, former: Charges | None, now: float) -> Charges:
        """Charge calls that others may start until ``at``.

        Args:
            amount: how many, and their tokens.
            at: the latest instant; not before that of any charge.
            former: charges of the same instant to add them to; None for new ones.
            now: the instant.
        """
        for _ in range(amount.requests):
            self.pacer.take(now)
        if former is None:
            return self.minute.charge(amount, at), self.day.charge(amount, at)
        self.adjust(former, amount)
        return former

    def adjust(self, charges: Charges, by: Amounts) -> None:
        """Add to charges, or take from them; without effect once they have left their logs."""
        for log, charge in zip((self.minute, self.day), charges, strict=True):
            log.adjust(charge, by.requests, by.tokens_in, by.tokens_out)

    def hear(self, headers: RateHeaders, now: float) -> None:
        """Adapt to what the server says of its limits."""
        is_new = False
        for window in self._windows:
            told = getattr(headers, window.dimension.told_as)
            if told is not None:
                before = window.limit
                window.hear(told, now)
                is_new = is_new or window.limit != before
        if is_new:
            self._adapt(now)

    def _adapt(self, now: float) -> None:
        self._known = [window for window in self._windows if window.limit is not None]
        known = self.rate < inf
        self.minute.grain_s = 0.0 if known else MINUTE_S / GRAINS
        interval = 1.0 / self.rate if known else 0.0
        burst = max(1.0, self.rate * self._burst_s) if known else 1.0
        if (interval, burst) != (self.pacer.interval_s, self.pacer.burst):
            self.pacer.change(interval, burst, now)
