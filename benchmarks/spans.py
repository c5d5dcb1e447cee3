"""What a span costs and what is lost, beside the SDK's own pipeline.

The receiver is in a process of its own, and so is each contender in each of its turns. CPU is that
of the whole process from the first span to the last that was sent. How late the event loop is and
what is lost is measured at a rate that goes on, and for a burst that nothing interrupts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Bench, Column
from benchmarks.row import Row, Spread
from benchmarks.telemetry import ended, receiver, source, spool

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.contender import Role, Settings

RATE = 6_000
SECONDS = 5.0
BURST = 10_000
CONTENDERS = {
    "the loop without spans": "bare",
    "nothing is recorded": "none",
    "spool": "spool",
    "SDK, queue of 65,536, batches of 128": "batch",
    "SDK as it comes: 2,048 and 512": "sdk",
}


@dataclass(frozen=True, slots=True)
class Spans(Bench):
    """The bench of spans, whose contenders are processes for each turn."""

    def run(self, settings: Settings, tell: Callable[[Row], None]) -> list[Row]:
        """Let the contenders take turns."""
        seconds = SECONDS * settings.scale
        burst = max(100, settings.scaled(BURST))
        told: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
        for _ in range(settings.rounds):
            for name, pipeline in CONTENDERS.items():
                told[name].append(_once(pipeline, seconds, burst))
        case = f"{RATE:,} a second"
        rows = []
        for name, turns in told.items():
            values = {key: Spread.of(turn[key] for turn in turns) for key in turns[0]}
            rows.append(Row(case, 0, name, _role(CONTENDERS[name]), values))
            tell(rows[-1])
        return rows


def _role(pipeline: str) -> Role:
    return {"bare": "baseline", "none": "ours", "spool": "ours"}.get(pipeline, "peer")  # type: ignore[return-value]  # all are


def _once(pipeline: str, seconds: float, burst: int) -> dict[str, float]:
    steady = int(RATE * seconds)
    at_rate = _turn(pipeline, {"spans": steady, "per_second": RATE, "lag": True})
    at_once = _turn(pipeline, {"spans": burst})
    lag = at_rate["lag_ms"]
    return {
        "cpu_us": at_rate["cpu_s"] / steady * 1e6,
        "lag_p50_ms": lag["p50"],
        "lag_p99_ms": lag["p99"],
        "lag_max_ms": lag["max"],
        "lost_share": at_rate["lost"] / steady,
        "lost_in_burst": at_once["lost"],
    }


def _turn(pipeline: str, wanted: dict[str, Any]) -> dict[str, Any]:
    wanted = {**wanted, "pipeline": pipeline, "end": "shutdown"}
    with receiver() as to, spool() as folder:
        said = ended(source(wanted, to.url, folder))
        arrived = to.seen()["different"]
    said["lost"] = 0 if pipeline in {"bare", "none"} else wanted["spans"] - arrived
    return said


BENCH = Spans(
    "spans: what one costs, how late the loop is, how many are lost at a rate and in a burst",
    (),
    (
        Column("CPU us", "cpu_us"),
        Column("lag p50 ms", "lag_p50_ms"),
        Column("lag p99 ms", "lag_p99_ms"),
        Column("lag max ms", "lag_max_ms", ",.0f"),
        Column("lost", "lost_share", ".1%"),
        Column("lost in burst", "lost_in_burst", ",.0f"),
    ),
)
