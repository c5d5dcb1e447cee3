"""Whether another connection has written to the file: a look costs some microseconds, no query."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Watch:
    """Looks at a journal's file from any thread, one at a time."""

    def __init__(self, path: Path) -> None:
        self._address = f"{path.as_uri()}?mode=ro"
        self._connection: sqlite3.Connection | None = None
        self._version = -1
        self._lock = threading.Lock()

    def changed(self) -> bool:
        """Return whether anybody has written since the last look; True for the first one.

        Raises:
            sqlite3.Error: the file cannot be read.
        """
        with self._lock:
            if self._connection is None:
                self._connection = sqlite3.connect(
                    self._address, uri=True, check_same_thread=False, isolation_level=None
                )
            before = self._version
            self._version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            return self._version != before

    def close(self) -> None:
        """Let go of the file; a further look opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
                self._version = -1
