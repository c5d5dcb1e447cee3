"""``cancel`` and ``pause``: end a run, or park it, from any process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runtime.cli.options import Positive, db_option, debug_option, json_option

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

CANCEL_HELP = """End the run RUN_ID, wherever its process is.

RUN_ID is its id, the beginning of it, or "last".

The process that is at work on the run hears of it within about a second: it ends the agents,
closes the connections of calls in flight, and notes that the run was cancelled, by whom and why.
Where nobody is at work on it, because it waits, is paused or its process has died, the command
notes that itself.

Exit codes: 0 it is cancelled; 1 it was over before, or there is no such run; 2 its process has not
done so within --wait seconds: it has been asked, and will when it hears of it.
"""
PAUSE_HELP = """Pause the run RUN_ID: it begins no new step, and goes on when somebody resumes it.

RUN_ID is its id, the beginning of it, or "last".

What is in flight may end, for --grace seconds; what has not ended by then is in doubt, as when a
process is killed, and model calls are made again. Then the run is parked: its process is free (a
`run` command ends with 6), and its deadline stands still. "python -m runtime resume RUN_ID" goes on
with it, under the same trace and budget. A run that waits for a decision, or whose process has
died, can be paused, too: then neither a decision nor "resume --all" goes on with it.

Exit codes: 0 it is paused; 1 it is over or paused already, or there is no such run; 2 its process
has not done so within --wait seconds: it has been asked, and will when it hears of it.
"""


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what both take."""
    for add in (
        json_option,
        db_option,
        click.option(
            "--wait",
            type=Positive("SECONDS"),
            help="How long to wait for its process.  [default: 30, and the grace]",
        ),
        click.option("--why", metavar="TEXT", default="", help="What to say about it."),
        click.argument("run_id"),
    ):
        command = add(command)
    return command


@debug_option
@click.command(help=CANCEL_HELP)
@_options
def cancel(run_id: str, why: str, wait: Decimal | None, db: str | None, *, as_json: bool) -> int:
    """End a run; see ``CANCEL_HELP``."""
    from runtime.cli.halting import Wanted, halt_run  # noqa: PLC0415  # 0.2 s, not for --help

    wait_s = None if wait is None else float(wait)
    return halt_run(Wanted("cancelled", run_id, why, wait_s, None, db, as_json))


@debug_option
@click.command(help=PAUSE_HELP)
@_options
@click.option("--grace", type=Positive("SECONDS"), help="For what is in flight.  [default: 60]")
def pause(
    run_id: str,
    why: str,
    wait: Decimal | None,
    grace: Decimal | None,
    db: str | None,
    *,
    as_json: bool,
) -> int:
    """Pause a run; see ``PAUSE_HELP``."""
    from runtime.cli.halting import Wanted, halt_run  # noqa: PLC0415  # 0.2 s, not for --help

    wait_s, grace_s = (None if each is None else float(each) for each in (wait, grace))
    return halt_run(Wanted("paused", run_id, why, wait_s, grace_s, db, as_json))
