"""A connection that only reads a journal's file, also one that an earlier version wrote.

``mode=ro`` is stronger than ``query_only``: such a connection cannot even checkpoint when it is
the last to close. Where the file has no leases yet, as nobody has written it since there are any,
an empty table of this connection stands in.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.identity import wall_clock
from runtime.journal.liveness import is_lost

if TYPE_CHECKING:
    from pathlib import Path

_HAS_LEASES = "SELECT 1 FROM main.sqlite_master WHERE name = 'lease'"
_STAND_IN = "CREATE TEMP TABLE lease (owner TEXT PRIMARY KEY, held_until REAL NOT NULL)"


class ReadOnly(sqlite3.Connection):
    """Made by ``opened_to_read``; its SQL has a function ``is_lost`` of owner, pid, host, lease."""

    _is_ready = False

    def execute(self, text: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Carry out a query; a file that is no database is found out by the first."""
        if not self._is_ready:
            self._is_ready = True
            plain = sqlite3.Cursor(self)  # whatever rows are made into elsewhere
            if plain.execute(_HAS_LEASES).fetchone() is None:
                plain.execute(_STAND_IN)
            self.create_function("is_lost", 4, partial(is_lost, wall_clock()))
        return super().execute(text, parameters)


def address_to_read(path: Path) -> str:
    """Return how SQLite is told to open a file only to read it."""
    return f"{path.resolve().as_uri()}?mode=ro"


def opened_to_read(path: Path) -> ReadOnly:
    """Open a journal's file, which must be there.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    return sqlite3.connect(address_to_read(path), uri=True, factory=ReadOnly)
