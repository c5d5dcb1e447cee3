"""A journal is kept below a size while a process has it open.

Off unless somebody asks for it: what runs did is for their owner to throw away, and an audit trail
may be wanted for years. Without a bound a warning is logged when the journal passes a gigabyte,
some ten thousands of runs.

A thread looks once a minute. It takes the oldest runs that are over, to a tenth below the bound,
so that it need not come back for each new record; it has a connection of its own and works in
short turns, see ``broom``. Several processes may do that to one journal. When its process ends it
stops at its next turn, and the next process goes on; that it is killed does no harm either.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runtime.errors import ConfigurationError
from runtime.journal.broom import size_of
from runtime.journal.faults import STORE_FAULTS, JournalFailed
from runtime.journal.over import Selection, free_pages, used_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGE_BYTES = 1_000_000_000  # a journal without a bound is worth a word from there on
_EVERY_S = 60.0
_END_S = 2.0  # what a turn may take when the process ends; it is killed without harm
_TARGET = 0.9  # of the bound

_log = logging.getLogger("runtime.journal")


@dataclass(frozen=True, slots=True)
class Bound:
    """How large a journal may become.

    Attributes:
        max_bytes: bytes of its file that may be in use; None for any number.
        archive: the folder that gets the runs which leave it; None deletes them.
    """

    max_bytes: int | None = None
    archive: Path | None = None


class _Stopped(Exception):
    """The process ends."""


class Caretaker:
    """The thread. Start it when the journal is open, and stop it when that is closed."""

    def __init__(self, path: Path, bound: Bound, *, every_s: float = _EVERY_S) -> None:
        self._path = path.resolve()
        self._bound = bound
        self._every_s = every_s
        self._said: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-size", daemon=True)

    def __repr__(self) -> str:
        return f"<Caretaker {self._path} [{self._bound}]>"

    def start(self) -> None:
        """Look at once, and from then on once a minute."""
        self._thread.start()

    def stop(self) -> None:
        """End it, at its next turn."""
        self._stopping.set()
        self._thread.join(_END_S)

    def _run(self) -> None:
        while True:
            try:
                self._look()
            except _Stopped:
                return
            except (JournalFailed, ConfigurationError, *STORE_FAULTS) as error:
                self._warn("the journal is not kept below its size", {"error": str(error)})
            if self._stopping.wait(self._every_s):
                return

    def _look(self) -> None:
        size, most = size_of(self._path), self._bound.max_bytes
        if most is None and size > LARGE_BYTES:
            advice = "data vacuum --max-mb N, data archive, or MAGSAG_JOURNAL_MAX_MB"
            self._warn("the journal is large", {"bytes": size, "advice": advice})
        if most is not None and size > most and self._can_shrink(most):
            self._reduce(most)

    def _can_shrink(self, most: int) -> bool:
        """Whether too much is in use, or what was freed is not given back yet."""
        with self._reading() as connection:
            return used_bytes(connection) > most or free_pages(connection) > 0

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True)) as connection:
            yield connection

    def _reduce(self, most: int) -> None:
        from runtime.journal.vacuum import move  # noqa: PLC0415  # for a journal that has a bound

        selection = Selection(max_bytes=int(most * _TARGET))
        freed = move(self._path, selection, datetime.now(UTC), self._bound.archive, self._go_on)
        _log.info(
            "the journal was made smaller",
            extra={"runs": freed.runs, "bytes": freed.bytes, "archives": len(freed.archives)},
        )
        with self._reading() as connection:
            used = used_bytes(connection)
        if used > most:
            why = "nothing more is over; what is left is under way, waits, or can be resumed"
            self._warn("the journal stays above its size", {"bytes": used, "max": most, "why": why})

    def _go_on(self, _done: str, _runs: int) -> None:
        if self._stopping.is_set():
            raise _Stopped

    def _warn(self, what: str, facts: dict[str, object]) -> None:
        """Log something once, not every minute."""
        if what not in self._said:
            self._said.add(what)
            _log.warning(what, extra={"journal": str(self._path), **facts})
