"""``data vacuum``: old runs go, and the file gets small."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runtime.cli.journal_file import check_schema, find_journal, is_there, journal_faults
from runtime.cli.moments import moment
from runtime.cli.streams import emit, emit_json, say
from runtime.cli.text import plural
from runtime.journal.vacuum import vacuum
from runtime.journal.vacuum_old import Freed, foresee

if TYPE_CHECKING:
    from pathlib import Path

KILO = 1_000
UNITS = ("bytes", "kB", "MB", "GB", "TB")


def vacuum_journal(
    database: str | None, *, older_than: str | None, dry_run: bool, as_json: bool
) -> None:
    """Delete what is old, make the file small, and print what that has freed.

    Args:
        database: what ``--db`` says.
        older_than: delete runs that ended before then; None deletes nothing.
        dry_run: change nothing, and print what would be done.
        as_json: print an object instead of lines.

    Raises:
        ConfigurationError: ``older_than`` is no time, or the journal cannot be read or written.
    """
    now = datetime.now(UTC)
    before = moment("--older-than", older_than, now)
    path = find_journal(database)
    with journal_faults():
        freed = _freed(path, before, now, dry_run=dry_run)
    if as_json:
        facts = asdict(freed)
        del facts["delayed"]
        emit_json({"dry_run": dry_run, **facts})
    else:
        emit("\n".join(_lines(freed, dry_run=dry_run, deletes=before is not None)))
    if freed.delayed:
        say("note: somebody reads the journal, so its file gets smaller only when they have ended")


def _freed(path: Path, before: float | None, now: datetime, *, dry_run: bool) -> Freed:
    if not is_there(path):
        return Freed()
    if dry_run:
        check_schema(path)
        return foresee(path, before, now)
    return vacuum(path, before, now)


def _lines(freed: Freed, *, dry_run: bool, deletes: bool) -> list[str]:
    gone = (
        f"{plural(freed.runs, 'run')} with {plural(freed.records, 'record')},"
        f" {plural(freed.calls, 'call')} and {plural(freed.contents, 'large text')};"
        f" {plural(freed.days, 'row')} of old spending"
    )
    size = size_of(freed.bytes)
    if dry_run:
        return [*([f"would delete {gone}"] if deletes else []), f"would free about {size}"]
    return [*([f"deleted {gone}"] if deletes else []), f"freed {size}"]


def size_of(count: int) -> str:
    """Return a number of bytes: ``812 bytes`` or ``1.2 MB``."""
    size, unit = float(count), 0
    while size >= KILO and unit < len(UNITS) - 1:
        size, unit = size / KILO, unit + 1
    return f"{size:.1f} {UNITS[unit]}" if unit else plural(count, "byte")
