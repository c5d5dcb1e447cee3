"""What was asked and answered in model calls, of those whose policies let an audit trail have it.

The table ``call`` has only digests; the words are in the records of the step. An index leads to
its outcome; its beginning is not far above that in the order of its run. They are read one call at
a time, because a thousand prompts may be a gigabyte.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runtime.journal.reading import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.journal.calls import CallRow
    from runtime.journal.connection import Connection
    from runtime.journal.location import Location

_OUTCOME = """
    SELECT seq, kind, coalesce(body, data) FROM journal LEFT JOIN blob USING (sha256)
    WHERE run_id = ? AND op = ? AND terminal = 1
"""
_BEGINNING = """
    SELECT coalesce(body, data) FROM journal LEFT JOIN blob USING (sha256)
    WHERE run_id = ? AND op = ? AND seq < ? AND kind = 'invocation_started'
    ORDER BY seq DESC LIMIT 1
"""
_KEPT = "keep"
_LAST = 2**63 - 1  # of a call without an outcome: its beginning may be anywhere in its run


class Contents:
    """Prompts and replies, read beside the journal's writer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    @contextmanager
    def opened(cls, location: Location) -> Iterator[Contents]:
        """Open a journal; it is closed when the block ends.

        Raises:
            JournalFailed: it cannot be read, now or later in the block.
        """
        with reading(location) as connection:
            yield cls(connection)

    def of(self, call: CallRow) -> tuple[Any, Any]:
        """Return what a call asked, and what was answered, as JSON data.

        Returns:
            The request (its messages, system prompt and settings) and the reply (``text`` and
            ``tool_calls``); None for what is not kept, or not there.
        """
        if call.contents != _KEPT:
            return None, None
        return self._read(call.run_id, call.op)

    def _read(self, run_id: str, op: str) -> tuple[Any, Any]:
        execute = self._connection.execute
        seq, kind, text = execute(_OUTCOME, (run_id, op)).fetchone() or (_LAST, "", "{}")
        begun = execute(_BEGINNING, (run_id, op, seq)).fetchone()
        asked = None if begun is None else json.loads(begun[0]).get("request")
        return asked, _said(json.loads(text)) if kind == "invocation_completed" else None


def _said(body: dict[str, Any]) -> dict[str, Any] | None:
    return {name: body[name] for name in ("text", "tool_calls") if name in body} or None
