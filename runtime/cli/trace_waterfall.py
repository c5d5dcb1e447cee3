"""The lines of a run drawn on an axis of time, as wide as there is room. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from runtime.cli.text import money, one_line, short_time, tokens
from runtime.cli.trace_lines import CROWD
from runtime.cli.trace_span import OPEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runtime.cli.trace_lines import Line

Piece: TypeAlias = "tuple[str, str]"  # a text and its style
LEAST_BAR = 16
CALM = ("completed", "cached", CROWD)
GAP = "  "
STYLES: Mapping[str, str] = {
    "completed": "green",
    "cached": "green",
    "failed": "red",
    "denied": "red",
    "cancelled": "yellow",
    "lost": "magenta",
    "waiting": "yellow",
    "paused": "yellow",
    "running": "cyan",
    "queued": "dim",
    CROWD: "blue",
}


class Glyphs(NamedTuple):
    """What is drawn with.

    Attributes:
        branch: leads to a line.
        last: leads to the last line in its place.
        passing: leads past a line.
        edge: where an axis begins and ends.
        works: a time in which something ran.
        waits: a time in which it waited for its turn.
        many: a time in which some of many ran.
        more: stands for what is cut off.
    """

    branch: str
    last: str
    passing: str
    edge: str
    works: str
    waits: str
    many: str
    more: str


BOXES = Glyphs("├─ ", "└─ ", "│  ", "│", "█", "░", "▒", "…")
ASCII = Glyphs("|- ", "`- ", "|  ", "|", "#", ".", "=", "~")


class Times(NamedTuple):
    """The axis.

    Attributes:
        began_at: its beginning, in seconds since the Unix epoch.
        ended_at: its end: that of the run, or now, or the last that is known of a lost one.
    """

    began_at: float
    ended_at: float

    def cell(self, at: float, width: int) -> float:
        """Return where a time is on an axis of some cells."""
        whole = self.ended_at - self.began_at
        place = (at - self.began_at) / whole * width if whole > 0 else 0.0
        return min(max(place, 0.0), float(width))


class _Widths(NamedTuple):
    label: int
    bar: int
    time: int
    facts: int


def draw(lines: Sequence[Line], times: Times, width: int, glyphs: Glyphs) -> list[list[Piece]]:
    """Return an axis and the lines under it, each as pieces of text with their styles.

    Args:
        lines: the lines.
        times: the axis.
        width: the most characters of a line.
        glyphs: what to draw with.
    """
    labels = [_label(line, glyphs) for line in lines]
    lasted = [_time(line, times) for line in lines]
    facts = [_facts(line) for line in lines]
    widths = _widths(labels, lasted, facts, width)
    drawn = [_axis(times, widths)]
    for line, label, time, fact in zip(lines, labels, lasted, facts, strict=True):
        style = STYLES.get(line.status, "")
        name = _cut(label, widths.label, glyphs).ljust(widths.label)
        bar = _bar(line, times, widths.bar, glyphs)
        edge = (glyphs.edge, "dim")
        drawn.append([(f"{name}{GAP}", ""), edge, (bar, style), edge])
        drawn[-1].append((f"{GAP}{time.rjust(widths.time)}", "dim"))
        is_fine = line.status in CALM
        drawn[-1].append((f"{GAP}{_cut(fact, widths.facts, glyphs)}", "dim" if is_fine else style))
    return drawn


def _label(line: Line, glyphs: Glyphs) -> str:
    above = "".join("   " if ends else glyphs.passing for ends in line.ends[:-1])
    own = "" if not line.ends else glyphs.last if line.ends[-1] else glyphs.branch
    return above + own + one_line(line.title)


def _facts(line: Line) -> str:
    """Return what stands behind a bar; what is cut off where there is no room comes last."""
    said = (_tokens(line), _cost(line), one_line(", ".join(line.words)))
    return GAP.join(filter(None, said))


def _time(line: Line, times: Times) -> str:
    if line.ended_at is None and line.status not in OPEN:
        return "-"  # nobody knows when a lost one ended
    ended_at = times.ended_at if line.ended_at is None else line.ended_at
    return short_time(ended_at - line.began_at)


def _tokens(line: Line) -> str:
    if line.input_tokens is None and line.output_tokens is None:
        return ""
    return f"{tokens(line.input_tokens or 0)}+{tokens(line.output_tokens or 0)} tokens"


def _cost(line: Line) -> str:
    if line.cost_nano_usd is None and not line.unpriced:
        return ""
    if line.cost_nano_usd == 0 and line.input_tokens is None:
        return ""  # nothing came of it, and nobody bills it
    return money(line.cost_nano_usd)


def _widths(
    labels: Iterable[str], lasted: Iterable[str], facts: Iterable[str], width: int
) -> _Widths:
    """Divide a line: the bar gets what the rest leaves; labels are cut first, then facts."""
    label, time, fact = (max(map(len, column)) for column in (labels, lasted, facts))
    spare = width - time - 3 * len(GAP) - 2  # the two edges of the bar
    room = spare - max(LEAST_BAR, width // 5)
    label = min(label, max(room - fact, room * 2 // 5))
    fact = min(fact, room - label)
    return _Widths(label, spare - label - fact, time, fact)


def _axis(times: Times, widths: _Widths) -> list[Piece]:
    whole = times.ended_at - times.began_at
    middle, end = short_time(whole / 2), short_time(whole)
    scale = "0"
    if widths.bar > 2 * len(middle) + len(end):
        scale = scale.ljust((widths.bar - len(middle)) // 2) + middle
    scale += end.rjust(widths.bar - len(scale))
    return [(f"{' ' * widths.label}{GAP} {scale}", "dim")]


def _bar(line: Line, times: Times, width: int, glyphs: Glyphs) -> str:
    ended_at = times.ended_at if line.ended_at is None else line.ended_at
    first = min(math.floor(times.cell(line.began_at, width)), width - 1)
    end = max(math.ceil(times.cell(ended_at, width)), first + 1)
    started_at = ended_at if line.started_at is None else line.started_at
    waited = times.cell(started_at, width) - times.cell(line.began_at, width)
    turn = min(first + round(waited), end if line.started_at is None else end - 1)
    works = glyphs.many if line.status == CROWD else glyphs.works
    bar = " " * first + glyphs.waits * (turn - first) + works * (end - turn)
    if line.ended_at is None:
        bar = bar[:-1] + (">" if line.status in OPEN or line.status == CROWD else "?")
    return bar.ljust(width)


def _cut(text: str, width: int, glyphs: Glyphs) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + glyphs.more
