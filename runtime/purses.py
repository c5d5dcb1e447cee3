"""The budget of a run whose parts are done on several nodes: one ledger, at the run's home.

A guest asks the home before each call that costs something, and tells what it came to. What a guest
was granted and has not settled counts as spent when its branch ends, or another guest has that: it
may have been.
"""

from __future__ import annotations

from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import anyio

from runtime.errors import BudgetExceeded
from runtime.governance.budget import Budget
from runtime.invocations.reservation import reserve
from runtime.journal import JournalFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from runtime.journal import Branch
    from runtime.run import Run

GONE: Mapping[str, Any] = MappingProxyType({"gone": True})  # for a guest of a former home's time
SETTLE_S = 5.0  # what a guest that is being ended gets to tell what its calls came to


class FarBudget(Budget):
    """A budget as a guest sees it, whose ledger is elsewhere.

    Attributes:
        wanted: what did not fit into what was granted, nano-USD.
    """

    __slots__ = ("_granted", "wanted")

    def __init__(self, said: Mapping[str, Any]) -> None:
        super().__init__(said["limit"], said["source"])
        self._granted = self.wanted = 0
        self.seen(said)

    def seen(self, said: Mapping[str, Any]) -> None:
        """Note what the ledger said last."""
        self.spent, self.reserved = said["spent"], said["reserved"]

    def grant(self, amount: int) -> None:
        """Note what the home has reserved."""
        self._granted += amount

    def check(self, amount: int) -> None:
        """Refuse nothing: the home does."""

    def reserve(self, amount: int) -> bool:
        """Use what was granted; return False when the home has to be asked first."""
        if self._granted < amount:
            self.wanted = amount
            return False
        self._granted -= amount
        return True

    def settle(self, reserved: int, actual: int) -> None:
        """Count nothing: the home does."""


def as_data(budget: Budget) -> dict[str, Any] | None:
    """Return a budget as a guest has to know it; None for one without a limit."""
    if budget.limit is None:
        return None
    names = ("limit", "source", "spent", "reserved")
    return {name: getattr(budget, name) for name in names}


class Purse:
    """The side of a guest.

    Args:
        budget: what it knows of the budget.
        ask: asks the home, until that answers.
        branch: what it works on.
    """

    def __init__(
        self,
        budget: FarBudget,
        ask: Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]],
        branch: Branch,
    ) -> None:
        self._budget = budget
        self._ask = ask
        self._branch = branch

    async def take_over(self) -> None:
        """Let the home wait no longer for what former guests of the branch have not settled."""
        await self._say({"settle": [0, 0]})

    async def more(self) -> None:
        """Let the home reserve what did not fit, however long that takes.

        Raises:
            BudgetExceeded: it does not fit, whatever others settle at.
            Fenced: another has the branch.
        """
        amount = self._budget.wanted
        await self._say({"reserve": amount})
        self._budget.grant(amount)

    async def at_once(self, amount: int) -> bool:
        """Let the home reserve something, if that fits now; return whether it did."""
        try:
            said = await self._say({"at_once": amount})
        except BudgetExceeded:
            return False
        return bool(said["fits"])

    async def settle(self, reserved: int, actual: int) -> None:
        """Tell the home what a call came to."""
        with anyio.move_on_after(SETTLE_S, shield=True), suppress(JournalFailed):
            await self._say({"settle": [reserved, actual]})

    async def _say(self, what: Mapping[str, Any]) -> Mapping[str, Any]:
        branch = self._branch
        said = await self._ask({"op": branch.op, "attempt": branch.attempt, **what})
        self._budget.seen(said["budget"])
        if said["exceeded"] is not None:
            text, amounts = said["exceeded"]
            raise BudgetExceeded(text, **amounts)
        return said


class Ledger:
    """The side of the home: what guests have reserved, by their branches.

    Args:
        run: the run that is at home here.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._granted: dict[str, int] = {}
        self._attempts: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Ledger of {self._run.id} [{len(self._granted)} branches]>"

    async def take(self, wish: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what a guest wishes, and return what it is told."""
        exceeded, fits = None, True
        self._hand_on(wish)
        try:
            if self._is_former(wish):
                pass  # nothing that it begins is taken by the journal
            elif "settle" in wish:
                self._settle(wish["op"], *wish["settle"])
            elif "at_once" in wish:
                fits = self._run.budget.reserve(wish["at_once"])
                self._grant(wish["op"], wish["at_once"] if fits else 0)
            else:
                await reserve(self._run, wish["reserve"], None)
                self._grant_or_return(wish)
        except BudgetExceeded as error:
            names = ("scope", "limit", "spent", "reserved", "needed")
            exceeded = str(error), {name: getattr(error, name) for name in names}
        return {"fits": fits, "exceeded": exceeded, "budget": as_data(self._run.budget)}

    def close(self, op: str) -> None:
        """A branch has ended: what it has not settled counts as spent, below it, too."""
        for each in [each for each in self._attempts if each == op or each.startswith(f"{op}/")]:
            del self._attempts[each]
            self._count(each)

    def _count(self, op: str) -> None:
        """Count as spent what nobody will settle."""
        amount = self._granted.pop(op, 0)
        self._run.settle(amount, amount)

    def _hand_on(self, wish: Mapping[str, Any]) -> None:
        """Hear of a guest that has the branch of a former one, which is gone."""
        op, attempt = wish["op"], wish["attempt"]
        if attempt > self._attempts.get(op, 0):
            self._attempts[op] = attempt
            self._count(op)

    def _is_former(self, wish: Mapping[str, Any]) -> bool:
        """Whether another guest has the branch by now, or nobody, as it has ended."""
        return bool(wish["attempt"] != self._attempts.get(wish["op"]))

    def _grant_or_return(self, wish: Mapping[str, Any]) -> None:
        """Grant what was waited for, unless nobody is there any more who would settle it."""
        if self._is_former(wish):
            self._run.settle(wish["reserve"], 0)
        else:
            self._grant(wish["op"], wish["reserve"])

    def _grant(self, op: str, amount: int) -> None:
        self._granted[op] = self._granted.get(op, 0) + amount

    def _settle(self, op: str, reserved: int, actual: int) -> None:
        left = self._granted.get(op, 0)
        if reserved <= left:  # else its branch has ended, and it was counted
            self._granted[op] = left - reserved
            self._run.settle(reserved, actual)
