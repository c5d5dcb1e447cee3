"""What a run has asked of models before, as its journal has it: counted once, and below whom."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from runtime.messages import TOKEN_COUNTS, Usage
from runtime.run import Totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from runtime.journal import EventRow


class Sums:
    """Counts, tokens and money of the model calls of former processes."""

    def __init__(self) -> None:
        self._ended: dict[str, EventRow] = {}
        self._settled = 0
        self._reserved: Counter[str] = Counter()
        self._totals: defaultdict[str, Totals] = defaultdict(Totals)
        self._calls: defaultdict[str, list[str]] = defaultdict(list)
        self._uncounted: set[str] = set()
        self._counted_here: set[str] = set()

    @property
    def spent(self) -> int:
        """Nano-USD that budgets count: what is settled, and the worst case of what is not."""
        return self._settled + self._reserved.total()

    def totals(self, op: str) -> Totals:
        """Return what models were asked below a delegation."""
        return self._totals[op]

    def newly_counted(self, op: str) -> Totals:
        """Return what former processes asked models in a step or below it, each call only once.

        Args:
            op: the step; empty for all that is left.
        """
        totals = Totals()
        for call in self._uncounted.intersection(self._calls[op]) if op else set(self._uncounted):
            self._uncounted.remove(call)
            _add(totals, self._ended[call])
        return totals

    def counted_here(self, op: str) -> Totals:
        """Return what this process has counted below a step, by when a body above it crashed."""
        totals = Totals()
        for call in self._counted_here.intersection(self._calls[op]):
            _add(totals, self._ended[call])
        return totals

    def count_here(self, steps: Iterable[str]) -> None:
        """Note that the model calls among some steps are in the counts of this process.

        Args:
            steps: what its code has come to.
        """
        self._counted_here.update(step for step in steps if step in self._ended)

    def take_money(self, event: EventRow, *, is_outcome: bool) -> None:
        """Take what a record of a former process says of money.

        Args:
            event: the record.
            is_outcome: whether it is how a model call ended.
        """
        body = event.body
        if event.kind == "run_resumed":  # what was in flight then is lost, and may be begun again
            self._settled += self._reserved.total()
            self._reserved.clear()
        if "reserved_nano_usd" in body:
            self._reserved[event.op] += _amount(body, "reserved_nano_usd")
        if is_outcome:
            known = "settled_nano_usd" in body
            self._settled += _amount(body, "settled_nano_usd") if known else event.cost_nano_usd
            self._reserved.pop(event.op, None)
            self._uncounted.add(event.op)

    def keep_call(self, event: EventRow) -> None:
        """Count how a model call ended for all that it is below."""
        self._ended[event.op] = event
        self._calls[event.op].append(event.op)
        for above in above_of(event.op):
            self._calls[above].append(event.op)
            _add(self._totals[above], event)


def above_of(op: str) -> Iterator[str]:
    """Yield the steps that a step is below, outermost first."""
    at = op.find("/")
    while at >= 0:
        yield op[:at]
        at = op.find("/", at + 1)


def usage_of(body: Mapping[str, Any]) -> Usage | None:
    """Return the tokens that an outcome tells of."""
    said = body.get("usage")
    if not said:
        return None
    return Usage(**{name: said.get(name) or 0 for name in TOKEN_COUNTS})


def _add(totals: Totals, event: EventRow) -> None:
    cost = None if event.body.get("unpriced") else event.cost_nano_usd
    totals.add_call(usage_of(event.body), cost, failed=event.kind == "invocation_failed")


def _amount(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) else 0
