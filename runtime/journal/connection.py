"""What the journal's queries need of a database, so that each of them is written only once.

They are written as SQLite takes them: ``?`` and ``:name`` for parameters, integers for truth. A
connection to another database translates them on the way, see ``postgres.dialect``. What only a
database needs that locks rows is in a comment that begins with ``/*+``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Cursor(Protocol):
    """What a statement has brought."""

    @property
    def rowcount(self) -> int:
        """Rows that the statement has changed."""

    def fetchone(self) -> Any:
        """Return the next row; None behind the last one."""

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection that belongs to one thread at a time."""

    def execute(self, text: str, parameters: Any = (), /) -> Cursor:
        """Carry out a statement."""

    def executemany(self, text: str, rows: Iterable[Any], /) -> Cursor:
        """Carry out a statement for each of some rows."""

    def close(self) -> None:
        """Let go of the database."""
