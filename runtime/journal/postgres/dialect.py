"""SQLite's words as PostgreSQL says them. Pure.

Every statement of the journal is written once, for SQLite, and translated by this table. It is no
general translator: it knows what the journal's statements use, and the contract tests show it.

A comment that begins with ``/*+`` is for a database that locks rows: here its text counts.
"""

from __future__ import annotations

import re
from functools import lru_cache

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


def _translated(text: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text)
    return text
