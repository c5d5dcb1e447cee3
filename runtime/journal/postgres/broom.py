"""The connection that takes runs out of a server's journal which others may be writing.

A run's row is locked before the run goes, as every writer of the run does first. There is no index
of words, and the server gives what is free to new records rather than to the disk.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import TYPE_CHECKING

from runtime.journal.faults import DatabaseFault, JournalUnusable, describe
from runtime.journal.postgres.driver import SCHEMA, ServerConnection
from runtime.journal.postgres.schema import upgrade
from runtime.journal.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.journal.location import Address
    from runtime.journal.sweep import Told

_SESSION = {"lock_timeout": "20s", "idle_in_transaction_session_timeout": "600s"}
_TURN_S = 0.005  # between two transactions
_PRIVATE = 0o600  # who may read an archive: a database has no such mode
_TABLES = ("run", "journal", "blob", "call", "spending", "branch")
_SIZE = f"""
    SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
    WHERE relnamespace = to_regnamespace('{SCHEMA}') AND relkind = 'r'
"""  # noqa: S608  # our own name
_COLUMNS = """
    SELECT attname::text FROM pg_attribute
    WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


class ServerBroom(Sweep):
    """A connection that deletes from a server."""

    connection: ServerConnection

    def __init__(self, connection: ServerConnection, told: Told, *, rehearses: bool) -> None:
        super().__init__(connection, told, size_of(connection))
        self._rehearses = rehearses
        self._never = threading.Event()

    @classmethod
    @contextmanager
    def opened(cls, address: Address, told: Told, *, rehearses: bool) -> Iterator[ServerBroom]:
        """Open a journal, which may be new; it is closed when the block ends.

        Args:
            address: where it is.
            told: see ``Sweep``.
            rehearses: whether nothing of what is done shall stay.

        Raises:
            JournalUnusable: it cannot be written, or is none.
        """
        try:
            connection = ServerConnection(address, _SESSION)
            with closing(connection):
                upgrade(connection)
                if rehearses:
                    connection.execute("BEGIN")  # closed before it is committed
                yield cls(connection, told, rehearses=rehearses)
        except DatabaseFault as error:
            raise JournalUnusable(describe(address, error)) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write something, all of it or nothing."""
        if self._rehearses:
            yield
            return
        self._execute("BEGIN")
        try:
            yield
            self._execute("COMMIT")
        except BaseException:
            if not self.connection.is_broken:
                self._execute("ROLLBACK")
            raise

    def reading(self) -> AbstractContextManager[None]:
        """See a run as it is now until the block ends: its row is locked when it is looked at."""
        return self.transaction()

    def pause(self) -> None:
        """Let others have their turn."""
        if not self._rehearses:
            self._never.wait(_TURN_S)

    def mode(self) -> int:
        """Return who may read and write an archive: whoever makes it."""
        return _PRIVATE

    def used_bytes(self) -> int:
        """Return how many bytes the tables have."""
        return self.size()

    def size(self) -> int:
        """Return how many bytes the tables and their indexes have of the server's disk."""
        return size_of(self.connection)

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table."""
        return [name for (name,) in self._execute(_COLUMNS, (f"{SCHEMA}.{table}",))]

    def enforce_references(self) -> None:
        """Do nothing: a server always does."""

    def convert(self) -> None:
        """Do nothing: every version's tables can be vacuumed."""

    def compact(self) -> None:
        """Let new records have the room of those that are gone."""
        if not self._rehearses:
            for table in _TABLES:
                self._execute(f"VACUUM (ANALYZE) {SCHEMA}.{table}")

    def _alone(self) -> AbstractContextManager[None]:
        return nullcontext()

    def _forget_words(self) -> None:
        """Do nothing: there is no index of words."""


def size_of(connection: ServerConnection) -> int:
    """Return how many bytes the tables and their indexes have of the server's disk."""
    size: int = connection.execute(_SIZE).fetchone()[0]
    return size
