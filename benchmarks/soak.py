"""Soak: whole runs without end, and whether memory and open files stay what they were.

A run has two model calls and a tool, everything on; a collector takes the spans, and the journal is
bounded, as it has to be where runs never end. Every few seconds there is a look at what the process
has; each tenth of the time is a row. The last row is the slope after the first tenth, which fills
caches and pools: a line through memory and files over time, an hour's worth of it.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.contender import Contender
from benchmarks.row import Row, Spread
from benchmarks.telemetry import receiver
from benchmarks.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TENTHS = 10
AT_ONCE = 100
FIRST_RUNS = 1_000
LOOK_S = 5.0
LEAST_LOOKS = 4
HOUR_S = 3_600.0
PATIENCE_S = 600.0
SHOWN = ("at_s", "operations", "per_second", "cpu_us", "rss_mb", "own_mb", "files")
RUNS = Contender(
    "everything on",
    "calls:workflow",
    "ours",
    options={"everything": True, "journal": "bounded"},
)


def soak(seconds: float, tell: Callable[[Row], None]) -> list[Row]:
    """Run for about so many seconds.

    Args:
        seconds: how long.
        tell: called with each row as soon as it is there.
    """
    rows: list[Row] = []
    looks: list[dict[str, float]] = []
    with receiver() as to:
        to.is_to(forget=True)
        there = replace(
            RUNS, options={**RUNS.options, "endpoint": to.url}, turn_s=seconds + PATIENCE_S
        )
        with Worker(there) as worker:
            for look in _looks(worker, seconds):
                looks.append(look)
                if look["at_s"] < seconds * (len(rows) + 1) / TENTHS:
                    continue
                values = {name: Spread.of([look[name]]) for name in SHOWN}
                rows.append(_row("soak", values))
                tell(rows[-1])
            case = f"soak of {seconds:,.0f} s"
            rows.append(_row(case, _slopes(looks, seconds / TENTHS), worker.reason))
            tell(rows[-1])
    return rows


def _looks(worker: Worker, seconds: float) -> Iterator[dict[str, float]]:
    """Yield what the process has, again and again."""
    began, runs, looks = time.monotonic(), FIRST_RUNS, 0
    while looks < LEAST_LOOKS or time.monotonic() - began < seconds:
        looks += 1
        turn = worker.turn(runs, AT_ONCE)
        if turn is None:
            return
        rate = runs / max(turn["wall_s"], 1e-9)
        yield turn | {
            "at_s": time.monotonic() - began,
            "operations": runs,
            "per_second": rate,
            "cpu_us": turn["cpu_s"] / runs * 1e6,
        }
        runs = max(AT_ONCE, int(rate * min(LOOK_S, seconds / TENTHS)))


def _slopes(looks: list[dict[str, float]], warm_s: float) -> dict[str, Spread]:
    settled = [look for look in looks[1:] if look["at_s"] > warm_s]
    if len(settled) < 2:  # noqa: PLR2004  # a line has two ends
        return {}
    found = {name: Spread.of(look[name] for look in settled) for name in ("rss_mb", "files")}
    for name, slope in (("rss_mb", "mb_an_hour"), ("files", "files_an_hour")):
        line: Any = statistics.linear_regression(
            [look["at_s"] for look in settled], [look[name] for look in settled]
        )
        found[slope] = Spread.of([line.slope * HOUR_S])
    return found


def _row(case: str, values: dict[str, Spread], reason: str | None = None) -> Row:
    return Row(case, AT_ONCE, RUNS.name, RUNS.role, values, reason=reason)
