"""Measuring on a noisy machine: contenders take turns, medians count, CPU stands beside wall."""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from benchmarks.row import Row, Spread
from benchmarks.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.contender import Case, Settings

    Turn = dict[str, Any]

MOST_OPERATIONS = 200_000


def measure(cases: Sequence[Case], settings: Settings, tell: Callable[[Row], None]) -> list[Row]:
    """Let the contenders of each case take turns.

    Args:
        cases: what to measure.
        settings: how.
        tell: called with each row as soon as it is there.
    """
    rows = []
    for case in cases:
        for row in _case(case, settings):
            tell(row)
            rows.append(row)
    return rows


def _case(case: Case, settings: Settings) -> Iterator[Row]:
    wanted = [one for one in case.contenders if settings.peers or one.role != "peer"]
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(one)) for one in wanted]
        if case.operations is None:
            for worker in workers:
                worker.turn(1, 1)  # imports what is lazy, and says nothing of the next
        costs: dict[str, float] = {}
        numbers = settings.at_once if case.operations is None else ()
        for at_once in numbers or case.at_once:
            turns = _turns(case, workers, at_once, settings, costs)
            baseline = next((turns[w.contender.name] for w in workers if _is_baseline(w)), [])
            for worker in workers:
                yield _row(case.name, at_once, worker, turns[worker.contender.name], baseline)


def _is_baseline(worker: Worker) -> bool:
    return worker.contender.role == "baseline"


def _turns(
    case: Case, workers: list[Worker], at_once: int, settings: Settings, costs: dict[str, float]
) -> dict[str, list[Turn]]:
    """Return what each worker told in each round; nothing for those that had none."""
    told: dict[str, list[Turn]] = {worker.contender.name: [] for worker in workers}
    planned = {
        worker.contender.name: _operations(case, worker, at_once, settings, costs)
        for worker in workers
    }
    for _ in range(settings.rounds):
        for worker in workers:
            name = worker.contender.name
            operations = planned[name]
            if operations and (turn := worker.turn(operations, at_once)) is not None:
                told[name].append(turn | {"operations": operations})
                costs[name] = turn["cpu_s"] / operations
    return told


def _operations(
    case: Case, worker: Worker, at_once: int, settings: Settings, costs: dict[str, float]
) -> int:
    """Warm a worker up, and return how many operations its turns have; 0 for no turn.

    How long more at once would take is guessed by the CPU that one took in its last turn: who waits
    for a server waits for all of them together.
    """
    expected_s = at_once * costs.get(worker.contender.name, 0.0)
    if at_once > worker.contender.at_most or expected_s > settings.patience_s:
        return 0
    if case.operations is not None:
        if case.warm and worker.turn(settings.scaled(case.warm), at_once) is None:
            return 0
        return settings.scaled(case.operations)
    operations = at_once
    for _ in range(3):  # the first ones connect, and fill caches
        turn = worker.turn(operations, at_once)
        if turn is None or turn["wall_s"] > settings.patience_s:
            return 0
        rate = operations / max(turn["wall_s"], 1e-9)
        operations = int(min(rate * settings.seconds, MOST_OPERATIONS))
        operations = max(at_once, operations)
        if turn["wall_s"] > settings.seconds / 2:
            break
    return operations


def _row(case: str, at_once: int, worker: Worker, turns: list[Turn], baseline: list[Turn]) -> Row:
    one = worker.contender
    if not turns:
        at_most = f"not asked for more than {one.at_most:,} at once"
        reason = at_most if at_once > one.at_most else "a turn would take too long"
        return Row(case, at_once, one.name, one.role, reason=worker.reason or reason)
    values = [_values(turn) for turn in turns]
    return Row(
        case,
        at_once,
        one.name,
        one.role,
        {name: Spread.of(value[name] for value in values) for name in values[0]},
        ratio=_ratio([_values(turn) for turn in baseline], values, "per_second", up=True),
        cpu_ratio=_ratio([_values(turn) for turn in baseline], values, "cpu_us", up=False),
        version=worker.version,
    )


def _values(turn: Turn) -> dict[str, float]:
    known = {
        "per_second": turn["operations"] / max(turn["wall_s"], 1e-9),
        "cpu_us": turn["cpu_s"] / turn["operations"] * 1e6,
    }
    return known | {k: v for k, v in turn.items() if k not in {"wall_s", "cpu_s"}}


def _ratio(
    baseline: list[dict[str, float]], values: list[dict[str, float]], name: str, *, up: bool
) -> float | None:
    pairs = [(b[name], v[name]) for b, v in zip(baseline, values, strict=False)]
    ratios = [(v / b if up else b / v) for b, v in pairs if b > 0 and v > 0]
    return statistics.median(ratios) if ratios else None
