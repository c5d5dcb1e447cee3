"""``data export``: the audit trail, oldest first, as a file for other programs."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import anyio

from runtime.cli.count_line import CountLine
from runtime.cli.data_calls import pour
from runtime.cli.data_rows import COLUMNS, CONTENTS
from runtime.cli.data_sinks import Csv, JsonLines
from runtime.cli.journal_file import find_journal, is_begun, journal_faults
from runtime.cli.streams import emitting, say, takes_unicode
from runtime.cli.text import plural
from runtime.cli.whole_file import whole_file
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runtime.cli.data_calls import Filters
    from runtime.cli.data_sinks import Sink, Write
    from runtime.journal import CallQuery
    from runtime.journal.location import Location

STANDARD_OUTPUT = "-"


class Order(NamedTuple):
    """How calls are exported.

    Attributes:
        form: ``csv``, ``ndjson`` or ``parquet``.
        output: the file; None or ``-`` for standard output.
        limit: how many at most; None for all.
        contents: whether prompts and replies go with them, where policies let them.
        quiet: whether to say nothing but what is wrong.
    """

    form: str
    output: Path | None
    limit: int | None
    contents: bool
    quiet: bool

    @property
    def file(self) -> Path | None:
        """The file; None for standard output."""
        is_a_file = self.output is not None and str(self.output) != STANDARD_OUTPUT
        return self.output if is_a_file else None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return (*COLUMNS, *CONTENTS) if self.contents else COLUMNS


def export_calls(database: str | None, filters: Filters, order: Order) -> None:
    """Write the calls of the audit trail that are wanted.

    Args:
        database: what ``--db`` says.
        filters: which.
        order: how.

    Raises:
        ConfigurationError: a time is none, the journal cannot be read, the file cannot be
            written, or what Parquet needs is not installed.
        ResultUnwritten: standard output cannot be written.
    """
    if order.form == "parquet" and order.file is None:
        raise ConfigurationError("parquet is no text; name a file with --output")
    query = filters.query(datetime.now(UTC), newest_first=False)
    journal = find_journal(database)
    count = None
    with journal_faults(), _sink(order, journal) as sink:
        count = _pour(journal, query, order, sink)
        sink.close()
    if count is not None and not order.quiet:  # None: the reader of standard output has left
        say(f"{plural(count, 'row')} written to {order.file or 'standard output'}")


def _pour(journal: Location, query: CallQuery, order: Order, sink: Sink) -> int:
    if not is_begun(journal):
        return 0
    progress = CountLine(shown=sys.stderr.isatty() and not order.quiet)
    try:
        pouring = partial(pour, contents=order.contents, told=progress.rows)
        return anyio.run(pouring, journal, query, order.limit, sink)
    finally:
        progress.end()


@contextmanager
def _sink(order: Order, journal: Location) -> Iterator[Sink]:
    if order.file is None:
        with emitting() as write:
            yield _text_sink(order, write, unicode=takes_unicode())
        return
    with whole_file(order.file, journal) as part:
        if order.form == "parquet":
            from runtime.cli.data_parquet import parquet_file  # noqa: PLC0415  # it may be missing

            with parquet_file(part, order.columns) as sink:
                yield sink
        else:
            with part.open("w", encoding="utf-8", newline="") as file:
                yield _text_sink(order, file.write)


def _text_sink(order: Order, write: Write, *, unicode: bool = True) -> Sink:
    return Csv(write, order.columns) if order.form == "csv" else JsonLines(write, unicode=unicode)
