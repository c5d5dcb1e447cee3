"""Searching the records of a journal: words by an index, expressions one by one.

In reading order: ``search_pattern``: what a pattern means; ``search_records``: what is searched;
``search_file``, ``search_index``: where words are; ``search_scan``: one by one, with a time limit,
as is done for every pattern on a server.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.journal.search_file import index_of, locked, remove_index
from runtime.journal.search_index import SearchIndex
from runtime.journal.search_pattern import Phrase, is_expression, words_of
from runtime.journal.search_scan import look_through, scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.journal.location import Location
    from runtime.journal.search_records import Bounds, Hit


def search(
    location: Location,
    pattern: str,
    bounds: Bounds,
    *,
    timeout_s: float,
    warned: Callable[[str], None],
    busy: Callable[[int], None],
) -> list[Hit]:
    """Return the records that have a pattern, newest first.

    Args:
        location: where the journal is, a file absolute; it must be there.
        pattern: what to look for, see ``search_pattern``. Any text will do.
        bounds: in which records, and how many are wanted.
        timeout_s: how long looking through the records one by one may take.
        warned: is told why the index is of no use, if it is of none.
        busy: is told how many records go into the index first, if that may take a while.

    Raises:
        ConfigurationError: it takes too long.
        JournalFailed: the journal cannot be read.
    """
    words = "" if is_expression(pattern) else words_of(pattern)
    if words and isinstance(location, Path):
        try:
            return _look_up(location, words, bounds, busy)
        except (OSError, sqlite3.Error) as error:
            why = f"the index {index_of(location)} cannot be used: {error}"
            warned(f"{why}; the records are looked through one by one")
    return scan(location, pattern, bounds, timeout_s)


def _look_up(path: Path, words: str, bounds: Bounds, busy: Callable[[int], None]) -> list[Hit]:
    with locked(path):
        try:
            return _hits(path, words, bounds, busy)
        except sqlite3.Error:
            remove_index(path)  # whatever is wrong with it, a new one has it not
        return _hits(path, words, bounds, busy)


def _hits(path: Path, words: str, bounds: Bounds, busy: Callable[[int], None]) -> list[Hit]:
    with closing(SearchIndex(path)) as index:
        index.refresh(busy)
        places = index.hits(words, bounds)
        return list(look_through(index.connection, places, Phrase(words), bounds))
