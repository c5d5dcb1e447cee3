"""What the written record lets an authority grant: it writes first, then grants, as a till roll.

A proposal covers what is soon to be granted. Once it is written, all of it may be granted but what
was granted while it was being written; until then what is left of the one before it.
"""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import TYPE_CHECKING

from providers.cluster.amount import NOTHING, Amount

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from providers.admission.reservations import Reservations
    from providers.cluster.standing import Standing

PLENTY = 8  # times as many places as calls that are wanted: then a record may cover so much
RECORD_S, CLOSE_RECORD_S = 1.5, 0.25  # what the limits give in so long, with plenty and without


class Cover:
    """What may still be granted, in all and to each node.

    Attributes:
        short: whether something could be granted that nothing covers.
    """

    def __init__(self) -> None:
        self.short = False
        self._left = NOTHING
        self._rooms: Mapping[str, int] = {}
        self._proposed: tuple[Amount, Mapping[str, int]] = NOTHING, {}
        self._granted = NOTHING  # since the proposal
        self._granted_to: Counter[str] = Counter()  # since the rooms that are written
        self._granted_since: Counter[str] = Counter()  # since the proposal

    def allows(self, node: str, portion: Amount) -> bool:
        """Return whether a portion may be granted to a node; if not, it is short."""
        room = self._rooms.get(node, 0) - self._granted_to[node]
        if room >= portion.requests and self._left.covers(portion):
            return True
        self.short = True
        return False

    def take(self, node: str, portion: Amount) -> None:
        """Grant a portion."""
        self._left = self._left.minus(portion)
        self._granted = self._granted.plus(portion)
        self._granted_to[node] += portion.requests
        self._granted_since[node] += portion.requests

    def propose(self, amount: Amount, rooms: Mapping[str, int]) -> None:
        """Note what a record covers that is about to be written.

        Args:
            amount: in all.
            rooms: requests to each node.
        """
        self._proposed = amount, rooms
        self._granted = NOTHING
        self._granted_since = Counter()

    def written(self) -> None:
        """Go by what was proposed last."""
        amount, self._rooms = self._proposed
        self._left = amount.minus(self._granted)
        self._granted_to = Counter(self._granted_since)
        self.short = False


def soon(
    standings: Collection[Standing], reservations: Reservations, free: int, now: float
) -> tuple[Amount, dict[str, int]]:
    """Return what a record has to cover: what is granted within a second or so, and the next calls.

    What it covers counts as used for whoever takes over, and as in flight on each node until that
    has reported; a node that has died keeps it for as long as a call may last. So it covers little
    where places are scarce, and is written more often.

    Args:
        standings: the nodes.
        reservations: the limits.
        free: how many more calls may be in flight.
        now: the instant.

    Returns:
        How much in all, and how many requests to each node.
    """
    wanting = [each for each in standings if each.wants != NOTHING]
    total = head = NOTHING
    for each in wanting:
        total = total.plus(each.wants)
        head = Amount(*map(max, head, each.next_portion()[0]))
    calls = max(1, total.requests)
    if free > PLENTY * calls:
        part = min(PLENTY, reservations.share_of(total, RECORD_S))
    else:
        part = min(1, free / calls, reservations.share_of(total, CLOSE_RECORD_S))
    advance = total.times(max(0.0, part)).plus(head)
    rooms = {each.node: ceil(advance.requests / calls * each.wants.requests) for each in wanting}
    for each in standings if free > PLENTY * calls else ():
        lately = each.rate.of(RECORD_S, now)
        advance = advance.plus(lately)
        rooms[each.node] = rooms.get(each.node, 0) + lately.requests
    return advance, rooms
