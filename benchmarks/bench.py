"""A bench: what it is called, what it measures, and which columns its table has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.rounds import measure

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contender import Case, Settings
    from benchmarks.row import Row


class Column(NamedTuple):
    """A column: its head, the value that it shows, how, and whether with its spread."""

    head: str
    value: str
    format: str = ",.1f"
    spread: bool = False


PER_SECOND = Column("per second", "per_second", ",.0f", spread=True)
CPU = Column("CPU us", "cpu_us")
LATENCY = (Column("p50 ms", "p50_ms", ",.2f"), Column("p99 ms", "p99_ms", ",.2f"))
PLAIN = (PER_SECOND, CPU)


@dataclass(frozen=True, slots=True)
class Bench:
    """Cases whose contenders take turns.

    Attributes:
        title: what is measured.
        cases: in the order in which they are measured.
        columns: of its table.
    """

    title: str
    cases: tuple[Case, ...]
    columns: tuple[Column, ...] = PLAIN

    def run(self, settings: Settings, tell: Callable[[Row], None]) -> list[Row]:
        """Measure; tell each row when it is there."""
        return measure(self.cases, settings, tell)
