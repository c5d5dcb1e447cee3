"""What the journal adds to a delegation whose body uses a skill: six records, two of them awaited.

``strict`` waits for the disk before the skill begins and before its answer is seen.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Contender, measure
from runtime import Context, RunOptions, mag, running, sag, skill
from runtime.journal import MemoryJournal, SqliteJournal

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Figure
    from runtime.journal import Claim, Journal, Record, Shortfall
    from runtime.run import Durability

TITLE = "delegations that are journalled, {n:,} with {at_once} at once"
OPERATIONS = 10_000
AT_ONCE = 100


class Unwritten(MemoryJournal):
    """A journal that keeps nothing."""

    def append(self, record: Record) -> None:
        """Forget it."""

    async def admit(self, record: Record, claims: tuple[Claim, ...]) -> Shortfall | None:
        """Forget it."""


@skill(inline=True)
def doubled(n: int) -> int:
    """Double a number."""
    return n * 2


@sag
async def double(ctx: Context, n: int) -> int:
    """Double a number with a skill."""
    twice: int = await ctx.use(doubled, n)
    return twice


async def _delegations(
    operations: int,
    at_once: int,
    start: Callable[[], None],
    *,
    journal: Journal,
    durability: Durability,
) -> None:
    @mag
    async def main(ctx: Context) -> None:
        start()
        await ctx.map(double, range(operations), concurrency=at_once)

    async with running(agents=(main, double), journal=journal, environ={}) as system:
        outcome = await system.run(main, None, RunOptions(durability=durability))
        if not outcome.ok:
            raise RuntimeError(outcome.error)


async def nothing(operations: int, at_once: int, start: Callable[[], None]) -> None:
    """Nothing is kept."""
    await _delegations(operations, at_once, start, journal=Unwritten(), durability="fast")


async def memory(operations: int, at_once: int, start: Callable[[], None]) -> None:
    """Kept in memory."""
    await _delegations(operations, at_once, start, journal=MemoryJournal(), durability="fast")


async def fast(operations: int, at_once: int, start: Callable[[], None]) -> None:
    """Kept in SQLite, which nobody waits for."""
    await _on_disk(operations, at_once, start, "fast")


async def strict(operations: int, at_once: int, start: Callable[[], None]) -> None:
    """Kept in SQLite before anything goes on."""
    await _on_disk(operations, at_once, start, "strict")


async def _on_disk(
    operations: int, at_once: int, start: Callable[[], None], durability: Durability
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = await SqliteJournal.open(Path(folder) / "journal.db")
        await _delegations(operations, at_once, start, journal=journal, durability=durability)
        await journal.close()


CONTENDERS = (
    Contender("no journal", nothing, is_baseline=True),
    Contender("journal in memory", memory),
    Contender("SQLite, fast", fast),
    Contender("SQLite, strict", strict),
)


def run(rounds: int, scale: float) -> list[dict[str, Any]]:
    """Print the table and return it; see ``journal``."""
    operations = max(1, int(OPERATIONS * scale))
    print(f"\n{TITLE.format(n=operations, at_once=AT_ONCE)}, median of {rounds} rounds in turn")
    print(f"{'journal':20} {'per second':>12} {'min to max':>17} {'CPU each':>11} {'added':>9}")
    figures = measure(CONTENDERS, operations, AT_ONCE, rounds)
    for figure in figures:
        print(_row(figure, figures[0]))
    return [asdict(figure) for figure in figures]


def _row(figure: Figure, baseline: Figure) -> str:
    low, median, high = figure.per_second
    return (
        f"{figure.name:20} {median:>12,.0f} {low:>8,.0f}-{high:>8,.0f} {figure.cpu_us:>8,.1f} us"
        f" {figure.cpu_us - baseline.cpu_us:>6,.1f} us"
    )
