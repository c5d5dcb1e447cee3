"""``python -m benchmarks``: run the benches and print their tables."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import (
    asks,
    calls,
    chaos,
    delegations,
    http,
    interrupted,
    journal,
    postgres,
    slow_http,
    spans,
    storm,
)
from benchmarks.measure import machine, measure

if TYPE_CHECKING:
    from types import ModuleType

    from benchmarks.measure import Figure

BENCHES: dict[str, ModuleType] = {
    "asks": asks,
    "calls": calls,
    "chaos": chaos,
    "delegations": delegations,
    "http": http,
    "interrupted": interrupted,
    "journal": journal,
    "postgres": postgres,
    "slow_http": slow_http,
    "spans": spans,
    "storm": storm,
}


def main() -> None:
    """Run what the command line names."""
    arguments = _arguments()
    about = machine()
    print(" ".join(f"{name}={value}" for name, value in about.items()))
    report: dict[str, Any] = {"machine": about}
    for name in arguments.names or BENCHES:
        bench = BENCHES[name]
        run = getattr(bench, "run", partial(_run, bench))  # some have a table of their own
        report[name] = run(arguments.rounds, arguments.scale)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(BENCHES)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {names}; all by default")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default 5)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="operations, as a share of the usual number"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHES)
    if unknown:
        parser.error(f"no bench {', '.join(sorted(unknown))}; there are {names}")
    return arguments


def _run(bench: ModuleType, rounds: int, scale: float) -> list[dict[str, Any]]:
    print(f"\n{bench.TITLE}, median of {rounds} rounds in turn (min to max)")
    print(
        f"{'at once':>8}  {'contender':32} {'per second':>12} {'min to max':>21} {'CPU':>9}  ratio"
    )
    figures: list[Figure] = []
    for concurrency in bench.CONCURRENCY:
        operations = max(1, int(bench.OPERATIONS * scale))
        figures += measure(bench.CONTENDERS, operations, concurrency, rounds)
        for figure in figures[-len(bench.CONTENDERS) :]:
            print(_row(figure))
    return [asdict(figure) for figure in figures]


def _row(figure: Figure) -> str:
    low, median, high = figure.per_second
    return (
        f"{figure.concurrency:>8,}  {figure.name:32} {median:>12,.0f} {low:>10,.0f}-{high:>10,.0f}"
        f" {figure.cpu_us:>6,.1f} us  {figure.ratio:.2f}"
    )


if __name__ == "__main__":
    main()
