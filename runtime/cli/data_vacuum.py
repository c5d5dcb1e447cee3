"""``data vacuum`` and ``data archive``: old runs go, and the file gets small."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cli.count_line import CountLine
from runtime.cli.journal_file import check_version, find_journal, is_there, journal_faults
from runtime.cli.moments import moment
from runtime.cli.streams import emit, emit_json, say
from runtime.cli.text import plural, size_of
from runtime.errors import ConfigurationError
from runtime.journal.freed import Freed, foresee
from runtime.journal.over import ENDED, Selection
from runtime.journal.reading import schema_of
from runtime.journal.vacuum import move, rehearse, vacuum

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from runtime.journal.location import Location
    from runtime.journal.sweep import Told

MEGA = 1_000_000


@dataclass(frozen=True, slots=True)
class Order:
    """How it is to be done and said.

    Attributes:
        archive: the folder that gets the runs; None deletes them.
        dry_run: change nothing, and print what would be done.
        as_json: print an object instead of lines.
    """

    archive: Path | None
    dry_run: bool
    as_json: bool


def vacuum_journal(
    database: str | None, order: Order, *, older_than: str | None, max_mb: Decimal | None
) -> None:
    """Delete or archive what is old, make the file small, and print what that has freed.

    Args:
        database: what ``--db`` says.
        order: how.
        older_than: those that ended before then go; None for none.
        max_mb: then the oldest go until no more is in use; None for any size.

    Raises:
        ConfigurationError: ``older_than`` is no time, the journal cannot be read or written, or
            a file of the archive cannot be written.
    """
    now = datetime.now(UTC)
    before, most = moment("--older-than", older_than, now), _bytes(max_mb)
    selections = [
        *([] if before is None else [Selection(before=before, lost=True)]),
        *([] if most is None else [Selection(max_bytes=most)]),
    ]
    if order.archive is not None and not selections:
        raise ConfigurationError("--archive needs --older-than or --max-mb, which say what goes")
    journal = find_journal(database)
    with journal_faults(), _progress() as told:
        if not is_there(journal):
            freed = Freed()
        elif order.dry_run:
            freed = _foreseen(journal, selections, now)
        else:
            freed = vacuum(journal, selections, now, archive=order.archive, told=told)
    _show(journal, freed, order, names_runs=bool(selections))


def archive_runs(
    database: str | None,
    order: Order,
    *,
    older_than: str | None,
    run_ids: tuple[str, ...],
    statuses: tuple[str, ...],
    max_mb: Decimal | None,
) -> None:
    """Archive runs that are over, and print what that has freed.

    Args:
        database: what ``--db`` says.
        order: how, and where to.
        older_than: those that ended before then; None for any time.
        run_ids: these; empty for any.
        statuses: those that ended so; empty for any.
        max_mb: only the oldest, until no more is in use; None for any size.

    Raises:
        ConfigurationError: nothing says which runs, and as ``vacuum_journal``.
    """
    if older_than is None and max_mb is None and not (run_ids or statuses):
        raise ConfigurationError(
            "which runs? say it with --older-than, --run-id, --status or --max-mb;"
            " --older-than 0m is all that are over"
        )
    now = datetime.now(UTC)
    selection = Selection(
        before=moment("--older-than", older_than, now),
        run_ids=run_ids,
        statuses=statuses or ENDED,
        max_bytes=_bytes(max_mb),
    )
    journal, folder = find_journal(database), order.archive
    with journal_faults(), _progress() as told:
        if folder is None or not is_there(journal):
            freed = Freed()
        elif order.dry_run:
            freed = _foreseen(journal, [selection], now, forgets=False)
        else:
            freed = move(journal, selection, now, folder, told)
    _show(journal, freed, order, names_runs=True)
    _say_missing(run_ids, freed)


def _foreseen(
    journal: Location, selections: Sequence[Selection], now: datetime, *, forgets: bool = True
) -> Freed:
    check_version(journal, schema_of(journal))
    if isinstance(journal, Path):
        return foresee(journal, selections, now, forgets=forgets)
    return rehearse(journal, selections, now, forgets=forgets)


def _bytes(max_mb: Decimal | None) -> int | None:
    return None if max_mb is None else int(max_mb * MEGA)


@contextmanager
def _progress() -> Iterator[Told]:
    progress = CountLine(shown=sys.stderr.isatty())
    try:
        yield progress.runs
    finally:
        progress.end()


def _show(journal: Location, freed: Freed, order: Order, *, names_runs: bool) -> None:
    if order.as_json:
        facts = asdict(freed)
        del facts["delayed"]
        facts["archives"] = [str(path) for path in freed.archives]
        emit_json({"dry_run": order.dry_run, **facts})
    else:
        emit("\n".join(_lines(freed, order, names_runs=names_runs)))
    if not freed.bytes and freed.runs and not isinstance(journal, Path):
        say("note: the server keeps what is free for new records")
    if freed.delayed:
        say("note: somebody reads the journal, so its file gets smaller only when they have ended")
    if freed.over_bytes:
        say(
            f"note: {size_of(freed.over_bytes)} more than that stay in use: what is left is under"
            " way, waits for something, or can be resumed"
        )


def _lines(freed: Freed, order: Order, *, names_runs: bool) -> Iterator[str]:
    if names_runs:
        verb = "delete" if order.archive is None else "archive"
        yield (
            f"{f'would {verb}' if order.dry_run else f'{verb}d'} {plural(freed.runs, 'run')}"
            f" with {plural(freed.records, 'record')}, {plural(freed.calls, 'call')}"
            f" and {plural(freed.contents, 'large text')};"
            f" {plural(freed.days, 'row')} of old spending"
        )
    yield from map(str, freed.archives)
    yield f"{'would free about' if order.dry_run else 'freed'} {size_of(freed.bytes)}"


def _say_missing(run_ids: tuple[str, ...], freed: Freed) -> None:
    missing = len({*run_ids}) - freed.runs
    if run_ids and missing:
        say(
            f"note: {plural(missing, 'run')} stayed: not over yet, not in this journal, or not what"
            " the other options say; see python -m runtime runs"
        )
