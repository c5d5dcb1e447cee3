"""What the journal knows about model calls, by provider and model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runtime.cli.journal_file import find_journal, is_begun, journal_faults
from runtime.cli.moments import moment
from runtime.cli.streams import emit, emit_json, say
from runtime.cli.text import duration, money, one_line, plural, table, tokens
from runtime.governance.cost import usd
from runtime.journal import known_cost
from runtime.journal.overview import Overview

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runtime.journal.location import Location
    from runtime.journal.overview import TargetSum

HEAD = ("provider", "model", "calls", "errors", "input", "output", "cost", "latency")


@dataclass(slots=True)
class Calls:
    """The calls of one model, summed up.

    Attributes:
        calls: how many have an outcome.
        errors: the failed ones, by class.
        input_tokens: of all prompts.
        output_tokens: of all answers.
        cost_nano_usd: of the priced ones together.
        unpriced: how many have no known price.
        answered: how many were answered.
        seconds: how long those took together.
    """

    calls: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano_usd: int = 0
    unpriced: int = 0
    answered: int = 0
    seconds: float = 0.0

    @property
    def cost(self) -> int | None:
        """Nano-USD; None when nobody knows the price of any call."""
        return known_cost(self.cost_nano_usd, self.calls, self.errors.total(), self.unpriced)

    @property
    def latency_s(self) -> float | None:
        """The average of the answered calls; None when there are none."""
        return self.seconds / self.answered if self.answered else None

    def add(self, some: TargetSum) -> None:
        """Count calls in that ended alike."""
        self.calls += some.calls
        self.input_tokens += some.input_tokens
        self.output_tokens += some.output_tokens
        self.cost_nano_usd += some.cost_nano_usd
        self.unpriced += some.unpriced
        if some.failed:
            self.errors[some.error_class or "unknown"] += some.calls
        else:
            self.answered += some.calls
            self.seconds += some.seconds


Tally = dict[tuple[str, str], Calls]


def show_statistics(database: str | None, *, last: int, since: str | None, as_json: bool) -> None:
    """Print the model calls of the newest runs.

    Args:
        database: what ``--db`` says.
        last: of how many runs at most.
        since: only runs that began since then; None for all.
        as_json: print an object instead of a table.

    Raises:
        ConfigurationError: ``since`` is no time, or the journal cannot be read.
    """
    journal = find_journal(database)
    begin = moment("--since", since, datetime.now(UTC))
    with journal_faults():
        runs, sums = _read(journal, begin or 0.0, last)
    tally = _tally(sums)
    if as_json:
        emit_json({"runs": runs, "providers": [_json(*row) for row in _sorted(tally)]})
    elif tally:
        rows = table(HEAD, [_cells(*row) for row in _sorted(tally)])
        emit("\n".join([rows, *map(one_line, _errors(tally))]))
    else:
        say(f"no model calls in {plural(runs, 'run')} of {journal}")


def _read(journal: Location, since: float, last: int) -> tuple[int, list[TargetSum]]:
    if not is_begun(journal):
        return 0, []
    with Overview.opened(journal) as overview:
        return overview.newest(since, last)


def _tally(sums: Iterable[TargetSum]) -> Tally:
    tally: Tally = {}
    for each in sums:
        tally.setdefault((each.provider, each.model), Calls()).add(each)
    return tally


def _sorted(tally: Tally) -> Iterator[tuple[str, str, Calls]]:
    for (provider, model), calls in sorted(tally.items()):
        yield provider, model, calls


def _json(provider: str, model: str, calls: Calls) -> dict[str, Any]:
    return {
        "provider": provider,
        "model": model,
        "calls": calls.calls,
        "errors": calls.errors.total(),
        "errors_by_class": dict(calls.errors.most_common()),
        "input_tokens": calls.input_tokens,
        "output_tokens": calls.output_tokens,
        "cost_usd": None if calls.cost is None else usd(calls.cost),
        "unpriced_calls": calls.unpriced,
        "latency_s": None if calls.latency_s is None else round(calls.latency_s, 3),
    }


def _cells(provider: str, model: str, calls: Calls) -> tuple[str, ...]:
    return (
        provider,
        model,
        f"{calls.calls:,}",
        f"{calls.errors.total():,}",
        tokens(calls.input_tokens),
        tokens(calls.output_tokens),
        money(calls.cost, 0 if calls.cost is None else calls.unpriced),
        "-" if calls.latency_s is None else duration(calls.latency_s),
    )


def _errors(tally: Tally) -> Iterator[str]:
    for provider, model, calls in _sorted(tally):
        if calls.errors:
            told = ", ".join(f"{count:,} {name}" for name, count in calls.errors.most_common())
            yield f"{provider}/{model} failed: {told}"
