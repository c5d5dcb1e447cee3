"""The journal as commands find it that add it up or look through it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cli.places import MEMORY, journal_location
from runtime.cli.streams import say
from runtime.errors import ConfigurationError
from runtime.journal import JournalFailed
from runtime.journal.reading import schema_of
from runtime.journal.schema import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.journal.location import Location


def find_journal(database: str | None) -> Location:
    """Return where the journal is, which need not be there yet.

    Args:
        database: what ``--db`` says.

    Raises:
        ConfigurationError: it says ``:memory:``, which ends with its process.
    """
    location = journal_location(database, os.environ, Path.cwd())
    if location is None:
        raise ConfigurationError(f"--db {MEMORY} keeps nothing to look at; name a file")
    # One file has one lock and one index, by whatever link.
    return location.resolve() if isinstance(location, Path) else location


def is_there(location: Location) -> bool:
    """Return whether there is a journal; say so where there is none yet.

    Raises:
        ConfigurationError: it is a folder.
        JournalFailed: a server is not to be had.
    """
    return _version(location) is not None


def is_begun(location: Location) -> bool:
    """Return whether there is a journal to read; say so where there is none yet.

    Raises:
        ConfigurationError: it is a folder, or an earlier version's.
        JournalFailed: a server is not to be had.
    """
    version = _version(location)
    check_version(location, version)
    return version is not None


def check_version(location: Location, version: int | None) -> None:
    """Refuse a journal whose tables are not those that are read here.

    Raises:
        ConfigurationError: it is an earlier version's.
    """
    if version and version < VERSION:
        raise ConfigurationError(
            f"journal {location} is an earlier version's; {_upgrade(location)} brings it up to date"
        )


def _upgrade(location: Location) -> str:
    if isinstance(location, Path):
        return f"python -m runtime data vacuum --db {location} deletes nothing and"
    return "the next run there"


def _version(location: Location) -> int | None:
    if isinstance(location, Path) and location.is_dir():
        raise ConfigurationError(f"journal {location} is a folder; name a file in it with --db")
    version = schema_of(location)
    if version is None:
        say(f"there is no journal {location} yet; see --db")
    return version


@contextmanager
def journal_faults() -> Iterator[None]:
    """Say of a journal that cannot be read that the command line is wrong: no run has failed here.

    Raises:
        ConfigurationError: the journal could not be read or written.
    """
    try:
        yield
    except JournalFailed as error:
        raise ConfigurationError(str(error)) from error
