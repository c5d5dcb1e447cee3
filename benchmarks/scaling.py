"""Scaling: what one more costs must not depend on how many there were before.

Runs of 10 to 100,000 delegations and model calls with everything on: the CPU of each, and what the
process has in memory afterwards for each run. ``--soak SECONDS`` goes on with runs for so long, and
its row says how memory and open files have grown from the first tenth of that time to the last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks.bench import CPU, PER_SECOND, Bench, Column
from benchmarks.contender import Case, Contender
from benchmarks.rounds import measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contender import Settings
    from benchmarks.row import Row

SIZES = (10, 100, 1_000, 10_000, 100_000)
AT_ONCE = 100
PATIENCE_S = 600.0
ON = {"spans": True, "journal": "disk", "policy": True, "budget": True}


def cases_of(size: int) -> tuple[Case, ...]:
    """Return the cases of one size."""
    ours = Contender("everything on", "pipeline:delegations", "ours", options=ON)
    calls = Contender("everything on", "calls:stubbed_calls", "ours")
    return (
        Case("delegations", (ours,), (AT_ONCE,), operations=size),
        Case("calls", (calls,), (AT_ONCE,), operations=size),
    )


RUNS = Case(
    "runs",
    (Contender("everything on", "calls:memory_of_runs", "ours"),),
    (AT_ONCE,),
    operations=2_000,
)
SOAK = Contender("everything on", "calls:soak", "ours")


@dataclass(frozen=True, slots=True)
class Scaling(Bench):
    """The bench of sizes, which can soak."""

    def run(self, settings: Settings, tell: Callable[[Row], None]) -> list[Row]:
        """Measure; the largest sizes have one round."""
        rows = []
        once = replace(settings, rounds=1)
        for size in SIZES:
            rows += measure(cases_of(size), once if size == SIZES[-1] else settings, tell)
        rows += measure([RUNS], settings, tell)
        if settings.soak_s:
            options, turn_s = {"seconds": settings.soak_s}, settings.soak_s + PATIENCE_S
            soaker = replace(SOAK, options=options, turn_s=turn_s)
            soak = Case(f"soak of {settings.soak_s:,.0f} s", (soaker,), (AT_ONCE,), operations=1)
            rows += measure([soak], once, tell)
        return rows


BENCH = Scaling(
    "scaling: runs of 10 to 100,000, and runs without end",
    (),
    (
        Column("how many", "operations", ",.0f"),
        PER_SECOND,
        CPU,
        Column("RSS MB", "rss_mb", ",.0f"),
        Column("files", "files", ",.0f"),
        Column("kB a run", "run_kb", ",.2f"),
        Column("grown MB", "grown_mb", ",.1f"),
        Column("grown files", "grown_files", ",.0f"),
    ),
)
