"""Text on a terminal that tells how something stands, while it lasts."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TextIO, cast

from rich.console import Console
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.text import Text

from runtime.cli.refresh import refreshed
from runtime.cli.streams import flush_logs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class LiveText:
    """Text on a terminal that is drawn again and again.

    Attributes:
        log: the stream for log lines, which appear above it.
    """

    def __init__(self) -> None:
        console = Console(stderr=True)
        self.log = cast("TextIO", FileProxy(console, sys.stderr))
        self._live = Live(console=console, auto_refresh=False)

    @asynccontextmanager
    async def shown(self, tell: Callable[[], str]) -> AsyncIterator[None]:
        """Show what is told until the block ends; its last state stays on the terminal."""
        with self._live:
            async with refreshed(lambda: self._live.update(_cut(tell()), refresh=True)):
                yield
            flush_logs()  # so that they still come to stand above it


def _cut(text: str) -> Text:
    """Return lines that end where the terminal does: wrapped columns could not be read."""
    return Text(text, "dim", no_wrap=True, overflow="ellipsis")
