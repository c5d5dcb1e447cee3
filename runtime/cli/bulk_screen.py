"""The progress bar of many lines on a terminal."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TextIO, cast

from rich.console import Console
from rich.file_proxy import FileProxy
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from runtime.cli.refresh import refreshed
from runtime.cli.streams import flush_logs
from runtime.cli.text import money, tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.bulk.tally import Tally


class BulkScreen:
    """Shows a tally while it grows.

    Args:
        tally: the tally.

    Attributes:
        log: the stream for log lines, which appear above the bar.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._console = Console(stderr=True)
        self.log = cast("TextIO", FileProxy(self._console, sys.stderr))
        self._progress = Progress(
            BarColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
        )
        self._task = self._progress.add_task("", total=None, told="")

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Show the bar until the block ends; its last state stays on the terminal."""
        with self._progress:
            async with refreshed(self._draw):
                yield
            flush_logs()  # so that they still come to stand above it

    def _draw(self) -> None:
        tally = self._tally
        speed = self._progress.tasks[0].finished_speed or self._progress.tasks[0].speed
        self._progress.update(
            self._task, completed=tally.done, total=tally.total, told=told(tally, speed)
        )
        self._progress.refresh()


def told(tally: Tally, speed: float | None) -> str:
    """Return what the bar says beside itself.

    Args:
        tally: the tally.
        speed: lines a second; None while nobody knows.
    """
    of_all = "" if tally.total is None else f"/{tally.total:,}"
    facts = [
        f"{tally.done:,}{of_all} lines",
        f"{tally.failed:,} failed",
        f"{tokens(tally.tokens)} tokens",
        money(tally.cost),
        *([f"{speed:,.1f}/s"] if speed else []),
    ]
    return ", ".join(facts)
