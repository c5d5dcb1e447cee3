"""``data vacuum``, ``data archive`` and ``data restore``: how long the journal keeps what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runtime.cli.data_options import WHEN
from runtime.cli.options import Positive, RunId, db_option, debug_option, json_option

if TYPE_CHECKING:
    from decimal import Decimal

FOLDER = click.Path(path_type=Path, file_okay=False)
dry_option = click.option("--dry-run", is_flag=True, help="Change nothing, say what would be done.")


@debug_option
@click.command()
@click.option("--older-than", metavar="WHEN", help=f"Delete runs that ended before: {WHEN}.")
@click.option(
    "--max-mb",
    type=Positive("N"),
    metavar="N",
    help="Then delete the oldest runs that are over, until at most N MB are in use.",
)
@click.option(
    "--archive", metavar="DIR", type=FOLDER, help="Archive them there instead of deleting them."
)
@dry_option
@db_option
@json_option
def vacuum(
    older_than: str | None,
    max_mb: Decimal | None,
    archive: Path | None,
    db: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Delete old runs with their records and calls, and give the room back to the disk.

    Without --older-than and --max-mb nothing is deleted. Runs that are under way or wait for
    something are never touched. A run whose process on this machine is dead can be resumed:
    --max-mb leaves it alone, for --older-than it counts from its beginning. What deleted runs
    have spent stays counted, by days, for 400 days.

    Other processes may go on writing the journal; none waits for longer than a fraction of a
    second. Only the first time, the file of an earlier version is written anew, in which they
    wait 4 to 20 seconds for each gigabyte that is left, and a run gives up when it has waited for
    30: do that when nothing is running.

    --json prints an object: dry_run, runs, records, calls, contents (large bodies that nobody
    else has), days (of spending), bytes (given back to the disk; with --dry-run an estimate),
    over_bytes (in use above --max-mb, because nothing more may go), archives (files).
    """
    from runtime.cli.data_vacuum import Order, vacuum_journal  # noqa: PLC0415  # 0.2 s, not for --help

    order = Order(archive=archive, dry_run=dry_run, as_json=as_json)
    vacuum_journal(db, order, older_than=older_than, max_mb=max_mb)


@debug_option
@click.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option("--older-than", metavar="WHEN", help=f"Those that ended before: {WHEN}.")
@click.option("--run-id", "run_ids", multiple=True, type=RunId(), help="This one; repeatable.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(("completed", "failed", "cancelled")),
    help="Those that ended so; repeatable.",
)
@click.option(
    "--max-mb",
    type=Positive("N"),
    metavar="N",
    help="The oldest of them, until at most N MB of the journal are in use.",
)
@dry_option
@db_option
@json_option
def archive(
    folder: Path,
    run_ids: tuple[str, ...],
    statuses: tuple[str, ...],
    db: str | None,
    *,
    older_than: str | None,
    max_mb: Decimal | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Move runs that are over out of the journal, into files in DIR.

    At least one option must say which runs; what several say must all hold. Runs that are under
    way, wait for something or can be resumed stay. Budgets go on counting what they have spent.

    A file is DAY_DAY_DIGEST.jsonl.gz, by the days on which its first and its last run began: JSON
    lines in gzip, with all that the journal has of these runs, prompts and answers included, for
    those to read who may read the journal. It has its name when it is whole, on the disk, and was
    read back; only then do its runs leave the journal. So it may be killed at any time, and
    repeated; and others go on writing the journal meanwhile. data restore brings runs back.

    --json prints an object: dry_run, runs, records, calls, contents (large bodies), bytes (given
    back to the disk; with --dry-run an estimate), over_bytes (in use above --max-mb, because
    nothing more may go), archives (files).
    """
    from runtime.cli.data_vacuum import Order, archive_runs  # noqa: PLC0415  # as above

    order = Order(archive=folder, dry_run=dry_run, as_json=as_json)
    archive_runs(
        db, order, older_than=older_than, run_ids=run_ids, statuses=statuses, max_mb=max_mb
    )


@debug_option
@click.command()
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--dry-run", is_flag=True, help="Check the files, and say what is in them.")
@db_option
@json_option
def restore(files: tuple[Path, ...], db: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Bring archived runs back into the journal, as they were.

    A file that is damaged or cut off is refused, before anything of any file is used. A run that
    is in the journal already is passed over if it is the same; one that is not the same is left
    as it is, named, and makes the exit code 1. So it may be killed at any time, and repeated.
    Budgets have counted what these runs spent, so nothing is counted twice.

    To look into an archive without touching the journal, name a new one: --db /tmp/look.db.

    --json prints an object: dry_run, runs, records, calls, contents (large bodies), present (runs
    that were there), differing (the ids of those that are not the same).
    """
    from runtime.cli.data_restore import restore_runs  # noqa: PLC0415  # as above

    restore_runs(db, files, dry_run=dry_run, as_json=as_json)
