"""What a span costs and what is lost, beside the SDK's own pipeline.

The receiver is in a process of its own, and so is each contender in each of its turns. CPU is that
of the whole process from the first span to the last that was sent. How late the event loop is and
what is lost is measured at a rate that goes on, and for a burst that nothing interrupts.
"""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.telemetry import ended, receiver, source, spool

TITLE = "spans: CPU for each, at {rate:,} a second for {seconds:.0f} s and in a burst of {burst:,}"
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
HEAD = f"{'contender':39} CPU/span  lag p50      p99      max    lost    burst"


def run(rounds: int, scale: float) -> list[dict[str, Any]]:
    """Let the contenders take turns, print a table of medians and return it.

    Args:
        rounds: how often each has its turn; 1 or more.
        scale: the time and the spans, as a share of the usual.
    """
    seconds, burst = SECONDS * scale, max(100, int(BURST * scale))
    print(f"\n{TITLE.format(rate=RATE, seconds=seconds, burst=burst)}, median of {rounds} rounds")
    print(HEAD)
    told: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, pipeline in CONTENDERS.items():
            told[name].append(_once(pipeline, seconds, burst))
    table = []
    for name, turns in told.items():
        row = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
        print(_row(name, row))
        table.append({"contender": name, **row})
    return table


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


def _row(name: str, row: dict[str, float]) -> str:
    return (
        f"{name:38} {row['cpu_us']:>6.1f} us {row['lag_p50_ms']:>5.1f} ms"
        f" {row['lag_p99_ms']:>5.1f} ms {row['lag_max_ms']:>5.0f} ms"
        f" {row['lost_share']:>6.1%} {row['lost_in_burst']:>8,.0f}"
    )
