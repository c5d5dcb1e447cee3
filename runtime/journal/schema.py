"""The tables, and how a file gets them. ``user_version`` counts the steps that it has taken.

``call`` and ``spending`` are folded from the records of model calls, see ``calls`` and ``books``.

The input and the output of a run are not in its row: they are in the bodies of the records that
``started_seq`` and ``ended_seq`` name. The row changes with every group, a body never.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Literal

from runtime.journal.backfill import file_earlier_calls
from runtime.journal.faults import JournalUnusable
from runtime.journal.records import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runtime.journal.connection import Connection

Synchronous = Literal["full", "normal"]

BUSY_TIMEOUT_MS = 1000  # our own writers queue at a lock; this is for readers and foreign tools

# Word for word in every query, or the index of these records cannot be used. Not as ``IN``: SQLite
# makes a table of its list for every record that is written: half as much work as all the rest.
IS_REQUEST = f"({' OR '.join(f'kind = {kind!r}' for kind in REQUESTS)})"
_INDEX_OF_REQUESTS = (
    f"CREATE INDEX journal_requests ON journal (kind, run_id, seq) WHERE {IS_REQUEST}"
)

# Of no use: lease_until, as a lease is a process's and not a run's; attempt is for a later version.
STEPS: tuple[tuple[str | Callable[[Connection], None], ...], ...] = (
    (
        """
        CREATE TABLE run (
            run_id TEXT PRIMARY KEY,
            status TEXT NOT NULL,
            epoch INTEGER NOT NULL DEFAULT 1,
            owner TEXT,
            lease_until REAL,
            code TEXT,
            next_seq INTEGER NOT NULL,
            started_seq INTEGER,
            ended_seq INTEGER,
            trace_id TEXT NOT NULL,
            target TEXT NOT NULL,
            started_at REAL NOT NULL,
            ended_at REAL,
            error TEXT,
            reason TEXT,
            calls INTEGER NOT NULL,
            errors INTEGER NOT NULL,
            unpriced_calls INTEGER NOT NULL,
            input_tokens INTEGER NOT NULL,
            output_tokens INTEGER NOT NULL,
            cost_nano_usd INTEGER NOT NULL,
            pid INTEGER,
            host TEXT
        ) WITHOUT ROWID
        """,
        "CREATE INDEX run_started_at ON run (started_at)",
        "CREATE TABLE blob (sha256 BLOB PRIMARY KEY, data TEXT NOT NULL)",
        """
        CREATE TABLE journal (
            run_id TEXT NOT NULL,
            seq INTEGER NOT NULL,
            epoch INTEGER NOT NULL DEFAULT 1,
            at REAL NOT NULL,
            kind TEXT NOT NULL,
            op TEXT NOT NULL,
            attempt INTEGER NOT NULL DEFAULT 1,
            terminal INTEGER NOT NULL,
            cost_nano_usd INTEGER NOT NULL,
            body TEXT,
            sha256 BLOB REFERENCES blob,
            PRIMARY KEY (run_id, seq),
            CHECK ((body IS NULL) <> (sha256 IS NULL))
        ) WITHOUT ROWID
        """,
        "CREATE UNIQUE INDEX one_outcome ON journal (run_id, op) WHERE terminal = 1",
    ),
    (
        """
        CREATE TABLE call (
            run_id TEXT NOT NULL,
            op TEXT NOT NULL,
            started_at REAL NOT NULL,
            day TEXT NOT NULL,
            ended_at REAL,
            expires_at REAL,
            agent TEXT NOT NULL,
            path TEXT NOT NULL,
            task TEXT NOT NULL,
            tenant TEXT NOT NULL,
            provider TEXT NOT NULL,
            model TEXT NOT NULL,
            level TEXT NOT NULL,
            route TEXT NOT NULL,
            served_model TEXT NOT NULL,
            status TEXT NOT NULL,
            input_tokens INTEGER NOT NULL,
            output_tokens INTEGER NOT NULL,
            cached_input_tokens INTEGER NOT NULL,
            cache_write_tokens INTEGER NOT NULL,
            reasoning_tokens INTEGER NOT NULL,
            cost_nano_usd INTEGER NOT NULL,
            unpriced INTEGER NOT NULL,
            reserved_nano_usd INTEGER NOT NULL,
            settled_nano_usd INTEGER,
            usage_source TEXT NOT NULL,
            service_tier TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            finish_reason TEXT NOT NULL,
            reason TEXT NOT NULL,
            error_class TEXT NOT NULL,
            error TEXT NOT NULL,
            decision TEXT NOT NULL,
            policy TEXT NOT NULL,
            data_classes TEXT NOT NULL,
            region TEXT NOT NULL,
            contents TEXT NOT NULL,
            request_sha256 TEXT NOT NULL,
            reply_sha256 TEXT NOT NULL,
            request_id TEXT NOT NULL,
            price_source TEXT NOT NULL,
            PRIMARY KEY (run_id, op)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX call_started_at ON call (started_at)",
        "CREATE INDEX call_running ON call (day) WHERE status = 'running'",
        "CREATE INDEX call_request ON call (request_sha256, started_at)",
        """
        CREATE TABLE spending (
            subject TEXT NOT NULL,
            name TEXT NOT NULL,
            day TEXT NOT NULL,
            nano_usd INTEGER NOT NULL,
            PRIMARY KEY (subject, name, day)
        ) WITHOUT ROWID
        """,
        file_earlier_calls,
    ),
    # Whether any record still has a large body is asked for each run that leaves the journal.
    ("CREATE INDEX journal_sha256 ON journal (sha256) WHERE sha256 IS NOT NULL",),
    (
        "ALTER TABLE run ADD COLUMN parked_at REAL",
        "ALTER TABLE run ADD COLUMN parked_seq INTEGER",
        "ALTER TABLE run ADD COLUMN asked_seq INTEGER",
        _INDEX_OF_REQUESTS,
    ),
    (
        """
        CREATE TABLE lease (
            owner TEXT PRIMARY KEY,
            held_until REAL NOT NULL
        ) WITHOUT ROWID
        """,
    ),
    ("DROP INDEX journal_requests", _INDEX_OF_REQUESTS),  # of another condition before
    (
        """
        CREATE TABLE branch (
            run_id TEXT NOT NULL,
            op TEXT NOT NULL,
            epoch INTEGER NOT NULL,
            attempt INTEGER NOT NULL,
            owner TEXT NOT NULL,
            PRIMARY KEY (run_id, op)
        ) WITHOUT ROWID
        """,
    ),
)
VERSION = len(STEPS)


def connect(path: Path, synchronous: Synchronous) -> sqlite3.Connection:
    """Open a journal's file for writing, for the thread that calls.

    Args:
        path: the file; it is created where there is none.
        synchronous: ``full`` syncs every commit to the disk, ``normal`` only checkpoints.

    Raises:
        JournalUnusable: a newer version wrote it, or another program did.
        sqlite3.Error: it cannot be opened or written.
    """
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None)
    try:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        if not (path.is_file() and path.stat().st_size):
            give_pages_back(connection)
        connection.execute("BEGIN IMMEDIATE")
        _upgrade(connection, path)
        connection.execute("COMMIT")
        _use_write_ahead_log(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def give_pages_back(connection: sqlite3.Connection) -> None:
    """Let free pages of a new file go back to the disk a few at a time.

    An old file gets that from its next ``VACUUM`` on. It does not slow the writer down.
    """
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")


def _use_write_ahead_log(connection: sqlite3.Connection, path: Path) -> None:
    mode: str = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise JournalUnusable(
            f"journal {path} is on a file system without shared memory, so readers and the writer "
            "would block each other; choose a local disk with --db"
        )


def from_the_future(path: Path, version: int) -> str:
    """Return what is said of a file whose tables a newer version of the runtime has made."""
    return (
        f"journal {path} has schema {version}, this version of the runtime knows schemas up "
        f"to {VERSION}; install a newer version, or choose another file with --db"
    )


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise JournalUnusable(from_the_future(path, version))
    if version == 0 and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise JournalUnusable(
            f"journal {path} is the database of another program; choose another file with --db"
        )
    for statement in (statement for step in STEPS[version:] for statement in step):
        if isinstance(statement, str):
            connection.execute(statement)
        else:
            statement(connection)
    # Written even when it is the same: this is what fails on a file that may only be read.
    connection.execute(f"PRAGMA user_version = {VERSION}")
