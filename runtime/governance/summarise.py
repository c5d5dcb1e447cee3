"""From the sums of a journal to a summary. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from runtime.governance.cost import usd
from runtime.governance.summary import (
    Costs,
    Errors,
    ModelStats,
    ModelSummary,
    RunCost,
    Spending,
    StepSummary,
    Summary,
    Tokens,
    Tools,
    Use,
)
from runtime.journal.fold import known_cost
from runtime.journal.ledger import SUBJECTS
from runtime.journal.records import PARKED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runtime.journal.overview import CallSum, RunSum, Step

MOST_RUNS = 5_000  # of one summary; the gate looks at the dearest
MOST_SPENDING = 20_000  # rows of one summary
MONTH = len("YYYY-MM")
MADE = frozenset({"completed", "failed", "lost"})  # calls that have gone out and are over
FAILED = frozenset({"failed", "lost"})
ENDED_ILL = "lost"  # the class of failure of what died with its process


class Wanted(NamedTuple):
    """What a summary is of.

    Attributes:
        since: the time from which on, as people read it; None for all.
        agent: the agent; None for all.
        workflow: the workflow; None for all.
    """

    since: str | None = None
    agent: str | None = None
    workflow: str | None = None


@dataclass(slots=True)
class _Calls:
    """Calls, added up."""

    calls: int = 0
    errors: int = 0
    denied: int = 0
    cached: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    counted: int = 0
    unpriced: int = 0
    error_types: Counter[str] = field(default_factory=Counter)

    def add(self, each: CallSum) -> None:
        self.counted += each.settled_nano_usd
        self.denied += each.calls if each.status == "denied" else 0
        self.cached += each.calls if each.status == "cached" else 0
        if each.status not in MADE:
            return
        self.calls += each.calls
        self.input_tokens += each.input_tokens
        self.output_tokens += each.output_tokens
        self.cost += each.cost_nano_usd
        self.unpriced += each.calls if each.unpriced else 0
        if each.status in FAILED:
            self.errors += each.calls
            self.error_types[each.reason or ENDED_ILL] += each.calls

    @property
    def cost_usd(self) -> float | None:
        known = known_cost(self.cost, self.calls, self.errors, self.unpriced)
        return None if known is None else usd(known)

    @property
    def tokens(self) -> Tokens:
        both = self.input_tokens + self.output_tokens
        return Tokens(input=self.input_tokens, output=self.output_tokens, total=both)


@dataclass(slots=True)
class _Work:
    """The work of one agent, added up."""

    runs: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    timed: int = 0
    seconds: float = 0.0
    tool_calls: int = 0
    tool_errors: int = 0
    models: set[str] = field(default_factory=set)

    def add(self, step: Step) -> None:
        if step.kind == "skill":
            self.tool_calls += 1
            self.tool_errors += step.failed
            return
        self.runs += 1
        if step.failed:
            self.errors[step.reason or "unknown"] += 1
        if step.seconds is not None:
            self.timed += 1
            self.seconds += step.seconds

    def summary(self, name: str) -> StepSummary:
        errors = self.errors.total()
        return StepSummary(
            name=name,
            runs=self.runs,
            successes=self.runs - errors,
            errors=errors,
            success_rate=_share(self.runs - errors, self.runs),
            avg_latency_ms=_milliseconds(self.seconds, self.timed),
            error_types=dict(self.errors.most_common()),
            tools=Tools(calls=self.tool_calls, errors=self.tool_errors),
            models=tuple(sorted(self.models)),
        )


class Summariser:
    """Adds up what a journal has, then gives the summary.

    Args:
        wanted: what it is of.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._all = _Calls()
        self._models: defaultdict[tuple[str, str], _Calls] = defaultdict(_Calls)
        self._names: defaultdict[str, _Calls] = defaultdict(_Calls)
        self._spending: defaultdict[tuple[str, str, str], _Calls] = defaultdict(_Calls)
        self._uses: defaultdict[tuple[str, str, str, str], _Calls] = defaultdict(_Calls)
        self._work: defaultdict[str, _Work] = defaultdict(_Work)
        self._members: set[str] = set()
        self._status: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._seconds = 0.0
        self._dearest: list[RunSum] = []

    def add_calls(self, calls: Iterable[CallSum]) -> None:
        """Count calls in."""
        for each in calls:
            made = each.status in MADE
            self._all.add(each)
            if each.provider:  # what is refused before it is known whom to ask has none
                self._models[each.provider, each.model].add(each)
            if made:
                self._names[each.model].add(each)
                use = (each.provider, each.model, each.region, each.data_classes)
                self._uses[use].add(each)
            for subject, window in product(SUBJECTS, (each.day, each.day[:MONTH])):
                if name := getattr(each, subject):
                    self._spending[subject, name, window].add(each)
            if made and each.agent in self._work:
                self._work[each.agent].models.add(f"{each.provider}/{each.model}")

    def add_steps(self, steps: Iterable[Step]) -> None:
        """Count the work of agents in; before the runs and calls that it belongs to."""
        agent = self._wanted.agent
        for step in steps:
            if agent is None or agent in step.path:
                self._members.add(step.run_id)
                self._work[step.path[-1]].add(step)

    def add_runs(self, runs: Iterable[RunSum]) -> None:
        """Count runs in: all, or those in which the agent has worked or which are its own."""
        agent = self._wanted.agent
        of_it = (
            run
            for run in runs
            if agent is None or run.run_id in self._members or run.target == agent
        )
        self._dearest = nlargest(MOST_RUNS, map(self._counted, of_it), key=_settled)

    def _counted(self, run: RunSum) -> RunSum:
        status = "running" if run.status in PARKED else run.status  # not over: it will go on
        self._status[status] += 1
        if status != "running":
            self._seconds += run.seconds or 0.0
        if status not in ("completed", "running"):
            self._reasons[run.reason or run.status] += 1
        return run

    def summary(self) -> Summary:
        """Return what was counted."""
        running = self._status["running"]
        runs = self._status.total() - running
        successes = self._status["completed"]
        timed = runs - self._status["lost"]
        tools = [(work.tool_calls, work.tool_errors) for work in self._work.values()]
        return Summary(
            since=self._wanted.since,
            agent=self._wanted.agent,
            workflow=self._wanted.workflow,
            runs=runs,
            running=running,
            successes=successes,
            success_rate=_share(successes, runs),
            avg_latency_ms=_milliseconds(self._seconds, timed),
            errors=Errors(total=runs - successes, by_type=dict(self._reasons.most_common())),
            tools=Tools(calls=sum(c for c, _ in tools), errors=sum(e for _, e in tools)),
            steps=tuple(self._work[name].summary(name) for name in sorted(self._work)),
            models=tuple(_model(*each) for each in sorted(self._models.items())),
            model_stats={name: _stats(calls) for name, calls in sorted(self._names.items())},
            costs=Costs(
                cost_usd=self._all.cost_usd,
                counted_usd=usd(self._all.counted),
                unpriced_calls=self._all.unpriced,
            ),
            run_costs=tuple(_run_cost(run) for run in self._dearest),
            spending=tuple(self._spent()),
            left_out=self._status.total()
            - len(self._dearest)
            + max(0, len(self._spending) - MOST_SPENDING),
            uses=tuple(_use(*each) for each in sorted(self._uses.items())),
        )

    def _spent(self) -> Iterator[Spending]:
        dearest = nlargest(MOST_SPENDING, self._spending.items(), key=lambda each: each[1].counted)
        for (subject, name, window), calls in dearest:
            yield Spending(
                subject=subject,
                name=name,
                window=window,
                counted_usd=usd(calls.counted),
                unpriced_calls=calls.unpriced,
            )


def _model(target: tuple[str, str], calls: _Calls) -> ModelSummary:
    return ModelSummary(
        name="/".join(target),
        calls=calls.calls,
        errors=calls.errors,
        denied=calls.denied,
        cached=calls.cached,
        tokens=calls.tokens,
        cost_usd=calls.cost_usd,
        unpriced_calls=calls.unpriced,
        error_types=dict(calls.error_types.most_common()),
    )


def _stats(calls: _Calls) -> ModelStats:
    return ModelStats(
        calls=calls.calls,
        errors=calls.errors,
        input_tokens=calls.input_tokens,
        output_tokens=calls.output_tokens,
        total_tokens=calls.input_tokens + calls.output_tokens,
        cost_usd=calls.cost_usd,
    )


def _run_cost(run: RunSum) -> RunCost:
    cost = known_cost(run.cost_nano_usd, run.calls, run.errors, run.unpriced_calls)
    return RunCost(
        run_id=run.run_id,
        target=run.target,
        cost_usd=None if cost is None else usd(cost),
        counted_usd=usd(run.settled_nano_usd),
        unpriced_calls=run.unpriced_calls,
    )


def _use(key: tuple[str, str, str, str], calls: _Calls) -> Use:
    provider, model, region, classes = key
    return Use(
        provider=provider,
        model=model,
        region=region,
        data_classes=tuple(classes.split(",")) if classes else (),
        calls=calls.calls,
        unpriced_calls=calls.unpriced,
    )


def _settled(run: RunSum) -> int:
    return run.settled_nano_usd


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _milliseconds(seconds: float, count: int) -> float | None:
    return round(seconds * 1_000 / count, 3) if count else None
