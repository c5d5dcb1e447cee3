"""Rows as lines of a table: on a terminal, and as Markdown for the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from benchmarks.bench import Column
    from benchmarks.row import Row

WIDE = 34
MARK = {"baseline": "=", "ours": "*", "peer": " "}


def head(columns: Sequence[Column]) -> str:
    """Return the line above the rows."""
    shown = "".join(f"{c.head:>{_width(c)}}" for c in columns)
    return f"  {'case':18} {'at once':>7}  {'contender':{WIDE}}{shown}   ratio  by CPU"


def line(row: Row, columns: Sequence[Column]) -> str:
    """Return a row as a line; ``=`` marks the baseline and ``*`` what is ours."""
    at_once = f"{row.at_once:,}" if row.at_once else ""
    place = f"{MARK[row.role]} {row.case:18} {at_once:>7}  {row.contender:{WIDE}}"
    if row.reason is not None:
        return f"{place} - {row.reason}"
    shown = "".join(f"{cell(row, c):>{_width(c)}}" for c in columns)
    return f"{place}{shown} {_ratio(row.ratio):>7} {_ratio(row.cpu_ratio):>7}"


def markdown(rows: Iterable[Row], columns: Sequence[Column]) -> Iterator[str]:
    """Yield the lines of a Markdown table; what is ours is bold."""
    heads = ["case", "at once", "contender", *(c.head for c in columns), "ratio", "by CPU"]
    yield "| " + " | ".join(heads) + " |"
    yield "|---|--:|---|" + "--:|" * (len(columns) + 2)
    for row in rows:
        name = {"ours": f"**{row.contender}**", "baseline": f"*{row.contender}*"}.get(
            row.role, row.contender
        )
        cells = [row.case, f"{row.at_once:,}" if row.at_once else "", name]
        if row.reason is not None:
            cells += [row.reason.replace("|", "/"), *([""] * (len(columns) + 1))]
        else:
            cells += [cell(row, column) for column in columns]
            cells += [_ratio(row.ratio), _ratio(row.cpu_ratio)]
        yield "| " + " | ".join(cells) + " |"


def cell(row: Row, column: Column) -> str:
    """Return what a row has in a column; nothing when it has no such value."""
    spread = row.values.get(column.value)
    if spread is None:
        return ""
    shown = format(spread.median, column.format)
    if not column.spread:
        return shown
    return f"{shown} ({spread.low:{column.format}}-{spread.high:{column.format}})"


def _width(column: Column) -> int:
    return 34 if column.spread else max(11, len(column.head) + 2)


def _ratio(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.2f}" if ratio >= 0.01 else f"{ratio:.4f}"  # noqa: PLR2004  # two digits of it
