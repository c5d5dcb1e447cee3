"""So many requests with so many tokens."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

SLACK = 1e-6  # products of floats are not exact; a millionth of a token is none


class Amount(NamedTuple):
    """What is wanted, granted or used.

    Attributes:
        requests: how many calls.
        tokens_in: their prompt tokens.
        tokens_out: their answer tokens.
    """

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def plus(self, other: Amount) -> Amount:
        """Return the sum."""
        return Amount(
            self.requests + other.requests,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
        )

    def minus(self, other: Amount) -> Amount:
        """Return the difference, which may be negative."""
        return Amount(
            self.requests - other.requests,
            self.tokens_in - other.tokens_in,
            self.tokens_out - other.tokens_out,
        )

    def times(self, factor: float) -> Amount:
        """Return a multiple, rounded up."""
        return Amount(*(ceil(mine * factor - SLACK) for mine in self))

    def lacks(self, other: Amount) -> Amount:
        """Return what is missing from it to cover another amount."""
        return Amount(*(max(0, theirs - mine) for mine, theirs in zip(self, other, strict=True)))

    def covers(self, other: Amount) -> bool:
        """Return whether it is at least as much in everything."""
        return (
            self.requests >= other.requests
            and self.tokens_in >= other.tokens_in
            and self.tokens_out >= other.tokens_out
        )


NOTHING = Amount()
