"""``python -m benchmarks``: ours, a bare baseline and peers, in turns, as tables."""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import verdicts
from benchmarks.contender import Settings
from benchmarks.machine import machine
from benchmarks.plots import cannot_draw, draw
from benchmarks.results import results
from benchmarks.row import as_json
from benchmarks.table import head, line

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.row import Row
    from benchmarks.verdicts import Verdict

BENCHES = (
    "messages",
    "delegations",
    "actors",
    "invocations",
    "workflow",
    "storm",
    "startup",
    "scaling",
    "spans",
    "chaos",
    "cluster",
    "journal",
    "postgres",
    "interrupted",
    "cluster_admission",
    "cluster_simulation",
)
PATIENCE = 40  # times as long as usual: a turn that would take longer is left out


def main() -> None:
    """Run what the command line names."""
    arguments = _arguments()
    settings = _settings(arguments)
    about = machine()
    print(" ".join(f"{name}={value}" for name, value in about.items()))
    measured: dict[str, tuple[Bench, list[Row]]] = {}
    tables: dict[str, Any] = {}
    for name in arguments.names or BENCHES:
        module = import_module(f"benchmarks.{name}")
        if hasattr(module, "BENCH"):
            measured[name] = module.BENCH, _run(module.BENCH, settings)
        else:  # it has tables of its own, and prints them
            tables[name] = {"tables": module.run(settings.rounds, settings.scale)}
        _write(arguments, about, measured, tables)  # after each: what was measured is kept
    if measured:
        print("\nwhat was promised")
        print(*verdicts.lines(_verdicts(measured)), sep="\n")


def _write(
    arguments: argparse.Namespace,
    about: dict[str, Any],
    measured: dict[str, tuple[Bench, list[Row]]],
    tables: dict[str, Any],
) -> None:
    if arguments.json is not None:
        benches = {
            name: {"title": bench.title, "rows": as_json(rows)}
            for name, (bench, rows) in measured.items()
        }
        found = {
            "machine": about,
            "promises": verdicts.as_json(_verdicts(measured)),
            "benches": benches | tables,
        }
        text = json.dumps(found, indent=2)
        arguments.json.write_text(text + "\n", encoding="utf-8")
    if arguments.results is not None:
        kept = _verdicts(measured)
        lines = results(_command(arguments), about, measured.values(), kept)
        arguments.results.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if arguments.plot is not None:
        draw({name: rows for name, (_, rows) in measured.items()}, arguments.plot)


def _verdicts(measured: dict[str, tuple[Bench, list[Row]]]) -> list[Verdict]:
    return verdicts.judge({name: rows for name, (_, rows) in measured.items()})


def _command(arguments: argparse.Namespace) -> str:
    """Return the command line without the files that it writes."""
    words = ["python -m benchmarks", *arguments.names, *(["--peers"] * arguments.peers)]
    words += [
        f"--rounds {arguments.rounds}",
        f"--seconds {arguments.seconds:g}",
        f"--scale {arguments.scale:g}",
    ]
    words += [f"--soak {arguments.soak:g}"] if arguments.soak else []
    if arguments.at_once:
        words.append(f"--at-once {','.join(map(str, arguments.at_once))}")
    return " ".join(words)


def _run(bench: Bench, settings: Settings) -> list[Row]:
    print(f"\n{bench.title}: medians of {settings.rounds} rounds in turn (lowest-highest)")
    print(head(bench.columns), flush=True)
    return bench.run(settings, lambda row: print(line(row, bench.columns), flush=True))


def _settings(arguments: argparse.Namespace) -> Settings:
    return Settings(
        rounds=arguments.rounds,
        seconds=arguments.seconds * arguments.scale,
        at_once=arguments.at_once,
        scale=arguments.scale,
        peers=arguments.peers,
        patience_s=PATIENCE * arguments.seconds,
        soak_s=arguments.soak,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(BENCHES)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {names}; all by default")
    parser.add_argument("--peers", action="store_true", help="also those of `make bench-peers`")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default 5)")
    parser.add_argument(
        "--seconds", type=float, default=0.5, help="about how long a turn lasts (default 0.5)"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="lengths and numbers, as a share of the usual"
    )
    parser.add_argument(
        "--at-once",
        type=_numbers,
        default=(),
        metavar="N[,N...]",
        help="operations under way at once, instead of each bench's own numbers",
    )
    parser.add_argument("--soak", type=float, default=0.0, metavar="SECONDS", help="of `scaling`")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    parser.add_argument("--results", type=Path, metavar="FILE", help="write them as Markdown")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="draw them, as PNG files")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.scale <= 0 or arguments.seconds <= 0:
        parser.error("--rounds is at least 1, --scale and --seconds are above 0")
    if arguments.plot is not None and (missing := cannot_draw()):
        parser.error(missing)
    unknown = set(arguments.names) - set(BENCHES)
    if unknown:
        parser.error(f"no bench {', '.join(sorted(unknown))}; there are {names}")
    return arguments


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in text.split(","))
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError("at least 1 at once")
    return numbers


if __name__ == "__main__":
    main()
