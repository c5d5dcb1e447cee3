"""``python -m benchmarks.check``: has anything on a hot path become dearer than its bound?

The instructions of Python's virtual machine that each operation takes are counted, see
``instructions``, and compared with ``bounds.json``: by number where the Python is the one that the
bounds are of, and else by the ratio to the bare baseline, which hardly depends on it. A clock has
no part in it, so a noisy machine fails nothing. What became cheaper is told, too: ``--update``
writes down what is now.

    python -m benchmarks.check                    exit code 1 when a bound is broken
    python -m benchmarks.check --update           the present figures become the bounds
    python -m benchmarks.check --where delegation where its instructions are
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.instructions import by_function, by_layer, per_operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BOUNDS = Path(__file__).with_name("bounds.json")
TOLERANCE = 1.05  # groups of the journal's writer fall as they may
LINES = 40
BARE = "bare ask"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
NOTHING = {"spans": False, "journal": "none", "policy": False, "budget": False}
EVERYTHING = {"spans": True, "journal": "disk", "policy": True, "budget": True}


class HotPath(NamedTuple):
    """A hot path: a contender."""

    place: str
    options: Mapping[str, Any]


HOT: dict[str, HotPath] = {
    BARE: HotPath("plain:asks", {"kind": "deque"}),
    "ask": HotPath("kernel:asks", {"supervised": True}),
    "tell": HotPath("kernel:tells", {}),
    "restart": HotPath("kernel:restarts", {}),
    "delegation, nothing on": HotPath("pipeline:delegations", NOTHING),
    "delegation, everything on": HotPath("pipeline:delegations", EVERYTHING),
    "model call, everything on": HotPath("calls:stubbed_calls", {}),
    "run of 2 calls and 1 tool": HotPath("calls:workflow", {"everything": True}),
}


class Verdict(NamedTuple):
    """What came of one hot path."""

    name: str
    measured: float
    bound: float

    @property
    def broken(self) -> bool:
        """Whether it is dearer than it may be."""
        return self.measured > self.bound * TOLERANCE


def measure(names: Iterable[str] = HOT) -> dict[str, float]:
    """Return the instructions an operation of each of these takes."""
    return {name: sum(per_operation(HOT[name].place, HOT[name].options).values()) for name in names}


def judge(measured: Mapping[str, float], bounds: Mapping[str, Any]) -> list[Verdict]:
    """Compare what was measured with the bounds.

    Args:
        measured: instructions by name, the bare baseline among them.
        bounds: the file: ``python`` and ``instructions`` by name.
    """
    known: Mapping[str, float] = bounds["instructions"]
    # Another Python has other instructions: its bare baseline says how many more or fewer.
    scale = 1.0 if bounds["python"] == PYTHON else measured[BARE] / known[BARE]
    return [Verdict(name, each, known[name] * scale) for name, each in measured.items()]


def main() -> int:
    """Measure, print a table, and return the exit code."""
    arguments = _arguments()
    if arguments.where:
        _show(arguments.where)
        return 0
    measured = measure()
    if arguments.update:
        BOUNDS.write_text(_document(measured))
        return 0
    bounds = json.loads(arguments.bounds.read_text())
    verdicts = judge(measured, bounds)
    how = "by number" if bounds["python"] == PYTHON else f"scaled from Python {bounds['python']}"
    print(f"instructions of Python's virtual machine an operation, {how}")
    for each in verdicts:
        word = "BROKEN" if each.broken else "ok"
        share = each.measured / each.bound
        print(
            f"  {each.name:28} {each.measured:>10,.0f} of {each.bound:>10,.0f}  {share:.2f} {word}"
        )
    broken = [each.name for each in verdicts if each.broken]
    if broken:
        print(
            f"dearer than {arguments.bounds.name} allows: {', '.join(broken)};"
            " `python -m benchmarks.check --where NAME` says where, and --update accepts it",
            file=sys.stderr,
        )
    return 1 if broken else 0


def _document(measured: Mapping[str, float]) -> str:
    rounded = {name: round(each) for name, each in measured.items()}
    return json.dumps({"python": PYTHON, "instructions": rounded}, indent=2) + "\n"


def _show(name: str) -> None:
    counts = per_operation(HOT[name].place, HOT[name].options)
    total = sum(counts.values())
    print(f"{name}: {total:,.0f} instructions")
    for title, lines in (("layers", by_layer(counts)), ("functions", by_function(counts))):
        print(title)
        for what, count in lines[:LINES]:
            print(f"  {count:>9,.1f} {count / total:>6.1%}  {what}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.check", description="compare hot paths with their bounds"
    )
    parser.add_argument("--update", action="store_true", help="write the bounds")
    parser.add_argument("--where", choices=HOT, metavar="NAME", help=f"of {'; '.join(HOT)}")
    parser.add_argument("--bounds", type=Path, default=BOUNDS, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
