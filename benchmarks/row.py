"""What was measured, as data: the rows that tables, plots, results and JSON are made of."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.contender import Role


class Spread(NamedTuple):
    """The lowest, the middle and the highest of what the rounds gave."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of some values, at least one."""
        ordered = sorted(values)
        return cls(ordered[0], statistics.median(ordered), ordered[-1])


@dataclass(frozen=True, slots=True)
class Row:
    """What one contender did in one case.

    Attributes:
        case: what was done.
        at_once: how many operations were under way at once; 0 where that means nothing.
        contender: who did it.
        role: ``baseline``, ``ours`` or ``peer``.
        values: what was measured -> its spread over the rounds, in the unit that the name ends
            with: ``per_second``, ``cpu_us`` of CPU an operation, ``p50_ms`` and ``p99_ms`` from an
            operation's start to its end, and what the bench has besides.
        ratio: its operations a second beside the baseline's of the same round, the median of all
            rounds; None where there is no baseline.
        cpu_ratio: the baseline's CPU beside its own, likewise; more is better, too.
        reason: why there are no values; None where there are.
        version: of the peer, where it is one.
    """

    case: str
    at_once: int
    contender: str
    role: Role
    values: dict[str, Spread] = field(default_factory=dict)
    ratio: float | None = None
    cpu_ratio: float | None = None
    reason: str | None = None
    version: str | None = None

    def median(self, name: str) -> float | None:
        """Return the middle of one of its values; None where it has none of that name."""
        spread = self.values.get(name)
        return None if spread is None else spread.median


def as_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return rows as JSON data; a spread is ``[low, median, high]``."""
    return [asdict(row) | {"values": {k: list(v) for k, v in row.values.items()}} for row in rows]


def from_json(rows: Iterable[dict[str, Any]]) -> list[Row]:
    """Return the rows that ``as_json`` was given."""
    return [
        Row(**(row | {"values": {k: Spread(*v) for k, v in row["values"].items()}})) for row in rows
    ]
