"""Scaling: what one more costs must not depend on how many there were before.

Runs of 10 to 100,000 delegations and model calls with everything on. Beside a large one the same
number is done in runs of 1,000, in turns: *by CPU* says what one of a thousand costs as a share of
one of so many, so 1.00 is flat. *own MB* is memory without mapped files, which are spans that wait
in the spool here: nobody takes them. ``kB a run`` is what a run leaves in memory where a collector
takes its spans. ``--soak SECONDS`` goes on with runs for so long, see ``soak``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks.bench import CPU, PER_SECOND, Bench, Column
from benchmarks.contender import Case, Contender
from benchmarks.rounds import measure
from benchmarks.soak import soak
from benchmarks.telemetry import receiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contender import Settings
    from benchmarks.row import Row

SIZES = (10, 100, 1_000, 10_000, 100_000)
THOUSAND = 1_000
AT_ONCE = 100
ON = {"spans": True, "journal": "disk", "policy": True, "budget": True}
KINDS = (
    ("delegations", Contender("one run of all", "pipeline:delegations", "ours", options=ON)),
    ("calls", Contender("one run of all", "calls:stubbed_calls", "ours")),
)
RUNS = Case(
    "runs",
    (Contender("everything on", "calls:memory_of_runs", "ours"),),
    (AT_ONCE,),
    operations=2_000,
)


def cases_of(size: int) -> tuple[Case, ...]:
    """Return the cases of one size; a large one is beside as many in runs of a thousand."""
    return tuple(
        Case(
            name,
            (_in_thousands(ours), ours) if size > THOUSAND else (ours,),
            (AT_ONCE,),
            operations=size,
            warm=min(size, THOUSAND),
        )
        for name, ours in KINDS
    )


def _in_thousands(ours: Contender) -> Contender:
    options = {**ours.options, "each": THOUSAND}
    return replace(ours, name="runs of 1,000", role="baseline", options=options)


@dataclass(frozen=True, slots=True)
class Scaling(Bench):
    """The bench of sizes, which can soak."""

    def run(self, settings: Settings, tell: Callable[[Row], None]) -> list[Row]:
        """Measure; the largest sizes have one round."""
        rows = []
        once = replace(settings, rounds=1)
        for size in SIZES:
            rows += measure(cases_of(size), once if size == SIZES[-1] else settings, tell)
        with receiver() as to:
            (runs,) = RUNS.contenders
            there = replace(runs, options={"endpoint": to.url})
            rows += measure([replace(RUNS, contenders=(there,))], settings, tell)
        return rows + (soak(settings.soak_s, tell) if settings.soak_s else [])


BENCH = Scaling(
    "scaling: runs of 10 to 100,000, and runs without end",
    (),
    (
        Column("how many", "operations", ",.0f"),
        Column("after s", "at_s", ",.0f"),
        PER_SECOND,
        CPU,
        Column("RSS MB", "rss_mb", ",.0f"),
        Column("own MB", "own_mb", ",.0f"),
        Column("files", "files", ",.0f"),
        Column("kB a run", "run_kb", ",.2f"),
        Column("MB an hour", "mb_an_hour", ",.1f"),
        Column("files an hour", "files_an_hour", ",.1f"),
    ),
)
