"""Words of the journal's records, looked up in a file of its own beside the journal.

The journal's writer knows nothing of it and pays nothing for it: whoever searches first takes in
what is new, by the ``next_seq`` of each run. The index has no text, only where each word is (FTS5
without contents), so every hit is read from the journal again and counts only if the words are
really there: a record that is gone is not found.

It is worth nothing that cannot be made again. So one that another version wrote, that is damaged,
or that knows runs which the journal does not have (any more), is thrown away and made afresh. One
process at a time works with it, under a lock of its own.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from runtime.journal.search_file import TABLES, VERSION, connected, remove_index
from runtime.journal.search_pattern import words_of
from runtime.journal.search_records import Place, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runtime.journal.search_records import Bounds

_GROUP = 20_000  # records that are written at once
_CHUNK = 5_000  # records of one run that are
_MANY = 20_000  # records that take long enough for somebody to ask what is going on

_STRANGE = """
    SELECT 1 FROM known LEFT JOIN origin.run AS run USING (run_id)
    WHERE run.run_id IS NULL OR run.next_seq <= known.seq OR run.started_at <> known.started_at
    LIMIT 1
"""
_COUNT = """
    SELECT coalesce(sum(run.next_seq - 1 - coalesce(known.seq, 0)), 0)
    FROM origin.run AS run LEFT JOIN known USING (run_id)
"""
_NEWS = """
    SELECT run.run_id, coalesce(known.seq, 0), run.next_seq - 1,
           CASE WHEN run.started_seq IS NOT NULL THEN run.started_at END
    FROM origin.run AS run LEFT JOIN known USING (run_id)
    WHERE run.run_id > ? AND run.next_seq - 1 > coalesce(known.seq, 0)
    ORDER BY run.run_id LIMIT 1000
"""
_RECORDS = """
    SELECT seq, at, kind, op, coalesce(body, data)
    FROM origin.journal LEFT JOIN origin.blob USING (sha256)
    WHERE run_id = ? AND seq > ? AND seq <= ? ORDER BY seq
"""
_KNOW = """
    INSERT INTO known (run_id, seq, started_at) VALUES (?, ?, ?)
    ON CONFLICT (run_id) DO UPDATE SET seq = excluded.seq, started_at = excluded.started_at
"""
_RUN = "SELECT id FROM known WHERE run_id = ?"
_PUT = "INSERT INTO record (run, seq, at) VALUES (?, ?, ?)"
_PUT_WORDS = "INSERT INTO word (rowid, text) VALUES (?, ?)"
_HITS = """
    SELECT known.run_id, record.seq
    FROM word JOIN record ON record.id = word.rowid JOIN known ON known.id = record.run
    WHERE word MATCH :words
    AND (:run_id IS NULL OR known.run_id = :run_id) AND (:since IS NULL OR record.at >= :since)
    ORDER BY record.at DESC, known.run_id DESC, record.seq DESC
"""


class SearchIndex:
    """An index that is open. The lock must be held.

    Attributes:
        connection: reads the journal's tables, too.
    """

    def __init__(self, path: Path) -> None:
        """Open the index of a journal, and make one where there is none that is of use.

        Raises:
            sqlite3.Error: it cannot be read or written, or the journal cannot be read.
            OSError: it cannot be written.
        """
        self.connection = connected(path)
        try:
            if not self._is_of_use():
                self.connection.close()
                remove_index(path)
                self.connection = connected(path)
                self._make()
        except BaseException:
            self.connection.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def _is_of_use(self) -> bool:
        version: int = self.connection.execute("PRAGMA user_version").fetchone()[0]
        return version == VERSION and self.connection.execute(_STRANGE).fetchone() is None

    def _make(self) -> None:
        with self._transaction():
            for statement in TABLES:
                self.connection.execute(statement)

    def refresh(self, told: Callable[[int], None]) -> None:
        """Take in what is new in the journal. What was taken in stays, whatever happens next.

        Args:
            told: is told how many records that are, if it may take a while.

        Raises:
            sqlite3.Error: something cannot be read or written.
        """
        count: int = self.connection.execute(_COUNT).fetchone()[0]
        if count >= _MANY:
            told(count)
        chunks = self._chunks() if count else iter(())
        while (chunk := next(chunks, None)) is not None:
            with self._transaction():
                taken = self._take(chunk)
                while taken < _GROUP and (chunk := next(chunks, None)) is not None:
                    taken += self._take(chunk)

    def hits(self, words: str, bounds: Bounds) -> Iterator[Place]:
        """Yield where the records are that have a phrase, newest first.

        Args:
            words: folded words with blanks between them.
            bounds: which records; whose they are is not looked at.

        Raises:
            sqlite3.Error: something cannot be read.
        """
        given = {"words": f'"{words}"', "run_id": bounds.run_id, "since": bounds.since}
        for row in self.connection.execute(_HITS, given):
            yield Place(*row)

    def _chunks(self) -> Iterator[_Chunk]:
        after = ""
        while news := self.connection.execute(_NEWS, (after,)).fetchall():
            for run_id, known, last, started_at in news:
                for first in range(known, last, _CHUNK):
                    yield _Chunk(run_id, first, min(first + _CHUNK, last), started_at)
            after = news[-1][0]

    def _take(self, chunk: _Chunk) -> int:
        execute = self.connection.execute
        execute(_KNOW, (chunk.run_id, chunk.last, chunk.started_at))
        run: int = execute(_RUN, (chunk.run_id,)).fetchone()[0]
        for seq, at, kind, op, body in execute(_RECORDS, chunk[:3]):
            place = execute(_PUT, (run, seq, at)).lastrowid
            execute(_PUT_WORDS, (place, words_of(text_of(kind, op, body))))
        return chunk.last - chunk.known

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.rollback()
            raise
        self.connection.commit()


class _Chunk(NamedTuple):
    """Records of a run that are new: those behind ``known``, up to ``last``."""

    run_id: str
    known: int
    last: int
    started_at: float | None
