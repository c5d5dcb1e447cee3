"""A limit group whose limits are an authority's: its calls go out as its lease has them.

What only the server's rejections teach (how many at once, at what pace) stays the node's own, as
flows that share a link learn their parts of it; what the server *says* (a pause) is told to all.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

from providers.admission import LimitGroup
from providers.admission.fair_queue import FairQueue
from providers.cluster.amount import NOTHING, Amount
from providers.cluster.lease import Lease, amount_of
from providers.cluster.messages import Wish
from providers.cluster.rate import StartRate

if TYPE_CHECKING:
    from collections.abc import Callable

    from providers.admission import Kind, RateHeaders, Ticket
    from runtime.messages import Limits

MOST_NAMED = 64  # runs that a report names; of the others it has the weight


class Needs(NamedTuple):
    """What a group lacks.

    Attributes:
        head: for the next call that waits; only tokens, where it has a request.
        rest: for those that could start after it.
        ahead: for those that will come, by the rate of the last second.
        at: when to ask again, as nothing may start before; infinity when only an event helps.
    """

    head: Amount = NOTHING
    rest: Amount = NOTHING
    ahead: Amount = NOTHING
    at: float = inf


class NodesQueue(FairQueue):
    """Who is next on this node: a run that waits on three nodes counts for a third on each."""

    def __init__(self, limits: Limits, lease: Lease) -> None:
        super().__init__(limits.max_queue, limits.max_queue_per_run)
        self._lease = lease

    def take(self, ticket: Ticket) -> None:
        """Remove the head, because it goes out; see ``FairQueue``."""
        ticket.weight /= self._lease.spread.get(ticket.run_id, 1)
        super().take(ticket)


class LeasedGroup(LimitGroup):
    """Admits calls in fair order, within what it was granted.

    Args:
        name: for messages, and at the authority.
        model: one of its models.
        limits: what is known of the limits, and the bounds of this process.
        max_pause_s: a pause longer than that makes the group unavailable instead.
        draw: gives random numbers in [0, 1).

    Attributes:
        lease: what it was granted.
        on_change: called when something changes that the authority may have to know before it
            is told more anyway; it is not yet done then.
        on_pause: called with the seconds of each pause that begins here or grows, and the instant.
    """

    def __init__(
        self,
        name: str,
        model: str,
        limits: Limits,
        *,
        max_pause_s: float,
        draw: Callable[[], float],
    ) -> None:
        super().__init__(name, limits, max_pause_s=max_pause_s, draw=draw)
        self.lease = Lease(limits)
        self.on_pause: Callable[[float, float], None] = lambda *_: None
        self.on_change: Callable[[], None] = lambda: None
        self._reservations = self.lease
        self._queue = NodesQueue(limits, self.lease)
        self._model = model
        self._asks = NOTHING
        self._rate = StartRate()
        self._reported_out = 0
        self._low = 0

    def enqueue(self, ticket: Ticket, now: float) -> None:
        """Let a call wait for its turn; see ``LimitGroup``."""
        super().enqueue(ticket, now)
        self._asks = self._asks.plus(amount_of(ticket))

    def start_at_once(self, ticket: Ticket, now: float) -> bool:
        """Let a call out that comes now, if it may go out; see ``LimitGroup``."""
        started = super().start_at_once(ticket, now)
        if started and self.lease.held.requests < self._low:
            self.on_change()
        return started

    def start(self, now: float) -> list[Ticket]:
        """Let out every call that may go out now; see ``LimitGroup``."""
        started = super().start(now)
        for ticket in started:
            self._asks = self._asks.minus(amount_of(ticket))
        self.on_change()
        return started

    def withdraw(self, ticket: Ticket, now: float) -> None:
        """Forget a call that gave up waiting."""
        if ticket in self._queue:
            self._asks = self._asks.minus(amount_of(ticket))
        super().withdraw(ticket, now)

    def rejected(self, ticket: Ticket, now: float, *, hint: float | None, kind: Kind) -> None:
        """Settle a call that the server refused to take, and pause on all nodes."""
        before = self.paused_until
        super().rejected(ticket, now, hint=hint, kind=kind)
        self._tell(before, now)

    def failed(self, ticket: Ticket, now: float) -> None:
        """Settle a call of which nobody knows what the server made of it."""
        super().failed(ticket, now)
        self.lease.forget(ticket)

    def observe(self, headers: RateHeaders, sent_order: int, now: float) -> None:
        """Keep an answer's header fields for the authority; obey a pause in them."""
        before = self.paused_until
        super().observe(headers, sent_order, now)
        self._tell(before, now)

    def after_crash(self, now: float) -> None:
        """Forget who waits and who is in flight."""
        super().after_crash(now)
        self.lease.forget_all()
        self._asks = NOTHING

    def pause(self, seconds: float, now: float) -> None:
        """Pause for as long as another node was told to."""
        now = self._move_to(now)
        self._adaptation.pause.impose(seconds, now)

    # --- for the member --------------------------------------------------------------------------

    @property
    def has_news(self) -> bool:
        """Whether the authority does not know what was used, or that a place is free again."""
        return self.lease.has_news or self._out < self._reported_out

    @property
    def _out(self) -> int:
        return len(self._in_flight) + self.lease.held.requests

    def needs(self, ahead_s: float, now: float) -> Needs:
        """Return what it lacks.

        Args:
            ahead_s: for how many seconds to have a stock.
            now: the instant.
        """
        now = self._move_to(now)
        held, head = self.lease.held, self._queue.head()
        ahead = held.lacks(self._rate.of(ahead_s, now))
        if head is None:
            return Needs(ahead=ahead)
        opens = self._adaptation.opens(len(self._in_flight))
        if opens > now:
            return Needs(ahead=ahead, at=opens)
        able = min(self._asks.requests, self._adaptation.concurrency.most - len(self._in_flight))
        average = self._asks.times(1 / self._asks.requests)
        lacks = held.lacks(amount_of(head))
        rest = average.times(max(0, able - held.requests - lacks.requests))
        return Needs(lacks, rest, ahead)

    def wish(self, number: int, ahead_s: float, now: float) -> Wish:
        """Return what a report of that number says of this group."""
        needs = self.needs(ahead_s, now)
        waiting = list(self._queue.by_run) if needs.head != NOTHING else []
        uses, told = self.lease.report(number)
        self._reported_out = self._out
        self._low = (self.lease.held.requests + needs.ahead.requests) // 2
        return Wish(
            self._model,
            needs.head,
            needs.rest,
            needs.ahead,
            in_flight=len(self._in_flight),
            held=self.lease.held.requests,
            runs=dict.fromkeys(waiting[:MOST_NAMED], 1.0),
            weight=float(len(waiting[MOST_NAMED:])),
            uses=uses,
            told=told,
        )

    def _go(self, ticket: Ticket, now: float) -> None:
        self._rate.add(amount_of(ticket), now)
        super()._go(ticket, now)

    def _leaves(self, ticket: Ticket) -> bool:
        leaves = super()._leaves(ticket)
        if self._queue or not self.has_news:
            self.on_change()
        return leaves

    def _tell(self, before: float, now: float) -> None:
        if self.paused_until > max(before, now):
            self.on_pause(self.paused_until - now, now)
