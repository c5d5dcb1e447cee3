"""Reading a journal beside its writer, wherever it is: without a lock, and nobody is waited for."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import aiosqlite

from runtime.journal.faults import JournalFailed, describe
from runtime.journal.readonly import ReadOnly, address_to_read, opened_to_read
from runtime.journal.schema import VERSION, from_the_future

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.journal.connection import Connection
    from runtime.journal.location import Location


class Source(Protocol):
    """Answers queries on a journal without holding up the event loop."""

    async def rows(self, query: str, parameters: Any, make: Callable[[Any], Any]) -> list[Any]:
        """Return what is made of each row of a query.

        Raises:
            JournalFailed: it cannot be read.
        """

    async def close(self) -> None:
        """Let go of what is kept open from one query to the next."""


class FileSource:
    """A journal's file, opened for each query.

    Rows are decoded in aiosqlite's thread, so a long history does not hold up the event loop.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._address = address_to_read(path)

    async def rows(self, query: str, parameters: Any, make: Callable[[Any], Any]) -> list[Any]:
        """Return what is made of each row of a query; see ``Source``."""
        try:
            async with aiosqlite.connect(self._address, uri=True, factory=ReadOnly) as connection:
                # Typed as a class there; sqlite3 takes any function of a cursor and a row.
                connection.row_factory = cast("type", lambda _, row: make(row))
                return list(await connection.execute_fetchall(query, parameters))
        except sqlite3.Error as error:
            raise JournalFailed(describe(self._path, error)) from error

    async def close(self) -> None:
        """Do nothing: nothing is kept open."""


def source_of(location: Location, most_idle: int) -> Source:
    """Return what answers queries on a journal.

    Args:
        location: where it is.
        most_idle: connections to a server that are kept from one query to the next.
    """
    if isinstance(location, Path):
        return FileSource(location)
    from runtime.journal.postgres.source import PostgresSource  # noqa: PLC0415  # an extra

    return PostgresSource(location, most_idle)


@contextmanager
def reading(location: Location) -> Iterator[Connection]:
    """Open a journal to be read; it is closed when the block ends. All of it is of one thread.

    Its SQL has a function ``is_lost`` of owner, pid, host and lease of a run that is not over.

    Raises:
        JournalFailed: it cannot be read, now or later in the block.
    """
    if isinstance(location, Path):
        with _reading_file(location) as connection:
            yield connection
    else:
        from runtime.journal.postgres.source import reading_server  # noqa: PLC0415  # an extra

        with reading_server(location) as connection:
            yield connection


def schema_of(location: Location) -> int | None:
    """Return the version of a journal's tables; None where there is nothing.

    It is 0 for a file that is no journal, which whoever reads it is told.

    Raises:
        JournalFailed: a server is not to be had, or a newer version made the tables there.
    """
    if isinstance(location, Path):
        return _schema_of_file(location) if location.is_file() else None
    from runtime.journal.postgres.schema import version_of  # noqa: PLC0415  # an extra
    from runtime.journal.postgres.source import reading_server  # noqa: PLC0415  # an extra

    with reading_server(location) as connection:
        return version_of(connection) or None


def _schema_of_file(path: Path) -> int:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error:
        return 0
    if version > VERSION:
        raise JournalFailed(from_the_future(path, version))
    return version


@contextmanager
def _reading_file(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(opened_to_read(path)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise JournalFailed(describe(path, error)) from error
