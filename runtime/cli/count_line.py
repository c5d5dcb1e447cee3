"""How far long work is, on one line of a terminal that is written over and cleared at the end."""

from __future__ import annotations

import sys

from runtime.cli.text import plural


class CountLine:
    """Shows a count, in place of the last one."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._drawn = False

    def rows(self, count: int) -> None:
        """Show a number of rows."""
        self._show(plural(count, "row"))

    def runs(self, done: str, count: int) -> None:
        """Show with how many runs something is done."""
        self._show(f"{done} {plural(count, 'run')}")

    def end(self) -> None:
        """Clear the line."""
        if self._drawn:
            self._draw("\r\x1b[K")

    def _show(self, text: str) -> None:
        if self._shown:
            self._draw(f"\r{text}")

    def _draw(self, text: str) -> None:
        self._drawn = True
        sys.stderr.write(text)
        sys.stderr.flush()
