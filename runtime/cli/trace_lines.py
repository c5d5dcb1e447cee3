"""Which lines a waterfall has: all spans of a small run, of a big one those that tell most. Pure.

Rule 1: of many of one kind in one place those that went wrong are shown, then those that still run,
then the slowest; one line stands for the rest.
Rule 2: lines are dealt out level by level, so that the end of a run is shown like its beginning. A
span whose inside has no room says how much that is.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from runtime.cli.crowds import SHOWN, counted, crowds
from runtime.cli.text import plural
from runtime.cli.trace_span import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.cli.trace_span import JournalSpan

MOST_LINES = 100  # where nobody says otherwise
SHARE = 10  # of all lines, one kind in one place gets a tenth
CROWD = "crowd"
_DULL = {"running": 1, "queued": 2, "completed": 3, "cached": 3}  # and 0 for what went wrong


@dataclass(slots=True)
class Line:
    """One line of a waterfall: a span, or many of one kind.

    Attributes:
        title: what it is.
        began_at: seconds since the Unix epoch.
        started_at: when a body was first started; None where none was.
        ended_at: when it was over; None where it is not.
        status: that of the span, or ``crowd``.
        input_tokens: of its calls; None where nobody said.
        output_tokens: the same of the answers.
        cost_nano_usd: of its calls; None for none with a price.
        unpriced: whether there are calls whose price nobody knows.
        words: what else there is to say of it.
        ends: whether it is the last one in its place, and the same of those above it but the root.
        below: the lines inside of it.
    """

    title: str
    began_at: float
    started_at: float | None
    ended_at: float | None
    status: str
    input_tokens: int | None
    output_tokens: int | None
    cost_nano_usd: int | None
    unpriced: bool
    words: list[str]
    ends: tuple[bool, ...] = ()
    below: list[Line] = field(default_factory=list)


class Page(NamedTuple):
    """What is shown of a run.

    Attributes:
        lines: from the top, each before those inside of it.
        spans: how many spans the run has.
        hidden: how many of them have no line of their own.
    """

    lines: list[Line]
    spans: int
    hidden: int


def page_of(root: JournalSpan, *, limit: int = MOST_LINES, depth: int | None = None) -> Page:
    """Choose the lines of a run.

    Args:
        root: its tree of spans.
        limit: the most lines.
        depth: the most levels below the root; None for all.
    """
    top = _line_of(root)
    queue = deque([(root, top, 0)])
    used, shown = 1, 1
    while queue:
        span, line, level = queue.popleft()
        inner = _inner(span, max(SHOWN, limit // SHARE))
        if (depth is not None and level >= depth) or used + len(inner) > limit:
            if span.below:
                line.words.append(f"+{plural(sum(1 for _ in walk(span)) - 1, 'span')}")
            continue
        used += len(inner)
        for below, inside in inner:
            line.below.append(inside)
            if below is not None:
                shown += 1
                queue.append((below, inside, level + 1))
    spans = sum(1 for _ in walk(root))
    return Page(list(_in_order(top)), spans, spans - shown)


def _inner(span: JournalSpan, most: int) -> list[tuple[JournalSpan | None, Line]]:
    """Return the lines inside of a span, as they began; those of crowds come last."""
    found = crowds(span.below, lambda below: below.title, _dullness, most)
    shown = sorted((each for crowd in found for each in crowd.shown), key=_beginning)
    lines: list[tuple[JournalSpan | None, Line]] = [(each, _line_of(each)) for each in shown]
    lines += [(None, _line_of_many(crowd.kind, crowd.hidden)) for crowd in found if crowd.hidden]
    return lines


def _beginning(span: JournalSpan) -> float:
    return span.began_at


def _dullness(span: JournalSpan) -> tuple[int, float]:
    lasted = 0.0 if span.ended_at is None else span.ended_at - span.began_at
    return _DULL.get(span.status, 0), -lasted


def _in_order(top: Line) -> Iterator[Line]:
    pending = [top]
    while pending:
        line = pending.pop()
        yield line
        for below in line.below:
            below.ends = (*line.ends, below is line.below[-1])
        pending.extend(reversed(line.below))


def _line_of(span: JournalSpan) -> Line:
    return Line(
        title=span.title,
        began_at=span.began_at,
        started_at=span.started_at,
        ended_at=span.ended_at,
        status=span.status,
        input_tokens=span.input_tokens,
        output_tokens=span.output_tokens,
        cost_nano_usd=span.cost_nano_usd,
        unpriced=span.unpriced,
        words=list(_words(span)),
    )


def _words(span: JournalSpan) -> Iterator[str]:
    if span.status != "completed":
        why = span.error_class or span.reason if span.status == "failed" else None
        yield f"failed: {why}" if why else span.status
    if span.attempts > 1:
        yield plural(span.attempts, "attempt")
    if span.instead_of is not None:
        yield "fallback"  # from the failed line above it; --json says which that is


def _line_of_many(kind: str, spans: list[JournalSpan]) -> Line:
    """Return the line of spans that have none of their own, with all that is inside of them."""
    inside = [span for each in spans for span, _, _ in walk(each)]
    costs = [span.cost_nano_usd for span in inside if span.cost_nano_usd is not None]
    ends = [span.ended_at for span in spans]
    statuses = {span.status for span in spans}
    return Line(
        title=f"{len(spans):,} more {kind}",
        began_at=min(span.began_at for span in spans),
        started_at=min(span.began_at for span in spans),
        ended_at=None if None in ends else max(end for end in ends if end is not None),
        status=CROWD,
        input_tokens=_sum(span.input_tokens for span in inside),
        output_tokens=_sum(span.output_tokens for span in inside),
        cost_nano_usd=sum(costs) if costs else None,
        unpriced=any(span.unpriced for span in inside),
        words=[statuses.pop() if len(statuses) == 1 else counted(span.status for span in spans)],
    )


def _sum(counts: Iterator[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
