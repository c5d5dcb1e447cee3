"""The default journal: one SQLite file, written by one thread in groups, read beside it."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self, get_args

import anyio.to_thread

from runtime.journal.faults import JournalFailed, describe
from runtime.journal.schema import Synchronous
from runtime.journal.store import FileStore
from runtime.journal.stored import StoredJournal
from runtime.journal.tenure import LEASE_S
from runtime.journal.watch import Watch

if TYPE_CHECKING:
    import os

_CHECKPOINT_BYTES = 64 * 1024 * 1024


class SqliteJournal(StoredJournal):
    """A ``Journal`` in a SQLite file that several processes may share."""

    _watch: Watch

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        *,
        synchronous: Synchronous = "full",
        high_water: int = 10_000,
        give_up_s: float = 30.0,
        checkpoint_bytes: int = _CHECKPOINT_BYTES,
        lease_s: float = LEASE_S,
    ) -> Self:
        """Open a journal, and create its file and folder where there are none.

        Args:
            path: the file; beside it there will be ``-wal``, ``-shm`` and ``-lock``.
            synchronous: ``full`` survives a power cut; ``normal`` only the death of the process,
                and saves the sync of each commit.
            high_water: see ``StoredJournal``.
            give_up_s: see there.
            checkpoint_bytes: above which length the write-ahead log is emptied.
            lease_s: see ``StoredJournal``.

        Raises:
            JournalUnusable: the file cannot be a journal; the error says what to do.
            ValueError: an option has a value that makes no sense.
        """
        if synchronous not in get_args(Synchronous):
            raise ValueError(f"synchronous must be full or normal, got {synchronous!r}")
        file = _file(path)
        journal = cls(
            file,
            partial(FileStore, file, synchronous=synchronous, checkpoint_bytes=checkpoint_bytes),
            silent=f"another process has kept {file}-lock",
            high_water=high_water,
            give_up_s=give_up_s,
            lease_s=lease_s,
        )
        journal._watch = Watch(file)
        return await journal._started()

    async def changed(self) -> bool:
        """Wait for the next look at the file, and return whether others have written to it."""
        await super().changed()
        try:
            return await anyio.to_thread.run_sync(self._watch.changed)
        except sqlite3.Error as error:
            raise JournalFailed(describe(self._location, error)) from error

    async def close(self) -> None:
        """Let go of the file; see ``Journal``."""
        self._watch.close()
        await super().close()


def _file(path: str | os.PathLike[str]) -> Path:
    return Path(path).resolve()  # one file has one lock, by whatever link
