"""What one node has of one limit group, as far as the authority knows, and what it waits for."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from providers.admission import Ticket
from providers.cluster.amount import NOTHING, Amount
from providers.cluster.messages import Wish
from providers.cluster.rate import StartRate

if TYPE_CHECKING:
    from providers.admission.reservations import Charges

VOID_S = 1.5  # a wish that was not said again for so long is none any more


class Given(NamedTuple):
    """A grant, as it counts now.

    Attributes:
        amount: what it counts for.
        charges: what it holds in the minute's log and in the day's.
        until: when it ends, and with it the time in which its calls may start.
    """

    amount: Amount
    charges: Charges
    until: float


class Standing:
    """One node in one limit group.

    Args:
        node: who.
        now: the instant.
        out: what another authority may have let it have in flight.

    Attributes:
        node: who.
        pending: what it was granted and is not told yet; None for nothing.
        heard_at: when it reported last.
        rate: how much it was granted lately.
        ticket: its place among those who wait, or among those who want some ahead.
    """

    def __init__(self, node: str, now: float, out: int = 0) -> None:
        self.node = node
        self.pending: Given | None = None
        self.heard_at = now
        self.ticket = Ticket(node, 0, 0, arrived=now)
        self.rate = StartRate()
        self._wish = Wish("")
        self._reported_out = out
        self._inherited = out
        self._given: dict[int, Given] = {}
        self._unheard: dict[int, int] = {}
        self._last_until = now

    @property
    def out(self) -> int:
        """The most calls that it may have in flight, or may still start."""
        pending = 0 if self.pending is None else self.pending.amount.requests
        return self._reported_out + sum(self._unheard.values()) + pending

    @property
    def wants(self) -> Amount:
        """All that it wants and was not granted."""
        return self._wish.head.plus(self._wish.rest).plus(self._wish.ahead)

    def hear(self, wish: Wish, heard: float | None, now: float) -> list[tuple[Given, Amount]]:
        """Take a report.

        Args:
            wish: what it says.
            heard: the number of the last reply of this authority that the node has heard; None
                when it has not heard of it: then it may still hear of a former one; infinity when
                it heeds no more of them.
            now: the instant.

        Returns:
            Grants that count for something else now, as they were, and what they count for.
        """
        self._wish, self.heard_at = wish, now
        self._reported_out = wish.in_flight + wish.held
        if heard is None:
            self._reported_out = max(self._reported_out, self._inherited)
            return []
        self._inherited = 0
        changes = {}
        for number in [each for each in self._unheard if each <= heard]:
            del self._unheard[number]
            changes[number] = NOTHING  # unless it says so, it is lost: a later one was heard
        changes |= wish.uses
        return [self._change(*each) for each in changes.items() if each[0] in self._given]

    def grant(self, portion: Amount, charges: Charges, until: float, now: float) -> None:
        """Add a portion to what is pending."""
        self.rate.add(portion, now)
        amount = portion if self.pending is None else self.pending.amount.plus(portion)
        self.pending = Given(amount, charges, until)
        head, rest, ahead = self._wish.head, self._wish.rest, self._wish.ahead
        if head != NOTHING:
            head = NOTHING
        elif rest.requests:
            rest = portion.lacks(rest)
        else:
            ahead = portion.lacks(ahead)
        self._wish = replace(self._wish, head=head, rest=rest, ahead=ahead)

    def tell(self, number: int) -> Given | None:
        """Return what is pending, as granted by the reply of that number."""
        given, self.pending = self.pending, None
        if given is not None:
            self._forget()
            self._given[number] = given
            self._unheard[number] = given.amount.requests
            self._last_until = given.until
        return given

    def next_portion(self) -> tuple[Amount, bool]:
        """Return what to grant it next, a call's worth, and whether it is only ahead of need."""
        wish = self._wish
        if wish.head != NOTHING:
            return wish.head, False
        waits = wish.rest.requests > 0
        return _one_of(wish.rest if waits else wish.ahead), not waits

    def over_at(self, longest_s: float) -> float:
        """Return when nothing of it can be in flight any more, if it stays silent."""
        return max(self._last_until, self.heard_at) + longest_s if self.out else -inf

    def _change(self, number: int, counts: Amount) -> tuple[Given, Amount]:
        former = self._given[number]
        self._given[number] = former._replace(amount=counts)
        return former, counts

    def _forget(self) -> None:
        """Forget grants that have left the minute, and with it all that a correction could free."""
        while self._given:
            oldest = next(iter(self._given))
            if self._given[oldest].charges[0].counted:
                return
            del self._given[oldest]


def _one_of(amount: Amount) -> Amount:
    return amount.times(1 / amount.requests) if amount.requests else NOTHING
