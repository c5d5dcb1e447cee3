"""Ctrl-C while pages are read: it waits for the page, because a query has a thread of its own.

A thread whose event loop was left in the middle of a query ends with a traceback that is nobody's
business. A page is there in a moment; who cannot wait presses Ctrl-C again.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import FrameType


class Interrupts:
    """A context in which the first Ctrl-C is only noted."""

    def __init__(self) -> None:
        self._seen = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # only there are handlers set
            self._before = signal.signal(signal.SIGINT, self._arrived)
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def check(self) -> None:
        """End what is going on if somebody wants that.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        if self._seen:
            raise KeyboardInterrupt

    def _arrived(self, _number: int, _frame: FrameType | None) -> None:
        self.check()
        self._seen = True
