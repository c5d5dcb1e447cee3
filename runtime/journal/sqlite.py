"""The default journal: one SQLite file, written by one thread in groups, read beside it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self, get_args

from runtime.journal.schema import Synchronous
from runtime.journal.store import FileStore
from runtime.journal.stored import StoredJournal

if TYPE_CHECKING:
    import os

_CHECKPOINT_BYTES = 64 * 1024 * 1024


class SqliteJournal(StoredJournal):
    """A ``Journal`` in a SQLite file that several processes may share."""

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        *,
        synchronous: Synchronous = "full",
        high_water: int = 10_000,
        give_up_s: float = 30.0,
        checkpoint_bytes: int = _CHECKPOINT_BYTES,
    ) -> Self:
        """Open a journal, and create its file and folder where there are none.

        Args:
            path: the file; beside it there will be ``-wal``, ``-shm`` and ``-lock``.
            synchronous: ``full`` survives a power cut; ``normal`` only the death of the process,
                and saves the sync of each commit.
            high_water: see ``StoredJournal``.
            give_up_s: see there.
            checkpoint_bytes: above which length the write-ahead log is emptied.

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
        )
        return await journal._started()


def _file(path: str | os.PathLike[str]) -> Path:
    return Path(path).resolve()  # one file has one lock, by whatever link
