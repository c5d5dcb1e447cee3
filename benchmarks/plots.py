"""Plots of a run: throughput and latency over what is under way at once, memory over actors.

matplotlib is in the extra ``bench``; without it there is one sentence that says so.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import cycle
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.row import Row

MISSING = "plots need matplotlib: pip install -e '.[bench]'"


class Plot(NamedTuple):
    """What a plot shows: a value of the rows of one bench over another."""

    bench: str
    file: str
    value: str
    label: str
    better: str
    over: str = "at_once"
    over_label: str = "operations under way at once"
    scale: Literal["log", "linear"] = "log"


PLOTS = (
    Plot("messages", "messages", "per_second", "messages a second", "more"),
    Plot("delegations", "delegations", "per_second", "delegations a second", "more"),
    Plot("invocations", "invocations", "per_second", "calls a second", "more"),
    Plot("invocations", "latency", "p99_ms", "latency, 99th percentile, ms", "less"),
    Plot("workflow", "workflow", "run_ms", "CPU a run, ms", "less"),
    Plot("actors", "actors", "crowd_mb", "memory, MB", "less", "operations", "actors alive"),
    Plot("scaling", "memory", "rss_mb", "memory, MB", "less", "at_s", "seconds", "linear"),
    Plot("scaling", "files", "files", "open files", "less", "at_s", "seconds", "linear"),
)

STYLES: dict[str, dict[str, Any]] = {
    "ours": {"linewidth": 3.0, "marker": "o"},
    "baseline": {"linewidth": 2.0, "marker": "s", "linestyle": "--"},
    "peer": {"linewidth": 1.2, "marker": "."},
}
COLOURS = {  # ours are the strong ones
    "ours": ("#d62728", "#1f77b4", "#9467bd", "#2ca02c", "#ff7f0e", "#e377c2"),
    "baseline": ("black",),
    "peer": (
        *("#8dd3c7", "#bc80bd", "#b3a272", "#fdb462", "#80b1d3", "#a6761d"),
        *("#999999", "#66a61e", "#fccde5", "#bebada"),
    ),
}


def cannot_draw() -> str | None:
    """Return why plots cannot be drawn, before anything is measured; None when they can."""
    return MISSING if find_spec("matplotlib") is None else None


def draw(measured: Mapping[str, Sequence[Row]], folder: Path) -> list[Path]:
    """Draw what was measured, a file for each plot and case, and return the files.

    Args:
        measured: the rows by bench.
        folder: where the files go; it is made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for plot in PLOTS:
        for case, rows in _cases(measured.get(plot.bench, ())):
            lines = dict(_lines(rows, plot))
            if lines:
                name = f"{plot.file}-{case.replace(' ', '-').replace(',', '')}.png"
                files.append(_draw(plot, case, lines, folder / name))
    return files


def _cases(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    for case in dict.fromkeys(row.case for row in rows):
        yield case, [row for row in rows if row.case == case]


def _lines(rows: Sequence[Row], plot: Plot) -> Iterator[tuple[tuple[str, str], list[Any]]]:
    """Yield each contender's points, ``(x, low, median, high)`` in the order of x."""
    for name in dict.fromkeys(row.contender for row in rows):
        its = [row for row in rows if row.contender == name and plot.value in row.values]
        points = [
            (at, *row.values[plot.value]) for row in its if (at := _at(row, plot)) is not None
        ]
        if points:
            yield (name, its[0].role), sorted(points)


def _at(row: Row, plot: Plot) -> float | None:
    return row.at_once if plot.over == "at_once" else row.median(plot.over)


def _draw(plot: Plot, case: str, lines: Mapping[tuple[str, str], list[Any]], file: Path) -> Path:
    import matplotlib as mpl  # noqa: PLC0415  # heavy, and an extra

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415  # likewise

    figure, axes = plt.subplots(figsize=(10, 6), layout="constrained")
    colours = {role: cycle(each) for role, each in COLOURS.items()}
    for (name, role), points in lines.items():
        at, low, middle, high = zip(*points, strict=True)
        style = STYLES[role] | {"color": next(colours[role])}
        axes.plot(at, middle, label=name, **style)
        axes.fill_between(at, low, high, alpha=0.12, color=style["color"])
    _scale(axes, plot, sorted({point[0] for points in lines.values() for point in points}))
    axes.set_title(f"{plot.bench}: {case}; medians, shaded from the lowest to the highest round")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9, frameon=False)
    figure.savefig(file, dpi=110)
    plt.close(figure)
    return file


def _scale(axes: Any, plot: Plot, at: Sequence[float]) -> None:
    """Label the axes; one that is linear begins at zero, so that what is flat looks flat."""
    axes.set(xlabel=plot.over_label, ylabel=f"{plot.label} ({plot.better} is better)")
    axes.set(xscale=plot.scale, yscale=plot.scale)
    axes.grid(which="major", alpha=0.4)
    if plot.scale == "linear":
        axes.set(xlim=(0, None), ylim=(0, None))
        return
    axes.set_xticks(at)
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:,g}")
