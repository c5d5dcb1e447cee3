"""What agents, providers and tenants have spent, and what they have reserved. Pure integers.

A claim is a limit on what all calls of one of them may cost in a day or a month. A call fits if
``spent + reserved + its worst case <= limit`` for every claim; if it only does not fit because of
what others have reserved, it may fit when they have settled.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runtime.journal.calls import CallRow

Subject: TypeAlias = Literal["agent", "provider", "tenant"]
SUBJECTS: tuple[Subject, ...] = ("agent", "provider", "tenant")


class Scope(NamedTuple):
    """Whose calls, in which days.

    Attributes:
        subject: what kind of name it is.
        name: the agent, provider or tenant.
        first_day: the first day, ``YYYY-MM-DD``, UTC.
        last_day: the last one.
    """

    subject: Subject
    name: str
    first_day: str
    last_day: str

    def __str__(self) -> str:
        one = self.first_day == self.last_day
        return f"{self.subject} {self.name}, {self.first_day if one else self.first_day[:7]}"


class Claim(NamedTuple):
    """What all calls of a scope may cost.

    Attributes:
        scope: which calls.
        limit: nano-USD.
        source: who says so.
    """

    scope: Scope
    limit: int
    source: str


class Balance(NamedTuple):
    """What a scope has spent and reserved, in nano-USD."""

    spent: int
    reserved: int


class Shortfall(NamedTuple):
    """A claim that a call does not fit into.

    Attributes:
        claim: the claim.
        spent: nano-USD that are spent.
        reserved: nano-USD that are reserved.
        needed: nano-USD that the call may cost.
    """

    claim: Claim
    spent: int
    reserved: int
    needed: int

    @property
    def may_pass(self) -> bool:
        """Whether it fits once others have settled."""
        return self.reserved > 0 and self.spent + self.needed <= self.claim.limit


def scope_of(subject: Subject, name: str, window: Literal["day", "month"], day: str) -> Scope:
    """Return the scope of a window that a day is in."""
    if window == "day":
        return Scope(subject, name, day, day)
    year, month, _ = map(int, day.split("-"))
    last = date(year, month, monthrange(year, month)[1])
    return Scope(subject, name, last.replace(day=1).isoformat(), last.isoformat())


class Ledger:
    """Balances as one transaction sees them: what is stored, and what has changed since.

    Args:
        stored: the balance of a scope before the changes.
    """

    def __init__(self, stored: Callable[[Scope], Balance]) -> None:
        self._stored = stored
        self._balances: dict[Scope, Balance] = {}
        self._changes: list[tuple[CallRow, int, int]] = []

    def shortfall(self, claims: Iterable[Claim], needed: int) -> Shortfall | None:
        """Return the first claim that a call does not fit into; one that cannot pass goes first."""
        short = []
        for claim in claims:
            spent, reserved = self.balance(claim.scope)
            if spent + reserved + needed > claim.limit:
                short.append(Shortfall(claim, spent, reserved, needed))
        return min(short, key=lambda each: each.may_pass, default=None)

    def balance(self, scope: Scope) -> Balance:
        """Return what a scope has spent and reserved by now."""
        if scope not in self._balances:
            balance = self._stored(scope)
            for row, spent, reserved in self._changes:
                balance = _changed(balance, scope, row, spent, reserved)
            self._balances[scope] = balance
        return self._balances[scope]

    def change(self, row: CallRow, *, spent: int = 0, reserved: int = 0) -> None:
        """Note that a call has spent or reserved so much more, or less."""
        self._changes.append((row, spent, reserved))
        for scope, balance in self._balances.items():
            self._balances[scope] = _changed(balance, scope, row, spent, reserved)


def _changed(balance: Balance, scope: Scope, row: CallRow, spent: int, reserved: int) -> Balance:
    inside = scope.first_day <= row.day <= scope.last_day
    if not inside or getattr(row, scope.subject) != scope.name:
        return balance
    return Balance(balance.spent + spent, balance.reserved + reserved)
