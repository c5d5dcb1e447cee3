"""``data restore``: archived runs come back."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from runtime.cli.count_line import CountLine
from runtime.cli.journal_file import find_journal, journal_faults
from runtime.cli.streams import emit, emit_json
from runtime.cli.text import plural
from runtime.errors import ConfigurationError
from runtime.journal.archive_file import COUNTS
from runtime.journal.restore import Restored, check, restore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runtime.journal.location import Location


def restore_runs(
    database: str | None, files: Sequence[Path], *, dry_run: bool, as_json: bool
) -> None:
    """Bring runs back, and print how many.

    Args:
        database: what ``--db`` says.
        files: the archives.
        dry_run: only look whether they are whole, and print what is in them.
        as_json: print an object instead of lines.

    Raises:
        ConfigurationError: a file cannot be used, the journal cannot be written, or it has other
            runs under the same ids.
    """
    journal = find_journal(database)
    with journal_faults():
        done = _foreseen(files) if dry_run else _restored(journal, files)
    if as_json:
        emit_json({"dry_run": dry_run, **asdict(done)})
    else:
        emit(_line(done, "would restore up to" if dry_run else "restored"))
    if done.differing:
        raise ConfigurationError(
            "\n".join(
                f"run {run_id} is in {journal} already, and is not the same; it was left as it is:"
                " restore it into another journal with --db"
                for run_id in done.differing
            )
        )


def _restored(journal: Location, files: Sequence[Path]) -> Restored:
    progress = CountLine(shown=sys.stderr.isatty())
    try:
        return restore(journal, files, progress.runs)
    finally:
        progress.end()


def _foreseen(files: Sequence[Path]) -> Restored:
    counts = check(files)
    runs, records, calls, contents = (
        sum(each[name] for each in counts) for name in COUNTS.values()
    )
    return Restored(runs, records, calls, contents)


def _line(done: Restored, verb: str) -> str:
    there = f"; {plural(done.present, 'run')} were there already" if done.present else ""
    return (
        f"{verb} {plural(done.runs, 'run')} with {plural(done.records, 'record')},"
        f" {plural(done.calls, 'call')} and {plural(done.contents, 'large text')}{there}"
    )
