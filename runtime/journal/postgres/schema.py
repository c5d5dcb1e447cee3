"""The tables, in a schema of their own: a database may be shared with other programs.

They are those of the file, step by step, so a version has the same columns everywhere. Who comes
first takes the steps, in one transaction and under a lock; others wait and find them taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.journal.faults import DatabaseFault
from runtime.journal.postgres.dialect import table
from runtime.journal.postgres.driver import SCHEMA
from runtime.journal.schema import STEPS, VERSION

if TYPE_CHECKING:
    from runtime.journal.postgres.driver import ServerConnection

_LOCK = 0x6D61_6773_6167  # of advisory locks: "magsag"
_VERSION = "SELECT version FROM schema_version"
_IS_THERE = "SELECT to_regclass(?) IS NOT NULL"
_IS_FOREIGN = f"""
    SELECT EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace('{SCHEMA}'))
"""  # noqa: S608  # our own name
_HAS_SCHEMA = f"SELECT to_regnamespace('{SCHEMA}') IS NOT NULL"


def version_of(connection: ServerConnection) -> int:
    """Return how many steps the tables have taken; 0 where there are none.

    Raises:
        DatabaseFault: a newer version made them, or it cannot be read.
    """
    if not connection.execute(_IS_THERE, (f"{SCHEMA}.schema_version",)).fetchone()[0]:
        return 0
    version: int = connection.execute(_VERSION).fetchone()[0]
    if version > VERSION:
        raise DatabaseFault(
            f"it has schema {version}, this version of the runtime knows schemas up to {VERSION};"
            " install a newer version, or choose another database with --db"
        )
    return version


def upgrade(connection: ServerConnection) -> None:
    """Bring the tables up to date, and make them where there are none.

    Raises:
        DatabaseFault: the schema is another program's, or a newer version's, or may not be made.
    """
    if version_of(connection) == VERSION:
        return
    # Before the transaction, which then sees what another has made that held the lock.
    connection.execute("SELECT pg_advisory_lock(?)", (_LOCK,))
    connection.execute("BEGIN")
    try:
        _take_steps(connection, version_of(connection))
        connection.execute("COMMIT")
    except BaseException:
        if not connection.is_broken:
            connection.execute("ROLLBACK")
        raise
    finally:
        if not connection.is_broken:
            connection.execute("SELECT pg_advisory_unlock(?)", (_LOCK,))


def _take_steps(connection: ServerConnection, version: int) -> None:
    if version == 0:
        _make_room(connection)
    for each in (each for step in STEPS[version:] for each in step):
        if isinstance(each, str):
            connection.execute_translated(table(each))
        else:
            each(connection)
    connection.execute("UPDATE schema_version SET version = ?", (VERSION,))


def _make_room(connection: ServerConnection) -> None:
    if not connection.execute(_HAS_SCHEMA).fetchone()[0]:
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
    elif connection.execute(_IS_FOREIGN).fetchone()[0]:
        raise DatabaseFault(
            f"its schema {SCHEMA} is another program's; choose another database with --db"
        )
    connection.execute("CREATE TABLE schema_version (version BIGINT NOT NULL)")
    connection.execute("INSERT INTO schema_version VALUES (0)")
