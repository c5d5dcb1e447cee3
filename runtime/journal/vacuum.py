"""Old runs leave a journal that others may be writing, and its file gets small.

Where they are archived, a file of them is whole, on the disk and read back before any of them is
deleted, see ``archive``. An earlier version's file is written anew once, which SQLite does in one
piece: 4 to 20 s for each gigabyte, and ``SqliteJournal`` has the patience of 30 s. A file of this
version gives its free pages back a few at a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import ConfigurationError
from runtime.journal.archive import Archive
from runtime.journal.faults import translated
from runtime.journal.freed import last_day_gone
from runtime.journal.over import runs_over
from runtime.journal.sweeping import rehearsing, sweeping

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from runtime.journal.freed import Freed
    from runtime.journal.location import Address, Location
    from runtime.journal.over import Selection
    from runtime.journal.sweep import Sweep, Told


def vacuum(
    location: Location,
    selections: Sequence[Selection],
    now: datetime,
    *,
    archive: Path | None = None,
    told: Told = lambda *_: None,
) -> Freed:
    """Take old runs out of a journal, forget old spending, and make the file small.

    Args:
        location: where the journal is, a file absolute; it must be there.
        selections: which runs, one after the other; none for none, then no spending either.
        now: the time now, with its zone.
        archive: the folder that gets files of the runs; None deletes them.
        told: is told from time to time how far it is.

    Raises:
        ArchiveUnusable: a file cannot be written; the runs of it are still in the journal.
        JournalUnusable: the journal cannot be written, or is none.
        JournalFailed: something went wrong on the way; whole runs may have gone.
    """
    check_bounds(location, selections)
    with sweeping(location, told) as broom, translated(location):
        _clear(broom, selections, now, archive)
        broom.convert()
        return _compacted(broom)


def rehearse(
    address: Address, selections: Sequence[Selection], now: datetime, *, forgets: bool = True
) -> Freed:
    """Return what ``vacuum`` would do to a server's journal: it is done, and taken back.

    Args:
        address: where the journal is; it must be there.
        selections: which runs would go.
        now: the time now, with its zone.
        forgets: whether old spending would be forgotten.

    Raises:
        JournalUnusable: the journal cannot be written, or is none.
        JournalFailed: something went wrong on the way.
    """
    check_bounds(address, selections)
    with rehearsing(address) as broom, translated(address):
        if forgets:
            _clear(broom, selections, now, None)
        else:
            move_out(broom, selections, now, None)
        return broom.freed


def check_bounds(location: Location, selections: Sequence[Selection]) -> None:
    """Refuse a bound of the size of what has none.

    Raises:
        ConfigurationError: the journal is a server's.
    """
    is_bound = any(each.max_bytes is not None for each in selections)
    if is_bound and not isinstance(location, Path):
        raise ConfigurationError(
            f"a bound of the size is for a journal in a file, and {location} is a server, which"
            " keeps what is free for new records; say by --older-than what goes"
        )


def _clear(
    broom: Sweep, selections: Sequence[Selection], now: datetime, archive: Path | None
) -> None:
    move_out(broom, selections, now, archive)
    if selections:
        broom.sweep_contents()
        broom.sweep_spending(last_day_gone(now))


def move(
    location: Location,
    selection: Selection,
    now: datetime,
    archive: Path | None,
    told: Told = lambda *_: None,
) -> Freed:
    """Archive or delete runs, and give back what that frees without ever holding up a writer long.

    Args and errors are those of ``vacuum``.
    """
    check_bounds(location, [selection])
    with sweeping(location, told) as broom, translated(location):
        move_out(broom, [selection], now, archive)
        return _compacted(broom)


def _compacted(broom: Sweep) -> Freed:
    broom.compact()
    broom.freed.bytes = broom.shrunk_by()
    return broom.freed


def move_out(
    broom: Sweep,
    selections: Sequence[Selection],
    now: datetime,
    archive: Path | None,
) -> None:
    """Archive or delete the runs of some selections."""
    for selection in selections:
        _Move(broom, selection, now.timestamp()).out(archive)


class _Move:
    """One selection on its way out."""

    def __init__(self, broom: Sweep, selection: Selection, now: float) -> None:
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
