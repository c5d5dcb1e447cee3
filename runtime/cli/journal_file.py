"""The journal's file as commands find it that add it up or look through it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cli.places import MEMORY, journal_path
from runtime.cli.streams import say
from runtime.errors import ConfigurationError
from runtime.journal import JournalFailed
from runtime.journal.schema import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator


def find_journal(database: str | None) -> Path:
    """Return the journal's file, which need not be there yet.

    Args:
        database: what ``--db`` says.

    Raises:
        ConfigurationError: it says ``:memory:``, which ends with its process.
    """
    path = journal_path(database, os.environ, Path.cwd())
    if path is None:
        raise ConfigurationError(f"--db {MEMORY} keeps nothing to look at; name a file")
    return path.resolve()  # one file has one lock and one index, by whatever link


def is_there(path: Path) -> bool:
    """Return whether there is a journal; say so where there is none yet.

    Raises:
        ConfigurationError: it is a folder.
    """
    if path.is_dir():
        raise ConfigurationError(f"journal {path} is a folder; name a file in it with --db")
    if not path.is_file():
        say(f"there is no journal {path} yet; see --db")
        return False
    return True


def is_begun(path: Path) -> bool:
    """Return whether there is a journal to read; say so where there is none yet.

    Raises:
        ConfigurationError: it is a folder, or an earlier version's.
    """
    if not is_there(path):
        return False
    check_schema(path)
    return True


def check_schema(path: Path) -> None:
    """Refuse a journal whose tables are not those that are read here.

    Raises:
        ConfigurationError: it is an earlier version's.
    """
    if 0 < _schema(path) < VERSION:
        raise ConfigurationError(
            f"journal {path} is an earlier version's; python -m runtime data vacuum --db {path}"
            " deletes nothing and brings it up to date"
        )


def _schema(path: Path) -> int:
    """Return the version of a journal's tables; 0 for what is none, which its reader tells."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error:
        return 0
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
