"""A connection to PostgreSQL that takes the journal's statements: all of psycopg that there is.

It is psycopg's blocking connection: the writer has a thread of its own, readers borrow one, and
the event loop waits for neither. Its errors leave here as ``DatabaseFault``, without a password.
"""

from __future__ import annotations

import itertools
import logging
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from runtime.errors import ConfigurationError
from runtime.journal.backlog import in_turns
from runtime.journal.faults import DatabaseFault
from runtime.journal.postgres.advice import advice
from runtime.journal.postgres.dialect import copied, statement, storable

try:
    import psycopg
    from psycopg.adapt import Dumper, Loader
    from psycopg.types.numeric import Int8Dumper
    from psycopg.types.string import StrDumperUnknown
except ImportError as error:
    raise ConfigurationError(
        "a journal in PostgreSQL needs psycopg: pip install 'magsag-runtime[postgres]',"
        " or name a file with --db"
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from psycopg.abc import Buffer, PQGen

    from runtime.journal.connection import Cursor
    from runtime.journal.location import Address

# It warns of what it drops behind a statement that was refused; the journal tells of that itself.
logging.getLogger("psycopg").setLevel(logging.ERROR)

SCHEMA = "magsag"
_PAGE = 1_000  # rows
_numbers = itertools.count(1)
OLDEST_SERVER = 130_000  # the first that tells what became of a transaction as we ask for it

# What the address may say otherwise. A server that is gone without a word is noticed by these.
_DEFAULTS = {
    "connect_timeout": 10,
    "application_name": "magsag",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_SESSION: Mapping[str, str] = {
    "search_path": SCHEMA,
    "client_encoding": "UTF8",
    "jit": "off",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_SET = (
    "SELECT set_config(name, value, false) FROM unnest(?::text[], ?::text[]) AS given(name, value)"
)


class RecordFault(DatabaseFault):
    """What was to be written is at fault, not the server."""


class Text(StrDumperUnknown):
    """A text as the server can hold it."""

    def dump(self, obj: str) -> Buffer | None:
        """Return its bytes."""
        return storable(obj)


class Truth(Dumper):
    """A truth value as the journal's tables have it: 0 or 1."""

    oid = psycopg.adapters.types["int8"].oid

    def dump(self, obj: bool) -> Buffer | None:
        """Return its digit."""
        return b"1" if obj else b"0"


class Sum(Loader):
    """A sum of integers, which the server makes a decimal number."""

    def load(self, data: Buffer) -> int:
        """Return it as an integer."""
        return int(bytes(data))


class Pipeline(psycopg.Pipeline):
    """Statements that are sent at once; psycopg's own, but for its last word.

    That asks the server to flush what it has flushed by then. It comes when the server has begun to
    count for how long the transaction is idle, and ends that: a process that is stopped behind a
    pipeline would keep its locks for ever, whatever ``idle_in_transaction_session_timeout`` says.
    """

    def _exit_gen(self) -> PQGen[None]:
        try:
            self._enqueue_sync()
            yield from self._communicate_gen()
        finally:
            yield from self._fetch_gen(flush=False)


class Streamed:
    """The ``Cursor`` of a query whose rows come a few at a time."""

    rowcount = -1  # nobody knows before they have come

    def __init__(
        self,
        cursor: psycopg.ServerCursor[Any],
        faults: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._cursor = cursor
        self._faults = faults

    def __iter__(self) -> Iterator[Any]:
        with self._faults(), self._cursor:
            yield from self._cursor

    def fetchone(self) -> Any:
        """Return the next row; None behind the last one."""
        with self._faults():
            return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        return list(self)


class ServerConnection:
    """A ``Connection`` to PostgreSQL; every statement is its own transaction until ``BEGIN``."""

    def __init__(self, address: Address, settings: Mapping[str, str]) -> None:
        """Connect.

        Args:
            address: the database.
            settings: of the session.

        Raises:
            DatabaseFault: it is not to be had; the error says what to do.
        """
        self._address = address
        self._streams: list[psycopg.ServerCursor[Any]] = []
        with self._faults():
            given = psycopg.conninfo.conninfo_to_dict(address.uri)
            self._raw = psycopg.connect(**_DEFAULTS | given, autocommit=True)  # type: ignore[arg-type]  # any option
        try:
            self._adapt()
            self._begin_session(settings)
        except BaseException:
            self.close()
            raise

    def _adapt(self) -> None:
        adapters = self._raw.adapters
        adapters.register_dumper(str, Text)
        adapters.register_dumper(int, Int8Dumper)
        adapters.register_dumper(bool, Truth)
        adapters.register_loader("numeric", Sum)

    def _begin_session(self, settings: Mapping[str, str]) -> None:
        if self._raw.info.server_version < OLDEST_SERVER:
            raise DatabaseFault(
                f"the server is PostgreSQL {self._raw.info.server_version // 10_000};"
                f" a journal needs {OLDEST_SERVER // 10_000} or newer"
            )
        encoding = self._raw.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise DatabaseFault(
                f"its encoding is {encoding}; make a database with: createdb -T template0 -E UTF8"
            )
        every = {**_SESSION, **settings}
        self.execute(_SET, ([*every], [*every.values()]))

    def execute(self, text: str, parameters: Any = (), /) -> Cursor:
        """Carry out a statement; see ``Connection``."""
        return self.execute_translated(statement(text), parameters)

    def execute_translated(self, text: bytes, parameters: Any = None) -> Cursor:
        """Carry out a statement in the database's own words.

        Raises:
            RecordFault: its parameters break a rule of the tables.
            DatabaseFault: anything else.
        """
        with self._faults():
            return self._raw.execute(text, parameters)

    def streamed(self, text: str, parameters: Any) -> Streamed:
        """Carry out a query whose rows come a few at a time; only within a transaction."""
        with self._faults():
            cursor = self._raw.cursor(name=f"rows_{next(_numbers)}")
            cursor.itersize = _PAGE
            self._streams.append(cursor)
            return Streamed(cursor.execute(statement(text), parameters), self._faults)

    def executemany(self, text: str, rows: Iterable[Any], /) -> Cursor:
        """Carry out a statement for each of some rows; see ``Connection``."""
        is_piped = self._raw._pipeline is not None  # noqa: SLF001  # it would make one of its own
        with self._faults() if is_piped else self.pipeline():
            cursor = self._raw.cursor()
            cursor.executemany(statement(text), rows)
            return cursor

    def copy(self, text: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Carry out a COPY from here, with some rows of texts and numbers."""
        with self._faults(), self._raw.cursor().copy(text.encode()) as copy:
            for turn in in_turns(rows):
                copy.write(copied(turn))

    @contextmanager
    def pipeline(self) -> Iterator[None]:
        """Send what is executed in the block at once, and wait for its results at the end."""
        with self._faults():
            self._raw._pipeline = Pipeline(self._raw)  # noqa: SLF001  # which it enters then
            with self._raw.pipeline():
                yield

    @property
    def is_broken(self) -> bool:
        """Whether the server is gone, or has ended the session."""
        return bool(self._raw.closed)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction was begun, and is not over."""
        return self._raw.info.transaction_status != psycopg.pq.TransactionStatus.IDLE

    def close(self) -> None:
        """Let go of the database."""
        for stream in self._streams:
            with suppress(psycopg.Error):  # it is gone with the transaction
                stream.close()
        self._raw.close()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._fault(error) from error

    def _fault(self, error: psycopg.Error) -> DatabaseFault:
        said = self._address.without_secrets(" ".join(str(error).split()))
        fault = f"{said}; {advice(error.sqlstate, said)}"
        is_of_records = isinstance(error, psycopg.IntegrityError | psycopg.DataError)
        # A large body that is being deleted right now is stored again by the next attempt.
        if is_of_records and not isinstance(error, psycopg.errors.ForeignKeyViolation):
            return RecordFault(fault)
        return DatabaseFault(fault)
