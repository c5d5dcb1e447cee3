"""The rows of a run, out of a journal's tables and into them, whatever columns they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from runtime.journal.connection import Connection

    Tables = Mapping[str, Sequence[str]]
    Row = tuple[str, Sequence[Any]]

RUN = "run"
ORDER = {RUN: "run_id", "journal": "seq", "call": "op"}  # the tables that have the rows of a run
CONTENTS = "blob"


def tables_of(columns: Callable[[str], list[str]]) -> dict[str, list[str]]:
    """Return the columns of the tables that are archived.

    Args:
        columns: tells those of one.
    """
    return {table: columns(table) for table in (*ORDER, CONTENTS)}


def rows_of(connection: Connection, run_id: str, tables: Tables) -> Iterator[Row]:
    """Yield the rows of a run in the order of a file, and the table of each.

    Args:
        connection: the journal; in a transaction, if others write the run.
        run_id: the run.
        tables: the columns that are wanted.
    """
    for table, order in ORDER.items():
        columns = ", ".join(tables[table])
        query = f"SELECT {columns} FROM {table} WHERE run_id = ? ORDER BY {order}"  # noqa: S608  # names that the schema has
        for row in connection.execute(query, (run_id,)):
            yield table, row


def with_contents(
    connection: Connection, rows: Iterator[Row], tables: Tables, known: set[bytes]
) -> Iterator[Row]:
    """Yield rows, and each large body before the first record that has it.

    Args:
        connection: the journal.
        rows: rows of runs.
        tables: the columns that are wanted.
        known: digests of bodies that have been yielded before; those that are yielded join them.
    """
    place = tables["journal"].index("sha256")
    query = f"SELECT {', '.join(tables[CONTENTS])} FROM {CONTENTS} WHERE sha256 = ?"  # noqa: S608  # as above
    for table, row in rows:
        digest = row[place] if table == "journal" else None
        if digest is not None and digest not in known:
            known.add(digest)
            yield CONTENTS, connection.execute(query, (digest,)).fetchone()
        yield table, row


def insertions(tables: Tables) -> dict[str, str]:
    """Return the statement for each table that takes a row in; a body may be there already."""
    return {
        table: f"INSERT INTO {table} ({', '.join(columns)})"  # noqa: S608  # as above
        f" VALUES ({', '.join('?' * len(columns))})"
        f"{' ON CONFLICT DO NOTHING' if table == CONTENTS else ''}"
        for table, columns in tables.items()
    }
