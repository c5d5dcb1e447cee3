"""What a run has done before, as its journal has it: steps that are done are not done again.

The author's code runs again from its beginning, and each step that it comes to is looked up by its
id, which is made from the step's content (``Run.operation``). One with an outcome is answered from
the record; one without was in flight and is done once more; one that the code does not come to any
more is an orphan.
"""

from __future__ import annotations

import builtins
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from runtime import errors
from runtime.errors import DeadlineExceeded, ProviderError, RuntimeFault
from runtime.journal import KINDS
from runtime.messages import TOKEN_COUNTS, Usage
from runtime.run import Totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from runtime.journal import EventRow, Journal

PAGE = 10_000
ONCE = frozenset(("delegation_sent", "invocation_denied", "invocation_cached"))
BEGINNINGS = frozenset(("delegation_sent", "invocation_started", "skill_started"))
FAILURES = frozenset(("delegation_failed", "invocation_failed", "skill_failed"))


class Recorded:
    """The records of one run.

    Attributes:
        spent: nano-USD that budgets count: what is settled, and the worst case of what is not.
        events: how many records there are.
        last_at: when the last of them was written, in seconds since the Unix epoch.

    Args:
        events: all its records.
        of_live_run: whether the run goes on in this process, and a body of it has crashed: then
            what is done is counted already, and what failed is tried again.
    """

    def __init__(self, events: Iterable[EventRow], *, of_live_run: bool = False) -> None:
        self.of_live_run = of_live_run
        self.spent = 0
        self.events = 0
        self.last_at = 0.0
        self._outcomes: dict[str, EventRow] = {}
        self._begun: dict[str, EventRow] = {}
        self._once: set[tuple[str, str]] = set()
        self._logs: Counter[str] = Counter()
        self._totals: defaultdict[str, Totals] = defaultdict(Totals)
        self._reserved: Counter[str] = Counter()
        self._used: set[str] = set()
        for event in events:
            self._take(event)
        self.spent += sum(self._reserved.values())

    def __repr__(self) -> str:
        return f"<Recorded [{self.events} records, {len(self._outcomes)} outcomes]>"

    def outcome(self, op: str) -> EventRow | None:
        """Return how a step ended; None if it did not, or shall be tried again."""
        event = self._outcomes.get(op)
        if event is None or (self.of_live_run and event.kind in FAILURES):
            return None
        self._used.add(op)
        return event

    def is_to_be_another(self, op: str) -> bool:
        """Whether a step has an outcome and is tried again: it must not get a second one."""
        return op in self._outcomes and self.of_live_run and self._outcomes[op].kind in FAILURES

    def is_in_doubt(self, op: str) -> bool:
        """Whether a step had begun and nobody knows whether it took place."""
        return op in self._begun and op not in self._outcomes

    def is_noted(self, kind: str, op: str) -> bool:
        """Whether something is in the journal already that happens again as the code runs again."""
        if kind == "log":
            self._logs[op] -= 1
            return self._logs[op] >= 0
        return (kind, op) in self._once

    def totals(self, op: str) -> Totals:
        """Return what models were asked below a delegation."""
        return self._totals[op]

    def in_flight(self) -> list[EventRow]:
        """Return the steps that had begun and not ended."""
        return [event for op, event in self._begun.items() if op not in self._outcomes]

    def orphans(self) -> list[EventRow]:
        """Return outcomes that the code did not come to, but those below one that it came to."""
        return [
            event
            for op, event in self._outcomes.items()
            if op not in self._used and not any(above in self._used for above in _above(op))
        ]

    def _take(self, event: EventRow) -> None:
        self.events += 1
        self.last_at = max(self.last_at, event.at)
        kind, op = event.kind, event.op
        if kind == "log":
            self._logs[op] += 1
        if kind in ONCE:
            self._once.add((kind, op))
        if kind in BEGINNINGS:
            self._begun.setdefault(op, event)
        self._reserved[op] += _amount(event.body, "reserved_nano_usd")
        rule = KINDS[kind]
        if rule.terminal and rule.status is None and kind not in ONCE:
            self._outcomes[op] = event
            self._once.add((kind, op))
        if rule.calls:
            self._settle(event)

    def _settle(self, event: EventRow) -> None:
        settled = _amount(event.body, "settled_nano_usd")
        self.spent += settled if "settled_nano_usd" in event.body else event.cost_nano_usd
        self._reserved.pop(event.op, None)
        cost = None if event.body.get("unpriced") else event.cost_nano_usd
        failed = event.kind == "invocation_failed"
        for above in _above(event.op):
            self._totals[above].add_call(usage_of(event.body), cost, failed=failed)


async def events_of(journal: Journal, run_id: str) -> list[EventRow]:
    """Return all records of a run.

    Raises:
        JournalFailed: they cannot be read.
    """
    found: list[EventRow] = []
    while page := await journal.events(run_id, after=len(found), limit=PAGE):
        found += page
    return found


def usage_of(body: Mapping[str, Any]) -> Usage | None:
    """Return the tokens that an outcome tells of."""
    said = body.get("usage")
    if not said:
        return None
    return Usage(**{name: said.get(name) or 0 for name in TOKEN_COUNTS})


def failure_of(event: EventRow) -> Exception:
    """Return the error that a step ended with, as far as the journal knows it."""
    body = event.body
    name, message = str(body.get("error_class") or ""), str(body.get("error") or "")
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, ProviderError):
        fault = kind.__new__(kind)
        ProviderError.__init__(fault, message, attempts=int(body.get("attempts") or 0))
        return fault
    if isinstance(kind, type) and issubclass(kind, DeadlineExceeded):
        return kind(message)
    own = getattr(builtins, name, None)
    if isinstance(own, type) and issubclass(own, Exception):
        return own(message)
    return RecordedFailure(message, name)


class RecordedFailure(RuntimeFault):
    """A step failed before, with an error that only its own code could make again.

    Attributes:
        error_class: the name of that error's class.
    """

    reason = "failed_before"

    def __init__(self, message: str, error_class: str) -> None:
        super().__init__(message)
        self.error_class = error_class


def _above(op: str) -> Iterator[str]:
    """Yield the steps that a step is below, outermost first."""
    at = op.find("/")
    while at >= 0:
        yield op[:at]
        at = op.find("/", at + 1)


def _amount(body: Mapping[str, Any], name: str) -> int:
    value = body.get(name)
    return value if isinstance(value, int) else 0
