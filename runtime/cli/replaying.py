"""What ``replay`` does: read a run beside its journal, run its code again, and say how it went."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from runtime.cli.history import History
from runtime.cli.interrupts import Interrupts
from runtime.cli.logs import log_to
from runtime.cli.places import catalog_folder
from runtime.cli.streams import emit, emit_json, prints_to_stderr
from runtime.cli.text import json_line, plural
from runtime.definitions import load_directory
from runtime.errors import Cancelled
from runtime.replay import LONGEST_S, Stage, replay
from runtime.workspace import check_workspace, open_catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.cli.options import Session
    from runtime.playback import Difference
    from runtime.replay import Replayed

DIFFERENT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """What ``replay`` was asked to do.

    Attributes:
        session: the call of the command line.
        name: the run, as a person names it.
        longest_s: the seconds it may take; None for the usual.
        db: what ``--db`` says.
        catalog: what ``--catalog`` says.
        as_json: whether JSON is wanted.
        quiet: whether only errors are wanted besides the result.
        verbose: whether the log of what goes well is wanted.
    """

    session: Session
    name: str
    longest_s: float | None
    db: str | None
    catalog: Path | None
    as_json: bool
    quiet: bool
    verbose: bool


def run_again(wanted: Rerun) -> int:
    """Replay a run, print how it went, and return the exit code.

    Raises:
        RuntimeFault: it could not begin, or not come to an end.
    """
    with prints_to_stderr():
        found = anyio.run(_replayed, wanted)
    if wanted.as_json:
        emit_json(found.as_json())
    else:
        emit("\n".join(_page(found)))
    return 0 if found.is_identical else DIFFERENT


async def _replayed(wanted: Rerun) -> Replayed:
    history = History(wanted.db)
    row = await history.find(wanted.name)
    log_to(None, wanted.session, verbose=wanted.verbose, quiet=wanted.quiet)
    check_workspace()
    catalog = open_catalog(catalog_folder(wanted.catalog, Path.cwd()))
    stage = Stage(catalog, load_directory(catalog), os.environ)
    events = [event async for event in history.events(row.run_id)]
    longest_s = LONGEST_S if wanted.longest_s is None else wanted.longest_s
    interrupts = Interrupts()
    async with interrupts.watched():
        with interrupts.scope:
            return await replay(stage, row, events, longest_s=longest_s)
    raise Cancelled(f"the replay of run {row.run_id} was cancelled; nothing was changed")


def _page(found: Replayed) -> Iterator[str]:
    if found.difference is None:
        yield f"identical: run {found.run_id} {found.status}, {plural(found.steps, 'step')}"
    else:
        yield from _told(found.difference)


def _told(difference: Difference) -> Iterator[str]:
    step = "at its end" if difference.step is None else f"at step {difference.step}"
    yield f"different {step}: {difference.why}"
    for name, side in (("expected", difference.expected), ("found", difference.found)):
        what = "nothing" if side is None else f"{side.what}: {json_line(side.data)}"
        yield f"  {name:<8}  {what}"
    if difference.op:
        yield f"  step id   {difference.op}"
