"""A budget: ``spent + reserved <= limit`` at every instant, at any concurrency. Pure integers.

The worst case of a call is reserved before it and settled after it. A call that fits only when
others have settled is told to wait for them (None); one that cannot fit any more is refused.
"""

from __future__ import annotations

from runtime.errors import BudgetExceeded
from runtime.governance.cost import dollars


class Budget:
    """What one run may spend, in nano-USD.

    Attributes:
        limit: the most; None for no limit.
        spent: what was settled.
        reserved: the worst cases of calls that are under way.
        source: who set the limit, for the error's text.
    """

    __slots__ = ("limit", "reserved", "source", "spent")

    def __init__(self, limit: int | None, source: str = "") -> None:
        self.limit = limit
        self.spent = 0
        self.reserved = 0
        self.source = source

    def __repr__(self) -> str:
        limit = "none" if self.limit is None else f"${dollars(self.limit)}"
        return (
            f"<Budget {limit} [${dollars(self.spent)} spent, ${dollars(self.reserved)} reserved]>"
        )

    @property
    def left(self) -> int | None:
        """What is neither spent nor reserved; None without a limit."""
        return None if self.limit is None else self.limit - self.spent - self.reserved

    def reserve(self, amount: int) -> bool:
        """Reserve ``amount``; return False when it fits only if others settle lower.

        Raises:
            BudgetExceeded: it does not fit whatever the others settle at.
        """
        if self.limit is None or self.spent + self.reserved + amount <= self.limit:
            self.reserved += amount
            return True
        if self.reserved == 0:
            raise self._exceeded(self.limit, amount)
        self.check(amount)
        return False

    def check(self, amount: int) -> None:
        """Refuse what cannot fit any more.

        Raises:
            BudgetExceeded: it does not fit whatever calls under way settle at.
        """
        if self.limit is not None and self.spent + amount > self.limit:
            raise self._exceeded(self.limit, amount)

    def _exceeded(self, limit: int, amount: int) -> BudgetExceeded:
        return exceeded(
            "run",
            self.source,
            limit=limit,
            spent=self.spent,
            reserved=self.reserved,
            needed=amount,
        )

    def settle(self, reserved: int, actual: int) -> None:
        """Replace a reservation by what was really spent."""
        self.reserved -= reserved
        self.spent += actual


def exceeded(
    scope: str, source: str, *, limit: int, spent: int, reserved: int, needed: int
) -> BudgetExceeded:
    """Return the error of a call that does not fit, all amounts in nano-USD.

    Args:
        scope: whose budget it is.
        source: who set it; empty where that goes without saying.
        limit: what may be spent.
        spent: what is.
        reserved: what calls under way may come to.
        needed: what the call may cost.
    """
    owner = "the run's budget" if scope == "run" else f"the budget of {scope}"
    said = f" ({source})" if source else ""
    under_way = f", ${dollars(reserved)} is reserved" if reserved else ""
    return BudgetExceeded(
        f"{owner} is ${dollars(limit)}{said}, ${dollars(spent)} is spent{under_way}, and the next"
        f" call may cost ${dollars(needed)}",
        scope=scope,
        limit=limit,
        spent=spent,
        reserved=reserved,
        needed=needed,
    )
