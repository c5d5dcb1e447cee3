"""``trace show``: a run's waterfall on a terminal, on a pipe or as data."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from runtime.cli.history import History
from runtime.cli.liveness import status_of
from runtime.cli.report import summary
from runtime.cli.streams import emit, emit_json, say
from runtime.cli.text import plural
from runtime.cli.trace_lines import MOST_LINES, page_of
from runtime.cli.trace_span import walk
from runtime.cli.trace_tree import SpanTree
from runtime.cli.trace_waterfall import ASCII, BOXES, Times, draw
from runtime.identity import wall_clock
from runtime.outcome import outcome_of

if TYPE_CHECKING:
    from runtime.cli.trace_lines import Page
    from runtime.cli.trace_span import JournalSpan
    from runtime.cli.trace_waterfall import Glyphs, Piece
    from runtime.journal import RunRow

PIPE_WIDTH = 100
LEAST_WIDTH = 60


class _Read(NamedTuple):
    row: RunRow
    root: JournalSpan
    times: Times


def show_trace(
    database: str | None, name: str, *, limit: int | None, depth: int | None, as_json: bool
) -> None:
    """Print a run's waterfall.

    Args:
        database: what ``--db`` says.
        name: the run's id, the beginning of it, or ``last``.
        limit: the most lines, or spans as data; None for a page of them, and for all as data.
        depth: the most levels below the run; None for all.
        as_json: print a list of objects instead.

    Raises:
        UnknownName: no run begins so, or several do.
        JournalFailed: it cannot be read.
    """
    read = anyio.run(_read, History(database), name)
    if as_json:
        _print_data(read, limit, depth)
    else:
        page = page_of(read.root, limit=limit or MOST_LINES, depth=depth)
        _print_page(read, page)


async def _read(history: History, name: str) -> _Read:
    row = await history.find(name)
    tree = SpanTree(row)
    async for event in history.events(row.run_id):
        tree.take(event)
    root = tree.close()
    ended_at = wall_clock() if root.status == "running" else root.ended_at or tree.last_at
    return _Read(row, root, Times(root.began_at, ended_at))


def _print_data(read: _Read, limit: int | None, depth: int | None) -> None:
    chosen: list[dict[str, Any]] = []
    left_out = 0
    for span, above, level in walk(read.root):
        if (depth is not None and level > depth) or (limit is not None and len(chosen) >= limit):
            left_out += 1
        else:
            parent = None if above is None else above.op
            chosen.append(span.as_json(read.root.began_at, parent, level))
    emit_json(chosen)
    if left_out:
        say(f"{plural(left_out, 'span')} not printed, see --limit and --depth")


def _print_page(read: _Read, page: Page) -> None:
    on_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns if on_terminal else PIPE_WIDTH
    drawn = draw(page.lines, read.times, max(width, LEAST_WIDTH), _glyphs())
    shown = [[(_head(read), "bold")], *drawn]
    if page.hidden:
        told = (
            f"{page.hidden:,} of {plural(page.spans, 'span')} have no line of their own;"
            " --limit and --depth say how many have, --json has all"
        )
        shown.append([(told, "dim")])
    emit(_coloured(shown) if on_terminal else _plain(shown))


def _head(read: _Read) -> str:
    outcome = outcome_of(read.row)
    lasted = read.times.ended_at - read.times.began_at
    return summary(replace(outcome, status=status_of(read.row), duration_s=lasted))


def _glyphs() -> Glyphs:
    try:
        "".join(BOXES).encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return BOXES


def _plain(lines: list[list[Piece]]) -> str:
    return "\n".join("".join(text for text, _ in pieces).rstrip() for pieces in lines)


def _coloured(lines: list[list[Piece]]) -> str:
    """Return lines with the colours that the terminal and ``NO_COLOR`` allow."""
    from rich.console import Console  # noqa: PLC0415  # only where a terminal is
    from rich.text import Text  # noqa: PLC0415  # as above

    console = Console(file=sys.stdout, highlight=False)
    with console.capture() as captured:
        for pieces in lines:
            console.print(Text.assemble(*pieces), soft_wrap=True)
    return captured.get()
