"""Old runs leave a journal that others may be writing, and its file gets small.

Where they are archived, a file of them is whole, on the disk and read back before any of them is
deleted, see ``archive``. An earlier version's file is written anew once, which SQLite does in one
piece: 4 to 20 s for each gigabyte, and ``SqliteJournal`` has the patience of 30 s. A file of this
version gives its free pages back a few at a time.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from runtime.journal.archive import Archive
from runtime.journal.broom import Broom
from runtime.journal.faults import translated
from runtime.journal.freed import last_day_gone
from runtime.journal.over import runs_over

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from runtime.journal.broom import Told
    from runtime.journal.freed import Freed
    from runtime.journal.over import Selection


def vacuum(
    path: Path,
    selections: Sequence[Selection],
    now: datetime,
    *,
    archive: Path | None = None,
    told: Told = lambda *_: None,
) -> Freed:
    """Take old runs out of a journal, forget old spending, and make the file small.

    Args:
        path: the journal's file, absolute; it must be there.
        selections: which runs, one after the other; none for none, then no spending either.
        now: the time now, with its zone.
        archive: the folder that gets files of the runs; None deletes them.
        told: is told from time to time how far it is.

    Raises:
        ArchiveUnusable: a file cannot be written; the runs of it are still in the journal.
        JournalUnusable: the journal cannot be written, or is none.
        JournalFailed: something went wrong on the way; whole runs may have gone.
    """
    size = size_of(path)
    with Broom.opened(path, told) as broom, translated(path):
        move_out(broom, selections, now, archive)
        if selections:
            broom.sweep_contents()
            broom.sweep_spending(last_day_gone(now))
        broom.convert()
        return _compacted(broom, path, size)


def move(
    path: Path,
    selection: Selection,
    now: datetime,
    archive: Path | None,
    told: Told = lambda *_: None,
) -> Freed:
    """Archive or delete runs, and give back what that frees without ever holding up a writer long.

    Args and errors are those of ``vacuum``.
    """
    size = size_of(path)
    with Broom.opened(path, told) as broom, translated(path):
        move_out(broom, [selection], now, archive)
        return _compacted(broom, path, size)


def _compacted(broom: Broom, path: Path, size: int) -> Freed:
    broom.compact()
    broom.freed.bytes = max(0, size - size_of(path))
    return broom.freed


def move_out(
    broom: Broom,
    selections: Sequence[Selection],
    now: datetime,
    archive: Path | None,
) -> None:
    """Archive or delete the runs of some selections."""
    for selection in selections:
        _Move(broom, selection, now.timestamp()).out(archive)


class _Move:
    """One selection on its way out."""

    def __init__(self, broom: Broom, selection: Selection, now: float) -> None:
        self._broom = broom
        self._most = selection.max_bytes
        self._now = now
        self._runs = runs_over(broom.connection, selection, now)

    def out(self, folder: Path | None) -> None:
        if folder is None:
            self._broom.sweep(self._runs, self._now, self._is_enough)
        else:
            with Archive.opened(folder, self._broom, self._now) as archive:
                while not self._is_enough() and self._archived(archive):
                    self._broom.pause()
        self._broom.freed.over_bytes = self._excess() or 0

    def _archived(self, archive: Archive) -> bool:
        kept = archive.write(self._runs, self._excess())
        if kept is None:
            return False
        self._broom.freed.archives.append(kept.path)
        self._broom.sweep(kept.runs, self._now, lambda: False)
        return True

    def _excess(self) -> int | None:
        """Return by how many bytes the journal is too large; None where nothing says so."""
        return None if self._most is None else max(0, self._broom.used_bytes() - self._most)

    def _is_enough(self) -> bool:
        return self._excess() == 0


def size_of(path: Path) -> int:
    """Return how many bytes a journal's file and its log have."""
    size = path.stat().st_size
    with suppress(FileNotFoundError):
        size += path.with_name(f"{path.name}-wal").stat().st_size
    return size
