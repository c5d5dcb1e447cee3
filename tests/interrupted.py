"""Runs whose processes have died after any record, in this process: nothing is killed for it."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from runtime import running
from runtime.journal import MemoryJournal
from runtime.journal.ownership import ProcessIdentity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from runtime import ResumeOptions, RunOptions
    from runtime.agent import Agent, Skill
    from runtime.catalog import Catalog
    from runtime.journal import Record, RunRow
    from runtime.outcome import RunOutcome


def dead_pid() -> int:
    """Return the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def dead_owner() -> dict[str, Any]:
    """Return what a record says of an owner that has ended."""
    dead = ProcessIdentity(socket.gethostname(), dead_pid())
    return {"pid": dead.pid, "host": dead.host, "owner": str(dead)}


def journal_of(records: Iterable[Record]) -> MemoryJournal:
    """Return the journal of a run whose process has died after some records."""
    journal = MemoryJournal()
    for record in died(records):
        journal.append(record)
    return journal


def died(records: Iterable[Record]) -> Iterator[Record]:
    """Yield records as if the process had died that has written them."""
    for record in records:
        body = dict(record.body)
        if record.kind == "run_started":
            body |= dead_owner()
        yield record._replace(body=body)


async def recorded_until(
    agent: Agent,
    stop: Callable[[Record], bool],
    *,
    agents: tuple[Agent, ...] = (),
    skills: tuple[Skill, ...] = (),
    catalog: Catalog | None = None,
    options: RunOptions | None = None,
    payload: Any = None,
) -> list[Record]:
    """Return the records of a whole run, up to the one that is said."""
    kept: list[Record] = []
    is_over = False

    class Listening(MemoryJournal):
        def append(self, record: Record) -> None:
            nonlocal is_over
            if not is_over:
                kept.append(record)
            is_over = is_over or stop(record)
            super().append(record)

        async def admit(self, record: Record, claims: Any) -> Any:
            nonlocal is_over
            if not is_over:
                kept.append(record)
            is_over = is_over or stop(record)
            return await super().admit(record, claims)

    async with running(catalog, agents=(agent, *agents), environ={}, journal=Listening()) as system:
        for each in skills:
            system.directory.add_skill(each)
        await system.run(agent, payload, options)
    return kept


async def resumed(
    agent: Agent,
    records: list[Record],
    options: ResumeOptions | None = None,
    *,
    agents: tuple[Agent, ...] = (),
    skills: tuple[Skill, ...] = (),
    catalog: Catalog | None = None,
) -> tuple[RunOutcome, RunRow]:
    """Go on with a run whose process died after some records; what came of it, and its row."""
    journal = journal_of(records)
    async with running(catalog, agents=(agent, *agents), environ={}, journal=journal) as system:
        for each in skills:
            system.directory.add_skill(each)
        outcome = await system.resume(records[0].run_id, options)
        row = await journal.run(outcome.run_id)
        assert row is not None
        assert journal.statistics().refused == 0
        return outcome, row


def ends(kind: str, which: str = "") -> Callable[[Record], bool]:
    """Return whether a record is the one after which the process dies."""
    return lambda record: record.kind == kind and which in record.op
