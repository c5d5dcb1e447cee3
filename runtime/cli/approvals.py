"""``approvals``: what runs have asked, and nobody has decided yet."""

from __future__ import annotations

import click

from runtime.cli.options import db_option, debug_option, json_option


@debug_option
@click.command()
@db_option
@json_option
def approvals(db: str | None, *, as_json: bool) -> None:
    """List what waits for a decision, over all runs, the oldest first.

    `approve RUN_ID TICKET` and `deny RUN_ID TICKET` decide. --json prints a list of objects:
    run_id, ticket, agent, task_id, question, data, tool, policy, asked_at, expires_at.
    """
    from runtime.cli.approval_table import list_approvals  # noqa: PLC0415  # 0.2 s, not for --help

    list_approvals(db, as_json=as_json)
