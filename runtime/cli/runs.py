"""``runs``: past and present runs."""

from __future__ import annotations

import click

from runtime.cli.options import db_option, debug_option, json_option

STATUSES = ("running", "waiting", "paused", "completed", "failed", "cancelled", "lost")


@debug_option
@click.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option("--status", type=click.Choice(STATUSES), help="Only runs that stand there.")
@db_option
@json_option
def runs(limit: int, status: str | None, db: str | None, *, as_json: bool) -> None:
    """List runs, the newest first.

    A run is "lost" when its process on this machine died before the run was over; "waiting" when
    it goes on by a decision (see `approvals`), and "paused" when by `resume`: nobody is at work on
    it since then. --json prints a list of objects: run_id, trace_id, target, status, error,
    reason, started_at, parked_at, duration_s, usage {calls, errors, input_tokens, output_tokens},
    cost_usd, unpriced_calls.
    """
    from runtime.cli.run_table import list_runs  # noqa: PLC0415  # 0.2 s, not for --help

    list_runs(db, limit=limit, status=status, as_json=as_json)
