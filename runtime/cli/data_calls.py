"""The calls of the audit trail that somebody wants, page by page: a million take no more memory."""

from __future__ import annotations

from contextlib import aclosing, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from runtime.cli.data_interrupts import Interrupts
from runtime.cli.data_rows import CONTENTS, row_of
from runtime.cli.moments import moment
from runtime.journal import CallQuery, place_of
from runtime.journal.contents import Contents
from runtime.journal.query import PAGE
from runtime.journal.reader import Reader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from datetime import datetime

    from runtime.cli.data_sinks import Sink
    from runtime.journal import CallStatus, Filed
    from runtime.journal.location import Location

_ALL_THAT_RUN = 1_000_000  # few do: they are asked for at once, as the reader looks at all anyway


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which calls are wanted, as typed. Those of ``CallQuery``; times as ``moment`` takes them."""

    run_id: str | None = None
    agent: str | None = None
    model: str | None = None
    provider: str | None = None
    tenant: str | None = None
    workflow: str | None = None
    status: CallStatus | None = None
    since: str | None = None
    until: str | None = None

    def query(self, now: datetime, *, newest_first: bool) -> CallQuery:
        """Return what to ask the journal.

        Raises:
            ConfigurationError: ``since`` or ``until`` is no time.
        """
        return CallQuery(
            run_id=self.run_id,
            agent=self.agent,
            model=self.model,
            provider=self.provider,
            tenant=self.tenant,
            workflow=self.workflow,
            status=self.status,
            since=moment("--since", self.since, now),
            until=moment("--until", self.until, now),
            newest_first=newest_first,
        )


async def pages(
    journal: Location, query: CallQuery, most: int | None
) -> AsyncGenerator[list[Filed], None]:
    """Yield the calls that are wanted, a page at a time.

    Args:
        journal: where the journal is; it must be there.
        query: which; its limit and place are set here.
        most: how many at most; None for all.

    Raises:
        JournalFailed: they cannot be read.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    reader, asked, left = Reader.of(journal), _asked(query), most
    with Interrupts() as interrupts:
        while left is None or left > 0:
            page = await reader.calls(asked)
            interrupts.check()
            wanted = [filed for filed in page if query.wants(filed)][:left]
            yield wanted
            if len(page) < asked.limit:
                return
            asked = replace(asked, behind=place_of(page[-1].call))
            left = None if left is None else left - len(wanted)


def _asked(query: CallQuery) -> CallQuery:
    """Return what to ask for a page: the lost calls are picked out of all, the reader need not."""
    if query.status == "lost":
        return replace(query, status=None, limit=PAGE)
    return replace(query, limit=_ALL_THAT_RUN if query.status == "running" else PAGE)


async def pour(
    journal: Location,
    query: CallQuery,
    most: int | None,
    sink: Sink,
    *,
    contents: bool,
    told: Callable[[int], None],
) -> int:
    """Write the calls that are wanted into a sink, and return how many there were.

    Args:
        journal: where the journal is; it must be there.
        query: which.
        most: how many at most; None for all.
        sink: where they go; it is not closed.
        contents: whether prompts and replies go with them, where policies let them.
        told: is told after each page how many there are so far.

    Raises:
        JournalFailed: they cannot be read.
    """
    count = 0
    with Contents.opened(journal) if contents else nullcontext() as words:
        async with aclosing(pages(journal, query, most)) as found:
            async for page in found:
                for row in _rows(page, words):
                    sink.add(row)
                count += len(page)
                told(count)
    return count


def _rows(page: list[Filed], words: Contents | None) -> Iterator[dict[str, Any]]:
    for filed in page:
        row = row_of(filed)
        if words is not None:
            row |= zip(CONTENTS, words.of(filed.call), strict=True)
        yield row
