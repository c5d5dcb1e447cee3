"""``data query``: the audit trail, newest first, as JSON, CSV or a table."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import anyio

from runtime.cli.data_calls import pages, pour
from runtime.cli.data_rows import COLUMNS, CONTENTS
from runtime.cli.data_sinks import Csv, JsonArray
from runtime.cli.journal_file import find_journal, is_begun, journal_faults
from runtime.cli.streams import emit, emitting, say, takes_unicode
from runtime.cli.text import local_time, money, one_line, table, tokens
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.cli.data_calls import Filters
    from runtime.cli.data_sinks import Sink
    from runtime.journal import CallQuery, Filed
    from runtime.journal.location import Location

HEAD = ("started", "run", "agent", "model", "status", "tokens", "cost", "error")
SHOWN = 50  # rows of a table, unless somebody wants more
LONGEST_ERROR = 80  # characters of an error in a table


def query_calls(
    database: str | None, filters: Filters, *, limit: int | None, form: str, contents: bool
) -> None:
    """Print the calls of the audit trail that are wanted.

    Args:
        database: what ``--db`` says.
        filters: which.
        limit: how many at most; None for all, in a table for ``SHOWN``.
        form: ``json``, ``csv`` or ``table``.
        contents: whether prompts and replies are printed, too, where policies let them.

    Raises:
        ConfigurationError: a time is none, or the journal cannot be read.
        ResultUnwritten: the result cannot be written.
    """
    if contents and form == "table":
        raise ConfigurationError("--contents does not fit into a table; use --format json or csv")
    query = filters.query(datetime.now(UTC), newest_first=True)
    journal = find_journal(database)
    with journal_faults():
        if form == "table":
            _show(journal, query, limit)
        else:
            _stream(journal, query, limit, form, contents=contents)


def _stream(
    journal: Location, query: CallQuery, limit: int | None, form: str, *, contents: bool
) -> None:
    begun = is_begun(journal)
    with emitting() as write:
        sink = _sink(form, write, contents=contents)
        if begun:
            pouring = partial(pour, contents=contents, told=lambda _: None)
            anyio.run(pouring, journal, query, limit, sink)
        sink.close()


def _sink(form: str, write: Callable[[str], None], *, contents: bool) -> Sink:
    if form == "csv":
        return Csv(write, (*COLUMNS, *(CONTENTS if contents else ())))
    return JsonArray(write, unicode=takes_unicode())


def _show(journal: Location, query: CallQuery, limit: int | None) -> None:
    if not is_begun(journal):
        return
    most = SHOWN if limit is None else limit
    found = anyio.run(_first, journal, query, most + 1)
    if found:
        emit(table(HEAD, [_cells(filed) for filed in found[:most]]))
    else:
        say(f"no such model calls in {journal}")
    if limit is None and len(found) > most:
        say(f"these are the newest {most}; --limit N shows more, --format json or csv all")


async def _first(journal: Location, query: CallQuery, most: int) -> list[Filed]:
    async with aclosing(pages(journal, query, most)) as found:
        return [filed async for page in found for filed in page]


def _cells(filed: Filed) -> tuple[str, ...]:
    call = filed.call
    error = one_line(call.error or call.reason)
    return (
        local_time(call.started_at),
        call.run_id,
        call.agent,
        f"{call.provider}/{call.model}",
        call.status,
        tokens(call.input_tokens + call.output_tokens),
        money(None if call.unpriced else call.cost_nano_usd),
        error if len(error) <= LONGEST_ERROR else f"{error[:LONGEST_ERROR]}...",
    )
