"""Queries on a server, beside the writer: read-only sessions that make nothing."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from runtime.journal.faults import DatabaseFault, JournalFailed, describe
from runtime.journal.liveness import is_lost
from runtime.journal.postgres.driver import ServerConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from runtime.journal.connection import Cursor
    from runtime.journal.location import Address

_MOST_AT_ONCE = 4
_SESSION: Mapping[str, str] = {
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "repeatable read",  # all sums of a block are of one moment
    "statement_timeout": "120s",
    "lock_timeout": "20s",
}

_OWNERS = """
    SELECT DISTINCT extract(epoch FROM now())::float8, owner, pid, host, held_until
    FROM run LEFT JOIN lease USING (owner) WHERE status = 'running' AND pid IS NOT NULL
"""
_TELL = "SELECT set_config('magsag.lost', ?, false)"


class PostgresSource:
    """A server, asked by a few threads at a time.

    Args:
        address: the database.
        most_idle: connections that are kept from one query to the next.
    """

    def __init__(self, address: Address, most_idle: int) -> None:
        self._address = address
        self._most_idle = most_idle
        self._idle: list[ServerConnection] = []
        self._limiter = anyio.CapacityLimiter(_MOST_AT_ONCE)

    async def rows(self, query: str, parameters: Any, make: Callable[[Any], Any]) -> list[Any]:
        """Return what is made of each row of a query; see ``Source``."""
        return await anyio.to_thread.run_sync(
            self._answer, query, parameters, make, limiter=self._limiter
        )

    def _answer(self, query: str, parameters: Any, make: Callable[[Any], Any]) -> list[Any]:
        try:
            return self._asked(query, parameters, make)
        except DatabaseFault as error:
            raise JournalFailed(describe(self._address, error)) from error

    def _asked(self, query: str, parameters: Any, make: Callable[[Any], Any]) -> list[Any]:
        while self._idle:
            connection = self._idle.pop()
            try:
                return self._asked_of(connection, query, parameters, make)
            except DatabaseFault:
                if not connection.is_broken:
                    raise
                # The server was restarted while nobody asked: another connection may do.
        return self._asked_of(_connected(self._address), query, parameters, make)

    def _asked_of(
        self,
        connection: ServerConnection,
        query: str,
        parameters: Any,
        make: Callable[[Any], Any],
    ) -> list[Any]:
        try:
            found = [make(row) for row in connection.execute(query, parameters)]
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < self._most_idle:
            self._idle.append(connection)
        else:
            connection.close()
        return found

    async def close(self) -> None:
        """Let go of the connections that are kept."""
        self._most_idle = 0
        while self._idle:
            self._idle.pop().close()


class ReadingConnection(ServerConnection):
    """A session whose SQL knows which processes have lost their runs, as soon as it asks."""

    _knows_the_losers = False

    def execute(self, text: str, parameters: Any = (), /) -> Cursor:
        """Carry out a query; see ``Connection``."""
        if "is_lost(" in text and not self._knows_the_losers:
            self._knows_the_losers = True
            owners = super().execute(_OWNERS).fetchall()
            lost = [_key(*row[1:4]) for row in owners if is_lost(*row)]
            super().execute(_TELL, ("\n".join(lost),))
        if self.in_transaction:  # a block that adds up or looks through any number of rows
            return self.streamed(text, parameters)
        return super().execute(text, parameters)


def _key(*owner: str | int | None) -> str:
    """Return what is told of an owner, as ``concat_ws`` makes it of the same columns."""
    return "/".join(str(part) for part in owner if part is not None)


def _connected(address: Address) -> ReadingConnection:
    return ReadingConnection(address, _SESSION)


@contextmanager
def reading_server(address: Address) -> Iterator[ServerConnection]:
    """Open a session that reads; see ``reading``."""
    try:
        with closing(_connected(address)) as connection:
            yield connection
    except DatabaseFault as error:
        raise JournalFailed(describe(address, error)) from error
