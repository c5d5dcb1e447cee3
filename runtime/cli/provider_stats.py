"""What the journal knows about model calls, by provider and model."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio

from runtime.cli.history import History
from runtime.cli.streams import emit, emit_json, say
from runtime.cli.text import duration, money, one_line, plural, table, tokens
from runtime.errors import ConfigurationError
from runtime.governance.cost import usd
from runtime.journal import KINDS, known_cost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.journal import EventRow

HEAD = ("provider", "model", "calls", "errors", "input", "output", "cost", "latency")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
AGO = re.compile(r"([0-9]{1,6})([mhd])")
UNKNOWN = "unknown"  # a call whose beginning the journal does not have


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
        answered: how many were answered after a known time.
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


class Tally:
    """Counts the calls of run after run.

    Attributes:
        calls: by provider and model.
    """

    def __init__(self) -> None:
        self.calls: dict[tuple[str, str], Calls] = {}
        self._begun: dict[str, EventRow] = {}

    def next_run(self) -> None:
        """Forget which calls of the last run have begun."""
        self._begun.clear()

    def take(self, event: EventRow) -> None:
        """Count an event in, if it is about a model call."""
        if event.kind == "invocation_started":
            self._begun[event.op] = event
        elif (rule := KINDS.get(event.kind)) is not None and rule.calls:
            self._outcome(event, failed=rule.errors > 0)

    def _outcome(self, event: EventRow, *, failed: bool) -> None:
        begun, body = self._begun.get(event.op), event.body
        asked = {} if begun is None else begun.body
        name = (str(asked.get("provider", UNKNOWN)), str(asked.get("model", UNKNOWN)))
        calls = self.calls.setdefault(name, Calls())
        usage = body.get("usage") or {}
        calls.calls += 1
        calls.input_tokens += usage.get("input_tokens") or 0
        calls.output_tokens += usage.get("output_tokens") or 0
        calls.cost_nano_usd += event.cost_nano_usd
        calls.unpriced += body.get("unpriced") is True
        if failed:
            calls.errors[str(body.get("error_class") or body.get("reason") or UNKNOWN)] += 1
        elif begun is not None:
            calls.answered += 1
            calls.seconds += max(0.0, event.at - begun.at)


def show_statistics(database: str | None, *, last: int, since: str | None, as_json: bool) -> None:
    """Print the model calls of the newest runs.

    Args:
        database: what ``--db`` says.
        last: of how many runs at most.
        since: only runs that began since then; None for all.
        as_json: print an object instead of a table.

    Raises:
        ConfigurationError: ``since`` is no time.
        JournalFailed: they cannot be read.
    """
    history = History(database)
    begin = None if since is None else began_since(since, datetime.now(UTC))
    runs, tally = anyio.run(count, history, last, begin)
    if as_json:
        emit_json({"runs": runs, "providers": [_json(*row) for row in _sorted(tally)]})
    elif tally.calls:
        rows = table(HEAD, [_cells(*row) for row in _sorted(tally)])
        emit("\n".join([rows, *map(one_line, _errors(tally))]))
    else:
        say(f"no model calls in {plural(runs, 'run')} of {history.path}")


def began_since(text: str, now: datetime) -> float:
    """Return a time as seconds since the Unix epoch.

    Args:
        text: ``30m``, ``12h`` or ``7d`` ago, or an ISO 8601 date or time; UTC unless it says so.
        now: the time now, with its zone.

    Raises:
        ConfigurationError: it is neither.
    """
    ago = AGO.fullmatch(text)
    try:
        if ago is not None:
            return (now - timedelta(**{UNITS[ago[2]]: int(ago[1])})).timestamp()
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"--since {text!r} is no time; write it like 30m, 12h, 7d or 2026-11-22"
        ) from None


async def count(history: History, last: int, since: float | None) -> tuple[int, Tally]:
    """Return how many runs were looked at, and their calls.

    Raises:
        JournalFailed: they cannot be read.
    """
    tally, counted = Tally(), 0
    for run in await history.runs(last, None):
        if since is not None and run.started_at < since:
            break  # they come newest first
        counted += 1
        tally.next_run()
        if run.calls:
            async for event in history.events(run.run_id):
                tally.take(event)
    return counted, tally


def _sorted(tally: Tally) -> Iterator[tuple[str, str, Calls]]:
    for (provider, model), calls in sorted(tally.calls.items()):
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
