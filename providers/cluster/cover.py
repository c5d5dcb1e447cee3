"""What the written record lets an authority grant: it writes first, then grants, as a till roll.

A proposal covers what is soon to be granted. Once it is written, all of it may be granted but what
was granted while it was being written; until then what is left of the one before it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from providers.cluster.amount import NOTHING, Amount

if TYPE_CHECKING:
    from collections.abc import Mapping


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
