"""The audit trail of a journal that was begun before there was one, from its records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runtime.journal.books import Books
from runtime.journal.entry import encode
from runtime.journal.records import Record

if TYPE_CHECKING:
    from runtime.journal.connection import Connection

_RECORDS = """
    SELECT run_id, kind, op, coalesce(body, data), at, cost_nano_usd
    FROM journal LEFT JOIN blob USING (sha256)
    WHERE kind IN (
        'delegation_sent', 'invocation_started', 'invocation_completed', 'invocation_failed'
    )
    ORDER BY run_id, seq
"""
_GROUP = 1_000  # calls that are written at once


def file_earlier_calls(connection: Connection) -> None:
    """Fold the calls of an earlier version's records, whose agents are in their Delegations.

    Raises:
        sqlite3.Error: the file cannot be read or written, or what another database raises.
    """
    agents: dict[tuple[str, str], str] = {}
    books = Books(connection, {})
    current = ""
    for number, (run_id, kind, op, text, at, cost) in enumerate(connection.execute(_RECORDS)):
        if run_id != current:
            agents.clear()
            current = run_id
        body: dict[str, Any] = json.loads(text)
        if kind == "delegation_sent":
            agents[run_id, op] = str(body.get("agent", ""))
            continue
        if kind == "invocation_started":
            body["agent"] = agents.get((run_id, op.rpartition("/")[0]), "")
        books.take(encode(Record(run_id, kind, op, body, at, cost)))
        if number % _GROUP == 0:
            books.save()
            books = Books(connection, {})
    books.save()
