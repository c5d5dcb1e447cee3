"""What one account may do with one group of models, and which of its calls go out now.

Every condition is an instant at which it may hold (``opens``): a call goes out when the latest of
them has come, and that same instant is when to ask again. Infinity waits for a settlement.

What becomes of a call settles what it holds:

=============  ==========================  =====================================================
``succeeded``  tokens := what it used      concurrency and pace may grow
``rejected``   tokens := 0                 the request stays charged: the server counted it
``failed``     all of it stays             until it leaves the window, as nobody knows its fate
``unsent``     request and tokens go back  it never reached the server
=============  ==========================  =====================================================

Settling what was settled, or what was in flight before a crash, has no effect.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from providers.admission.adaptation import Adaptation
from providers.admission.fair_queue import FairQueue
from providers.admission.reservations import Reservations
from providers.admission.statistics import GroupStatistics
from runtime.errors import RequestTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.admission.headers import RateHeaders
    from providers.admission.pause import Kind
    from providers.admission.ticket import Ticket
    from runtime.messages import HeldBy, Limits


class LimitGroup:
    """Admits calls in fair order, within all limits.

    Instants are seconds of one monotonic clock, the caller's. One that goes back stands still here.

    Attributes:
        name: for messages.
    """

    def __init__(
        self, name: str, limits: Limits, *, max_pause_s: float, draw: Callable[[], float]
    ) -> None:
        """Begin without any use.

        Args:
            name: for messages.
            limits: what is known of the limits, and the bounds of this process.
            max_pause_s: a pause longer than that makes the group unavailable instead.
            draw: gives random numbers in [0, 1).
        """
        self.name = name
        self._queue = FairQueue(limits.max_queue, limits.max_queue_per_run)
        self._reservations = Reservations(limits)
        self._adaptation = Adaptation(limits, max_pause_s, draw)
        self._in_flight: set[Ticket] = set()
        self._now = -inf
        self._orders = 0
        self._heard_order = 0

    def __repr__(self) -> str:
        adaptation = self._adaptation
        return (
            f"<LimitGroup {self.name}: {len(self._in_flight)} in flight of"
            f" {adaptation.concurrency.most}, {len(self._queue)} queued,"
            f" epoch {adaptation.epoch.number}>"
        )

    @property
    def unavailable_until(self) -> float:
        """The end of a pause that is too long to wait for; in the past when there is none."""
        return self._adaptation.pause.unavailable_until

    @property
    def paused_until(self) -> float:
        """The end of the pause that nothing goes out in, too long a one included; only grows."""
        return self._adaptation.pause.over_at

    # --- before a call -------------------------------------------------------------------------

    def start_at_once(self, ticket: Ticket, now: float) -> bool:
        """Let a call out that comes now, if nobody waits before it and it may go out.

        It is what ``enqueue`` and ``start`` come to then, without a queue.

        Returns:
            Whether it is in flight; else it has still to be queued.
        """
        if self._queue or ticket in self._in_flight:
            return False
        now = self._move_to(now)
        if self._reservations.too_small(ticket) is not None or self._opens(ticket, now) > now:
            return False
        self._go(ticket, now)
        return True

    def enqueue(self, ticket: Ticket, now: float) -> None:
        """Let a call wait for its turn.

        Raises:
            RequestTooLarge: it alone is larger than a limit.
            QueueFull: as many wait as may, of its run or in all.
            ValueError: it waits already, or is in flight.
        """
        self._move_to(now)
        if ticket in self._in_flight or ticket in self._queue:
            raise ValueError(f"{self.name}: a call waits once, and not while it is out: {ticket}")
        window = self._reservations.too_small(ticket)
        if window is not None:
            needs = window.dimension.amount_of(ticket)
            raise RequestTooLarge(
                f"{self.name}: one call needs {needs} of {window.dimension.name},"
                f" whose limit is {window.limit:g}"
            )
        self._queue.add(ticket)

    def start(self, now: float) -> list[Ticket]:
        """Let out every call that may go out now, in fair order; each is in flight from now on."""
        now = self._move_to(now)
        started: list[Ticket] = []
        while (ticket := self._queue.head()) is not None and self._opens(ticket, now) <= now:
            self._queue.take(ticket)
            self._go(ticket, now)
            started.append(ticket)
        return started

    def next_start(self, now: float) -> float | None:
        """Return the earliest instant at which ``start`` may let out more, if nothing happens.

        Returns:
            An instant, or None when nothing waits or only a settlement helps.
        """
        now = self._move_to(now)
        ticket = self._queue.head()
        opens = inf if ticket is None else self._opens(ticket, now)
        return None if opens == inf else max(opens, now)

    def earliest_start(self, now: float) -> float:
        """Return an instant before which no call that comes now can go out."""
        now = self._move_to(now)
        return max(
            now,
            self._reservations.opens_for_any(now),
            self._adaptation.pause.over_at,
            self._adaptation.pace.ready_at(),
        )

    def held_by(self, ticket: Ticket, now: float) -> HeldBy:
        """Return what a call that comes now has to wait for, most of all; ``queue`` if nothing."""
        now = self._move_to(now)
        first, adaptation = self._queue.head() or ticket, self._adaptation
        if adaptation.pause.over_at > now:
            return "pause"
        if adaptation.concurrency.opens(len(self._in_flight)) > now:
            return "concurrency"
        if self._reservations.opens(first, now) > now:
            return "limits"
        return "pace" if adaptation.pace.ready_at() > now else "queue"

    def withdraw(self, ticket: Ticket, now: float) -> None:
        """Forget a call that gave up waiting; without effect on one that does not wait."""
        self._move_to(now)
        self._queue.remove(ticket)

    # --- after a call --------------------------------------------------------------------------

    def succeeded(self, ticket: Ticket, tokens_in: int, tokens_out: int, now: float) -> None:
        """Settle a call that was answered.

        Args:
            ticket: the call.
            tokens_in: the prompt tokens that the server counts against its limit.
            tokens_out: the answer tokens.
            now: the instant.
        """
        now = self._move_to(now)
        if self._leaves(ticket):
            self._reservations.settle(ticket, tokens_in, tokens_out)
            self._adaptation.succeeded(ticket, len(self._in_flight) + 1, now)

    def unsent(self, ticket: Ticket, now: float) -> None:
        """Give back all that a call holds which never reached the server."""
        self._move_to(now)
        if self._leaves(ticket):
            self._reservations.settle(ticket, 0, 0, requests=0)
            self._adaptation.unsent(ticket)

    def rejected(self, ticket: Ticket, now: float, *, hint: float | None, kind: Kind) -> None:
        """Settle a call that the server refused to take, and pause for all.

        Args:
            ticket: the call.
            now: the instant.
            hint: the seconds that the server asks to wait; None when it does not say.
            kind: why it refused.
        """
        now = self._move_to(now)
        if self._leaves(ticket):
            self._reservations.settle(ticket, 0, 0)
            self._adaptation.rejected(ticket, now, hint, kind, self._reservations.rate)

    def failed(self, ticket: Ticket, now: float) -> None:
        """Settle a call of which nobody knows what the server made of it."""
        self._move_to(now)
        self._leaves(ticket)

    def observe(self, headers: RateHeaders, sent_order: int, now: float) -> None:
        """Adapt to an answer's header fields, unless a call that was sent later was heard before.

        Args:
            headers: what they say.
            sent_order: the ``order`` of the call that was answered.
            now: the instant.
        """
        now = self._move_to(now)
        if sent_order < self._heard_order:
            return
        self._heard_order = sent_order
        self._reservations.hear(headers, now)
        if headers.exhausted_s is not None:
            self._adaptation.pause.obey(headers.exhausted_s, now)

    def after_crash(self, now: float) -> None:
        """Forget who waits and who is in flight; what was charged, learned and paused stays."""
        self._move_to(now)
        self._queue.clear()
        self._in_flight.clear()

    def statistics(self, now: float) -> GroupStatistics:
        """Return what this group looks like now."""
        self._move_to(now)
        reservations, adaptation = self._reservations, self._adaptation
        return GroupStatistics(
            limits=reservations.capacities,
            in_flight=len(self._in_flight),
            concurrency=adaptation.concurrency.most,
            queued=len(self._queue),
            queued_by_run=self._queue.by_run,
            paused_until=adaptation.pause.until,
            unavailable_until=adaptation.pause.unavailable_until,
            pace_s=max(reservations.pacer.interval_s, adaptation.pace.interval_s),
            charged_requests=reservations.minute.requests,
            charged_tokens_in=reservations.minute.tokens_in,
            charged_tokens_out=reservations.minute.tokens_out,
            charged_requests_day=reservations.day.requests,
            log_length=len(reservations.minute),
            epochs=adaptation.epoch.number,
        )

    def _move_to(self, now: float) -> float:
        self._now = max(self._now, now)
        self._reservations.expire(self._now)
        return self._now

    def _opens(self, ticket: Ticket, now: float) -> float:
        return max(
            self._adaptation.opens(len(self._in_flight)), self._reservations.opens(ticket, now)
        )

    def _go(self, ticket: Ticket, now: float) -> None:
        self._in_flight.add(ticket)
        self._orders += 1
        ticket.order = self._orders
        self._reservations.take(ticket, now)
        self._adaptation.started(ticket, now)

    def _leaves(self, ticket: Ticket) -> bool:
        if ticket not in self._in_flight:
            return False
        self._in_flight.remove(ticket)
        return True
