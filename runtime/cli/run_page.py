"""One run in full: its outcome, its delegations and, when asked for, its records."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from runtime.cli.history import History, run_json
from runtime.cli.liveness import status_of
from runtime.cli.report import inheritance, names
from runtime.cli.step_lines import step_json, step_lines
from runtime.cli.story import Story, lines
from runtime.cli.streams import emit, emit_json
from runtime.cli.text import duration, json_line, local_time, money, one_line, plural, utc_time
from runtime.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.journal import EventRow, RunRow


class _Read(NamedTuple):
    row: RunRow
    story: Story
    steps: Steps
    events: list[EventRow]


def show_run(database: str | None, name: str, *, steps: bool, events: bool, as_json: bool) -> None:
    """Print one run.

    Args:
        database: what ``--db`` says.
        name: the run's id, or the beginning of it.
        steps: whether its steps are wanted, too.
        events: whether its records are wanted, too.
        as_json: print one object instead of a page.

    Raises:
        UnknownName: no run begins so, or several do.
        JournalFailed: it cannot be read.
    """
    read = anyio.run(partial(_read, History(database), name, steps=steps, events=events))
    if as_json:
        shown = _json(read)
        shown |= {"steps": [step_json(each) for each in read.steps]} if steps else {}
        emit_json(shown | {"events": [_event(each) for each in read.events]} if events else shown)
        return
    page = [*_summary(read.row), "", *lines(read.story.roots)]
    emit("\n".join([*page, *step_lines(read.steps), *_records(read)]))


async def _read(history: History, name: str, *, steps: bool, events: bool) -> _Read:
    row = await history.find(name)
    read = _Read(row, Story(), Steps(), [])
    async for event in history.events(row.run_id):
        read.story.take(event)
        if steps:
            read.steps.take(event)
        if events:
            read.events.append(event)
    read.story.close(status_of(row))
    return read


def _json(read: _Read) -> dict[str, Any]:
    return run_json(read.row) | {
        "input": read.row.input,
        "output": read.row.output,
        "delegations": [task.as_json() for task in read.story.roots],
    }


def _event(event: EventRow) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "at": utc_time(event.at),
        "kind": event.kind,
        "op": event.op,
        "body": event.body,
        "cost_nano_usd": event.cost_nano_usd,
    }


def _summary(row: RunRow) -> Iterator[str]:
    yield f"run       {names(row.run_id, row.trace_id)}"
    yield f"target    {one_line(row.target)}"
    since = "" if row.parked_at is None else f" since {local_time(row.parked_at)}"
    yield f"status    {status_of(row)}{since}"
    yield f"started   {local_time(row.started_at)}"
    if row.ended_at is not None:
        yield f"duration  {duration(row.ended_at - row.started_at)}"
    failed = f" ({row.errors:,} failed)" if row.errors else ""
    tokens = row.input_tokens + row.output_tokens
    yield f"usage     {plural(row.calls, 'call')}{failed}, {tokens:,} tokens"
    yield f"cost      {money(row.cost_nano_usd, row.unpriced_calls)}"
    if row.forked_from is not None:
        yield f"fork      {inheritance(row.forked_from)}"
    yield f"input     {json_line(row.input)}"
    if row.status == "completed":
        yield f"output    {json_line(row.output)}"
    if row.error is not None:
        yield f"error     {row.reason}: {one_line(row.error)}"


def _records(read: _Read) -> Iterator[str]:
    if read.events:
        yield ""
    for each in read.events:
        place = f"{each.seq:>6}  {utc_time(each.at)}"
        yield f"{place}  {each.kind}  {each.op}  {json_line(each.body)}"
