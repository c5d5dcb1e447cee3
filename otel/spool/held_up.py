"""Work that waits for room in the spool: told when it begins to, each minute, and when it is over.

A run that stands still without a word looks like a bug of the runtime.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import anyio

from otel.spool.settings import FOLDER, MOST_MEGABYTES, WHEN_FULL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger("otel.spool")

_TOLD_EVERY_S: Final = 60.0


class HeldUp:
    """Who waits for room, in all tasks and threads.

    Args:
        folder: the spool that is full.
        endpoint: the collector that does not make room, for people to read.
    """

    def __init__(self, folder: Path, endpoint: str) -> None:
        self._folder = folder
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._waiting = 0
        self._since = self._told_at = 0.0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one that waits; the first and the last are told of."""
        with self._lock:
            self._waiting += 1
            is_first = self._waiting == 1
            if is_first:
                self._since = self._told_at = anyio.current_time()
        if is_first:
            _log.warning(
                "new work waits: %s and the memory are full of spans that %s does not take; a"
                " collector that answers makes room, and so do a larger %s, or another folder in"
                " %s; with %s=lose nothing waits, and spans are lost",
                self._folder, self._endpoint, MOST_MEGABYTES, FOLDER, WHEN_FULL,
                extra=self._place,
            )  # fmt: skip
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
                is_last, waited_s = not self._waiting, anyio.current_time() - self._since
            if is_last:
                _log.warning(
                    "no work waits for room for spans any more, after %.0f s",
                    waited_s,
                    extra=self._place,
                )

    def remind(self) -> None:
        """Say once a minute that somebody waits still."""
        with self._lock:
            now = anyio.current_time()
            if now - self._told_at < _TOLD_EVERY_S:
                return
            self._told_at = now
            waiting, waited_s = self._waiting, now - self._since
        _log.warning(
            "new work still waits for room for spans, %d at a time, for %.0f s; %s takes none",
            waiting,
            waited_s,
            self._endpoint,
            extra=self._place,
        )

    @property
    def _place(self) -> dict[str, str]:
        return {"endpoint": self._endpoint}
