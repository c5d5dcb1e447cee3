"""SQLite's words, and the journal's rows, as PostgreSQL takes them. Pure.

Every statement of the journal is written once, for SQLite, and translated by this table. It is no
general translator: it knows what the journal's statements use, and the contract tests show it.

A comment that begins with ``/*+`` is for a database that locks rows: here its text counts.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

# How GLOB's pattern, whose brackets are escaped ones, becomes one of LIKE.
_LIKE = (
    r"replace(replace(replace(replace(replace(replace(\1::text, '\\', '\\\\'), '%%', '\\%%'),"
    r" '_', '\\_'), '[[]', '['), '*', '%%'), '?', '_')"
)
_STATEMENT = (
    (r"%", "%%"),
    (r"\?", "%s"),
    (r"(?<![:\w]):([a-z_]+)", r"%(\1)s"),
    (r"GLOB (%\(\w+\)s)", rf"LIKE {_LIKE}"),
    (r"\binstr\(", "strpos("),
    (r"SELECT value FROM json_each\((.*?\)s)\)", r"SELECT jsonb_array_elements_text(\1::jsonb)"),
    (r"\bmax\(0\.0,", "greatest(0.0,"),
    (r"/\*\+(.*?)\*/", r"\1"),
    # The server cannot look at our processes: a session is told which have lost their runs, by all
    # of the arguments but the lease; see ``source``.
    (
        r"\bis_lost\((.*?), lease.held_until\)",
        r"concat_ws('/', \1) = ANY(string_to_array(current_setting('magsag.lost'), chr(10)))",
    ),
    # Each writer has rows of its own, so that they do not wait for each other; see ``_TABLE``.
    (r"ON CONFLICT \(subject, name, day\)", "ON CONFLICT (subject, name, day, writer)"),
)
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
# Texts are compared byte by byte, as SQLite does, whatever the language of the database.
_WRITER = "writer SMALLINT NOT NULL DEFAULT pg_backend_pid() % 64"
_TABLE = (
    (r"\bTEXT\b", 'TEXT COLLATE "C"'),
    (r"\bINTEGER\b", "BIGINT"),
    (r"\bREAL\b", "DOUBLE PRECISION"),
    (r"\bBLOB\b", "BYTEA"),
    (r"\) WITHOUT ROWID", ")"),
    (r"PRIMARY KEY (\(subject, name, day)", rf"{_WRITER}, PRIMARY KEY \1, writer"),
)


@lru_cache(maxsize=256)
def statement(text: str) -> bytes:
    """Return a query or a change as psycopg takes it."""
    return _translated(text, _STATEMENT).encode()


def table(text: str) -> bytes:
    """Return a step of the schema."""
    return _translated(text, _TABLE).encode()


def storable(text: str) -> bytes:
    """Return a text as the server can hold it: it has no NUL, and no half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode(errors="replace")


def copied(rows: Sequence[tuple[Any, ...]]) -> bytes:
    """Return some rows as COPY takes them: a tab between values, a newline behind each row.

    Few texts have a tab or a newline, and to escape each by itself takes longer than all the rest.

    Args:
        rows: at least one; texts and numbers only.
    """
    line = "\t".join(["%s"] * len(rows[0])) + "\n"
    lines = "".join([line % row for row in rows]).replace("\\", "\\\\")
    ends = lines.count("\t") + lines.count("\n")
    if ends > len(rows) * len(rows[0]) or "\r" in lines:
        lines = "".join([line % tuple(map(_escaped, row)) for row in rows])
    return storable(lines)


def _escaped(value: Any) -> Any:
    return value.translate(_ESCAPES) if isinstance(value, str) else value


def _translated(text: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text)
    return text
