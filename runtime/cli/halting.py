"""What ``cancel`` and ``pause`` do: ask, wait, and say what came of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import anyio

from runtime.cli.failures import CANCELLED, FAILED, USAGE
from runtime.cli.history import History, run_json
from runtime.cli.liveness import status_of
from runtime.cli.opening import opened
from runtime.cli.places import journal_location
from runtime.cli.streams import emit_json, say
from runtime.conduct import Halt
from runtime.control import GRACE_S
from runtime.identity import wall_clock, whoami
from runtime.requests import VERBS, halt

if TYPE_CHECKING:
    from runtime.journal import RunRow

WAIT_S = 30.0


class Wanted(NamedTuple):
    """What is to become of a run.

    Attributes:
        status: where it shall stand.
        name: the run, as a person names it.
        why: what that person says about it.
        wait_s: how long to wait for its process; None for the usual.
        grace_s: what is in flight may take, of a pause; None for the usual.
        db: what ``--db`` says.
        as_json: whether JSON is wanted.
    """

    status: Literal["cancelled", "paused"]
    name: str
    why: str
    wait_s: float | None
    grace_s: float | None
    db: str | None
    as_json: bool

    @property
    def patience_s(self) -> float:
        """How long to wait for its process."""
        if self.wait_s is not None:
            return self.wait_s
        in_flight = 0.0 if self.status == "cancelled" else self.grace_s or GRACE_S
        return WAIT_S + in_flight


def halt_run(wanted: Wanted) -> int:
    """Cancel or pause a run, say what came of it, and return the exit code.

    Raises:
        RuntimeFault: it could not be asked.
    """
    try:
        row = anyio.run(_halt, wanted)
    except KeyboardInterrupt:
        row = anyio.run(History(wanted.db).find, wanted.name)
        say(f"interrupted: run {row.run_id} is {status_of(row)}; {_later(row, wanted)}")
        return CANCELLED
    if wanted.as_json:
        emit_json(run_json(row))
    return _told(row, wanted)


async def _halt(wanted: Wanted) -> RunRow:
    row = await History(wanted.db).find(wanted.name)
    halted = Halt(wanted.status, whoami(), wanted.why)
    database = journal_location(wanted.db, os.environ, Path.cwd())
    async with opened(database) as journal:
        return await halt(
            journal,
            row.run_id,
            halted,
            wall_clock,
            wait_s=wanted.patience_s,
            grace_s=wanted.grace_s,
        )


def _told(row: RunRow, wanted: Wanted) -> int:
    if row.status == wanted.status:
        if not wanted.as_json:
            say(f"run {row.run_id} is {row.status}{_next(row)}")
        return 0
    if row.is_over:
        late = f"it was over before it could be {wanted.status}"
        say(f"error: run {row.run_id} is {row.status}: {late}")
        return USAGE
    say(f"error: run {row.run_id} is {status_of(row)} still; {_later(row, wanted)}")
    return FAILED


def _next(row: RunRow) -> str:
    if row.status != "paused":
        return ""
    return f"; python -m runtime resume {row.run_id} goes on with it"


def _later(row: RunRow, wanted: Wanted) -> str:
    if row.is_over or row.status == wanted.status:
        return "nothing is left to do"
    where = f"process {row.pid} on {row.host}"
    return f"if it was asked already, {where} will {VERBS[wanted.status]} it when it hears of it"
