"""Looking through the records on a server, newest first.

There is no index of words: it would cost every writer, and SQLite's is in a file beside the
journal. The server leaves out what cannot have the words of a phrase, and the rest is looked at by
the same code as a file's records, so what is found is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.journal.search_pattern import is_expression, words_of
from runtime.journal.search_records import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.journal.connection import Connection
    from runtime.journal.search_records import Bounds

_TEXT = "(journal.kind || ' ' || journal.op || ' ' || coalesce(journal.body, blob.data))"
# A word of ASCII letters may also be in a text of other letters, which fold to these, and half of
# a surrogate pair is escaped: such texts are looked at in any case.
_MAY_HAVE = f"""(
    {_TEXT} ILIKE ? OR octet_length({_TEXT}) <> char_length({_TEXT}) OR strpos({_TEXT}, ?) > 0
)"""
_ESCAPE = "\\u"
_RECORDS = """
    SELECT journal.run_id, coalesce(run.target, ''), journal.seq, journal.at, journal.kind,
           journal.op, coalesce(journal.body, blob.data),
           coalesce(call.agent, ''), coalesce(call.path, '')
    FROM journal
    LEFT JOIN blob ON blob.sha256 = journal.sha256
    LEFT JOIN run ON run.run_id = journal.run_id
    LEFT JOIN call ON call.run_id = journal.run_id AND call.op = journal.op
    WHERE {where}
    ORDER BY journal.at DESC, journal.run_id DESC, journal.seq DESC
"""


def records(connection: Connection, pattern: str, bounds: Bounds) -> Iterator[Row]:
    """Yield the records that may have a pattern, newest first; whose they are is not looked at.

    Args:
        connection: a server's, with no transaction under way.
        pattern: what is looked for, see ``search_pattern``.
        bounds: which records.
    """
    wanted: list[tuple[str, list[Any]]] = [
        *([("journal.run_id = ?", [bounds.run_id])] if bounds.run_id is not None else []),
        *([("journal.at >= ?", [bounds.since])] if bounds.since is not None else []),
        *((_MAY_HAVE, [f"%{word}%", _ESCAPE]) for word in _plain_words(pattern)),
    ]
    conditions = [condition for condition, _ in wanted] or ["TRUE"]
    given = [value for _, values in wanted for value in values]
    connection.execute("BEGIN")
    for row in connection.execute(_RECORDS.format(where=" AND ".join(conditions)), given):
        yield Row(*row)


def _plain_words(pattern: str) -> list[str]:
    if is_expression(pattern):
        return []
    return [word for word in words_of(pattern).split() if word.isascii()]
