"""What a node may start of one limit group without asking: grants, each good for a short time.

A *stock* is a grant with what is left of it. Calls draw from the stocks that end first. What a
stock *counts for* at the authority is what was drawn from it and, while it is open, what is left:
so it shrinks when calls used less than they reserved, and when it ends unused. Every change is
*news* until the authority has answered a report that had it.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from providers.admission.reservations import Reservations
from providers.cluster.amount import NOTHING, Amount

if TYPE_CHECKING:
    from collections.abc import Mapping

    from providers.admission.headers import RateHeaders
    from providers.admission.ticket import Ticket
    from runtime.messages import Limits


class Stock:
    """One grant.

    Attributes:
        number: of the reply that it came with.
        until: when it ends, in the node's seconds.
        left: what may still be drawn; nothing once it has ended.
        drawn: what its calls count for.
    """

    __slots__ = ("drawn", "left", "number", "until")

    def __init__(self, number: int, amount: Amount, until: float) -> None:
        self.number = number
        self.until = until
        self.left = amount
        self.drawn = NOTHING

    @property
    def counts(self) -> Amount:
        """What it counts for."""
        return self.drawn.plus(self.left)


class Lease(Reservations):
    """The stocks of one limit group, in place of its own windows; these only count what it used.

    Attributes:
        held: what may be started without a further grant.
        spread: on how many nodes a run waits, where that is more than one.
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self.spread: Mapping[str, int] = {}
        self.held = NOTHING
        self._stocks: deque[Stock] = deque()  # those that are open, in the order of their ends
        self._news: dict[int, Stock] = {}
        self._reported: dict[int, int] = {}
        self._draws: dict[Ticket, list[tuple[Stock, Amount]]] = {}
        self._told: RateHeaders | None = None

    # --- what the group asks of it ---------------------------------------------------------------

    def expire(self, now: float) -> None:
        """Let go of grants that have ended."""
        super().expire(now)
        while self._stocks and self._stocks[0].until <= now:
            self._close(self._stocks.popleft())

    def opens(self, ticket: Ticket, now: float) -> float:
        """Return whether a call may start: at once, or only after a further grant."""
        del now
        return -inf if self.held.covers(amount_of(ticket)) else inf

    def opens_for_any(self, now: float) -> float:
        """Return when there may be room for the smallest call; nobody here knows, so: now."""
        del now
        return -inf

    def take(self, ticket: Ticket, now: float) -> None:
        """Draw a call that goes out; what the stocks count for stays the same."""
        super().take(ticket, now)
        lacks = amount_of(ticket)
        self.held = self.held.minus(lacks)
        draws = self._draws[ticket] = []
        for stock in self._stocks:
            share = Amount(*map(min, stock.left, lacks))
            if share != NOTHING:
                stock.left = stock.left.minus(share)
                stock.drawn = stock.drawn.plus(share)
                lacks = lacks.minus(share)
                draws.append((stock, share))

    def settle(self, ticket: Ticket, tokens_in: int, tokens_out: int, requests: int = 1) -> None:
        """Charge a call with what it used in the end, each stock with no more than its share.

        What it used beyond its reservation goes to the stock that counts longest.
        """
        super().settle(ticket, tokens_in, tokens_out, requests)
        draws = self._draws.pop(ticket, None)
        if not draws:
            return
        used = Amount(requests, tokens_in, tokens_out)
        for stock, share in draws:
            kept = Amount(*map(min, share, used))
            used = used.minus(kept)
            if kept != share:
                stock.drawn = stock.drawn.minus(share.minus(kept))
                self._note(stock)
        if used != NOTHING:
            last = draws[-1][0]
            last.drawn = last.drawn.plus(used)
            self._note(last)

    def forget(self, ticket: Ticket) -> None:
        """Leave a call charged with what was reserved for it."""
        self._draws.pop(ticket, None)

    def forget_all(self) -> None:
        """Leave all calls charged so: they died with their actor."""
        self._draws.clear()

    def hear(self, headers: RateHeaders, now: float) -> None:
        """Keep what the server says of its limits for the authority, who knows what all use."""
        del now
        self._told = headers

    # --- what the member asks of it --------------------------------------------------------------

    @property
    def has_news(self) -> bool:
        """Whether the authority does not know all of it."""
        return bool(self._news)

    @property
    def ends_at(self) -> float:
        """When the first grant ends of which something is left; infinity when there is none."""
        return next((stock.until for stock in self._stocks if stock.left != NOTHING), inf)

    def add(self, number: int, amount: Amount, until: float, now: float) -> None:
        """Take a grant; one that has ended on its way is only reported."""
        if amount == NOTHING:
            return
        stock = Stock(number, amount, until)
        self.held = self.held.plus(amount)
        self._note(stock)
        if until <= now:
            self._close(stock)
            return
        self._stocks.append(stock)
        if len(self._stocks) > 1 and self._stocks[-2].until > until:
            self._stocks = deque(sorted(self._stocks, key=lambda each: each.until))

    def report(self, number: int) -> tuple[dict[int, Amount], RateHeaders | None]:
        """Return the news for a report of that number, and what the server told last."""
        for grant in self._news:
            self._reported[grant] = number
        told, self._told = self._told, None
        return {grant: stock.counts for grant, stock in self._news.items()}, told

    def answered(self, number: int) -> None:
        """Forget the news that the authority has had since a report of that number."""
        known = [grant for grant, reported in self._reported.items() if reported <= number]
        for grant in known:
            del self._reported[grant]
            self._news.pop(grant, None)

    def end(self) -> None:
        """End all grants now; what is left of them is given back by the next report."""
        while self._stocks:
            self._close(self._stocks.popleft())

    def void(self) -> None:
        """Forget all grants: they were of an authority that is none any more."""
        for stock in self._stocks:
            stock.left = NOTHING
        self._stocks.clear()
        self.held = NOTHING
        self._news.clear()
        self._reported.clear()
        self._draws.clear()

    def _close(self, stock: Stock) -> None:
        if stock.left != NOTHING:
            self.held = self.held.minus(stock.left)
            stock.left = NOTHING
            self._note(stock)

    def _note(self, stock: Stock) -> None:
        self._news[stock.number] = stock
        self._reported.pop(stock.number, None)  # it has changed since


def amount_of(ticket: Ticket) -> Amount:
    """Return what a call reserves."""
    return Amount(1, ticket.tokens_in, ticket.tokens_out)
