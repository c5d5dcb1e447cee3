"""Names the actor that blocks the event loop, while it does.

The loop sets a flag four times in the allowed interval; a thread looks whether it is still being
set. When it is not, the task that the loop is running carries its actor's name.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback

logger = logging.getLogger("runtime.actors")


class Watchdog:
    """Watches the running event loop from a thread of its own.

    Attributes:
        blocked: how many times the loop was found blocked.
        last: the name of the task that blocked it last; empty before.
    """

    def __init__(self, limit_s: float = 1.0) -> None:
        self.blocked = 0
        self.last = ""
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._beat = threading.Event()
        self._stopped = threading.Event()
        self._timer = self._loop.call_soon(self._on_beat)
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watch; safe to call twice."""
        self._stopped.set()
        self._beat.set()
        self._timer.cancel()
        self._thread.join()

    def _on_beat(self) -> None:
        self._beat.set()
        if not self._stopped.is_set():
            self._timer = self._loop.call_later(self._limit_s / 4, self._on_beat)

    def _watch(self) -> None:
        while not self._stopped.is_set():
            if not self._beat.wait(self._limit_s):
                self._report()
                self._beat.wait()
            self._beat.clear()
            self._stopped.wait(self._limit_s / 4)

    def _report(self) -> None:
        task = asyncio.current_task(self._loop)
        self.blocked += 1
        self.last = task.get_name() if task is not None else "a callback"
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001  # no public way to see another thread
        where = traceback.extract_stack(frame)[-1] if frame is not None else None
        logger.warning(
            "the event loop is blocked",
            extra={
                "actor": self.last,
                "where": f"{where.filename}:{where.lineno}" if where is not None else "",
                "limit_s": self._limit_s,
            },
        )
