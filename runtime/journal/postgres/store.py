"""What the writer's thread writes, and how it goes on when the server was away.

Rule 1: a group is one transaction. It first locks the rows of its runs, in the order of their ids,
so every number and every owner is decided by what is there, and writers of other runs go on.
Rule 2: a limit is decided under an advisory lock of each agent, provider or tenant that it is of,
taken in order. A row could not be locked instead: on the first call of a day there is none, and
reservations are rows of other runs.
Rule 3: no statement can put an older state of a run over a newer one: a former owner has an older
epoch, whatever it believes.
Rule 4: a commit whose answer was lost may be there or not. The server knows by the number of the
transaction, so a group is written again only if it is not. Until the server says that the
transaction is over, nothing is written; one that still hangs there is ended.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from runtime.journal.backlog import in_turns
from runtime.journal.books import Books
from runtime.journal.faults import DatabaseFault, JournalUnusable, describe
from runtime.journal.fold import RunState, values_of
from runtime.journal.group import INSERT, INSERT_FILED, JOURNAL_COLUMNS, KEEP, SAVE, decide, settle
from runtime.journal.holdings import Holdings
from runtime.journal.leases import Leases
from runtime.journal.liveness import steady_clock
from runtime.journal.postgres.driver import RecordFault, ServerConnection
from runtime.journal.postgres.locks import locked, settled
from runtime.journal.postgres.schema import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runtime.journal.entry import Entry
    from runtime.journal.group import Verdicts
    from runtime.journal.location import Address
    from runtime.journal.tenure import Renewal, Tenure

# A writer that is stopped in the middle, or whose machine is gone, does not keep others out for
# longer; a migration may take its time. Who waits for its locks can renew no lease meanwhile, and
# has a third of that, 10 s, until no step of its own may begin: so the stopped one gets half of it.
# Between two statements a writer only decides; one that takes longer writes its group once more.
_SESSION: Mapping[str, str] = {
    "lock_timeout": "20s",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "5s",
}
_NO_LIMITS = {"statement_timeout": "0", "lock_timeout": "0"}
_DURABLE = """
    SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') = 'off'
"""
_COPY = f"COPY journal ({', '.join(JOURNAL_COLUMNS)}) FROM STDIN"
_MANY = 50  # rows; so many go by COPY, which costs less for each, and two more round trips
_SAVE = f"{SAVE} WHERE run.epoch <= excluded.epoch AND run.next_seq < excluded.next_seq"
_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"
_NUMBER = "SELECT pg_current_xact_id()::text"
_STATUS = "SELECT pg_xact_status(?::text::xid8)"
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_xid = ?::text::xid"


class Sent(NamedTuple):
    """A group whose commit was sent, and not answered.

    Attributes:
        number: of the transaction, as the server counts them.
        refused: the records that were left out.
        verdicts: what becomes of the others if it is there.
        renewal: what becomes of the lease then.
    """

    number: str
    refused: list[Entry]
    verdicts: Verdicts
    renewal: Renewal


class ServerStore:
    """One connection that writes. Everything here belongs to one thread."""

    def __init__(self, address: Address, tenure: Tenure) -> None:
        """Connect, and make the tables where there are none.

        Args:
            address: the database.
            tenure: what this process owns in it, kept up to date here.

        Raises:
            JournalUnusable: it cannot be a journal; the error says what to do.
        """
        self._address = address
        self._tenure = tenure
        self._sent: Sent | None = None
        try:
            self._connection = ServerConnection(address, _NO_LIMITS)
            try:
                upgrade(self._connection)
            finally:
                self._connection.close()
            self._connection = self._connect()
        except DatabaseFault as error:
            raise JournalUnusable(describe(address, error)) from error

    def _connect(self) -> ServerConnection:
        connection = ServerConnection(self._address, _SESSION)
        connection.execute(_DURABLE)
        self._leases = Leases(connection, self._tenure, lambda: _now(connection))
        return connection

    def commit(self, group: Sequence[Entry]) -> list[Entry]:
        """Write a group in one transaction; see ``writer.Store``.

        Raises:
            DatabaseFault: it is not written, or nobody knows yet whether it is.
        """
        if self._connection.is_broken:
            self._connection = self._connect()
        sent = self._sent
        if sent is None or not self._is_committed(sent.number):
            self._sent = None
            sent = self._written(group)
        self._sent = None
        fenced = settle(sent.verdicts)
        sent.renewal.note(group)
        return sent.refused + fenced

    def _written(self, group: Sequence[Entry]) -> Sent:
        asked_at = steady_clock()
        try:
            with self._transaction() as number:
                verdicts = self._write(group)
                sent = self._sent = Sent(
                    number, [], verdicts, self._leases.renewal(group, asked_at)
                )
        except RecordFault:
            with self._transaction() as number:
                refused, verdicts = self._salvaged(group)
                sent = self._sent = Sent(
                    number, refused, verdicts, self._leases.renewal(group, asked_at)
                )
        return sent

    @contextmanager
    def _transaction(self) -> Iterator[str]:
        """Begin, yield the number of the transaction, and commit."""
        connection = self._connection
        try:
            with connection.pipeline():
                connection.execute("BEGIN")
                number = connection.execute(_NUMBER)
            yield number.fetchone()[0]
            connection.execute("COMMIT")
        except BaseException:
            if not connection.is_broken:
                connection.execute("ROLLBACK")
                self._sent = None  # the server has answered: it is not there
            raise

    def _is_committed(self, number: str) -> bool:
        """Return whether a transaction is there that we have heard nothing of.

        Raises:
            DatabaseFault: it is not over yet.
        """
        try:
            status: str = self._connection.execute(_STATUS, (number,)).fetchone()[0]
        except RecordFault:  # a number that the server has not given yet: it lost some time
            return False
        if status == "in progress":
            self._connection.execute(_END, (number,))
            raise DatabaseFault("the last transaction is not over on the server; it is waited for")
        return status == "committed"

    def _write(self, group: Sequence[Entry]) -> Verdicts:
        connection = self._connection
        states, calls, branches = locked(connection, group)
        books = Books(connection, {}, calls)
        holdings = Holdings(connection, self._leases, branches, partial(settled, connection))

        def state_of(entry: Entry) -> RunState:
            return states.get(entry.run_id) or RunState.first(entry.run_id, entry.at)

        entries = chain.from_iterable(in_turns(group))
        outcome = decide(entries, state_of, books, self._leases.is_lost, holdings)
        is_many = len(outcome.rows) >= _MANY
        with connection.pipeline():
            saved = connection.executemany(_SAVE, map(values_of, outcome.changed.values()))
            if outcome.filed:
                connection.executemany(KEEP, sorted(outcome.large.items()))
                connection.executemany(INSERT_FILED, outcome.filed)
            if not is_many:
                connection.executemany(INSERT, outcome.rows)
            books.save()
        if is_many:
            connection.copy(_COPY, outcome.rows)
        if saved.rowcount != len(outcome.changed):
            raise DatabaseFault("another process has written a run meanwhile; it is tried again")
        if outcome.moves:
            outcome.verdicts += holdings.move(outcome.moves)
        return outcome.verdicts

    def _salvaged(self, group: Sequence[Entry]) -> tuple[list[Entry], Verdicts]:
        """Write a group without those records that are at fault, which are found by halving it."""
        locked(self._connection, group)
        refused: list[Entry] = []
        verdicts: Verdicts = []
        pieces = [group]
        while pieces:
            piece = pieces.pop()
            try:
                with self._savepoint():
                    verdicts += self._write(piece)
            except RecordFault:
                middle = len(piece) // 2
                if middle == 0:
                    refused += piece
                else:
                    pieces += [piece[middle:], piece[:middle]]
        return refused, verdicts

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        self._connection.execute("SAVEPOINT piece")
        try:
            yield
        except RecordFault:
            self._connection.execute("ROLLBACK TO piece")
            raise
        self._connection.execute("RELEASE piece")

    def reap(self, now: float) -> None:
        """Settle the calls that died with their processes.

        Raises:
            DatabaseFault: that cannot be written.
        """
        if self._connection.is_broken:
            self._connection = self._connect()
        with self._transaction():
            books = Books(self._connection, {})
            books.reap(now)
            books.save()
            self._leases.reap()

    def tidy(self) -> None:
        """Do nothing: the server has its own autovacuum."""

    def close(self) -> None:
        """Let go of the server, and of the lease."""
        with suppress(DatabaseFault):  # it is over by itself
            self._leases.give_back()
        self._connection.close()


def _now(connection: ServerConnection) -> float:
    """Return the server's time, which leases are of."""
    now: float = connection.execute(_NOW).fetchone()[0]
    return now
