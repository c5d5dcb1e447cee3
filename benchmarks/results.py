"""``RESULTS.md``: the rows of a run as Markdown, with the machine, its load and the versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks import verdicts
from benchmarks.table import markdown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from benchmarks.bench import Bench
    from benchmarks.row import Row
    from benchmarks.verdicts import Verdict

ABOUT = """\
# Results of a run

Written by `{command}`; nothing here is edited by hand.

{machine}

Contenders take turns in the same run, each in a process of its own on the first core (Ray on all),
servers on the last. Figures are medians of the rounds, in brackets the lowest and the highest.
*CPU us* is CPU an operation of the contender's process, its threads included. *Ratio* compares
operations a second with the baseline's of the same round, *by CPU* the CPU; 1.00 is the baseline,
more is better. **Ours** is bold, the *baseline* is in italics. Garbage is collected before a turn,
what is there after the first turn is frozen, and it is looked for after 10,000 new objects, as in
`python -m runtime`: for all alike.
On a machine that does other things, trust the ratios, and of these those by CPU.
"""


def results(
    command: str,
    machine: Mapping[str, Any],
    measured: Iterable[tuple[Bench, list[Row]]],
    kept: Sequence[Verdict],
) -> Iterator[str]:
    """Yield the lines of the document.

    Args:
        command: what was run.
        machine: see ``machine``.
        measured: each bench with its rows.
        kept: what of the promises was kept.
    """
    measured = list(measured)
    versions = {row.contender: row.version for _, rows in measured for row in rows if row.version}
    said = ", ".join(f"{name} {value}" for name, value in machine.items())
    peers = ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))
    yield ABOUT.format(command=command, machine=f"{said}." + (f" Peers: {peers}." if peers else ""))
    yield "\n## What was promised\n"
    yield from verdicts.markdown(kept)
    for bench, rows in measured:
        yield f"\n## {bench.title[0].upper()}{bench.title[1:]}\n"
        yield from markdown(rows, bench.columns)
