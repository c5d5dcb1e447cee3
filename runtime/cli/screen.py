"""The tree of agents on a terminal, while a run lasts."""

from __future__ import annotations

import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TextIO, cast

from rich.console import Console
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from runtime.cli.progress import Progress
from runtime.cli.refresh import refreshed
from runtime.cli.streams import flush_logs
from runtime.cli.text import TIMES, duration, money, plural, tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from runtime.cli.progress import Row, State
    from runtime.journal import Record

STYLES: Mapping[State, str] = {
    "done": "green",
    "failed": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "queued": "dim",
}


class Screen:
    """What a person sees of a run. Give ``take`` every record.

    Attributes:
        log: the stream for log lines, which appear above the tree.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._progress = Progress()
        self._console = Console(stderr=True)
        self.log = cast("TextIO", FileProxy(self._console, sys.stderr))
        self._live = Live(
            console=self._console, auto_refresh=False, redirect_stdout=sys.stdout.isatty()
        )

    def take(self, record: Record) -> None:
        """Take note of a record; it shows at the next refresh."""
        self._progress.take(record)

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Show the tree until the block ends; its last state stays on the terminal."""
        with self._live:
            async with refreshed(self._draw):
                yield
            flush_logs()  # so that they still come to stand above it

    def _draw(self) -> None:
        tree = draw(self._title, self._progress, time.time_ns() / 1e9)
        self._live.update(tree, refresh=True)


def draw(title: str, progress: Progress, now: float) -> Tree:
    """Return the tree as rich draws it."""
    rows = list(progress.rows(now))
    tree = Tree(heading(title, rows), guide_style="dim")
    branches = [tree]
    for row in rows:
        del branches[row.depth + 1 :]
        branches.append(branches[row.depth].add(label(row)))
    return tree


def heading(title: str, rows: Sequence[Row]) -> Text:
    """Return the first line: what runs, and what all agents together have asked and spent."""
    asking = [row for row in rows if row.calls]
    costs = [row.cost_nano_usd for row in asking if row.cost_nano_usd is not None]
    calls, used = sum(row.calls for row in asking), sum(row.tokens for row in asking)
    spent = money(None if asking and not costs else sum(costs))
    text = Text(title, style="bold")
    return text.append(f"  {plural(calls, 'call')}, {tokens(used)} tokens  {spent}", "not bold dim")


def label(row: Row) -> Text:
    """Return a line: the agent, its tasks by state, its tokens, cost and time."""
    many = row.tasks != 1
    text = Text(f"{row.agent} {TIMES} {row.tasks:,}: " if many else f"{row.agent} ")
    for number, (state, count) in enumerate(row.counts.items()):
        words = f"{count:,} {state}" if many else state
        text.append(", " if number else "").append(words, style=STYLES[state])
    if row.restarts:
        text.append(f", restarted {TIMES} {row.restarts}", "red")
    facts = [duration(row.elapsed_s)]
    if row.calls:
        spent = f"{plural(row.calls, 'call')}, {tokens(row.tokens)} tokens"
        facts = [spent, money(row.cost_nano_usd), *facts]
    return text.append(f"  {'  '.join(facts)}", style="dim")
