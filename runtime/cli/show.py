"""``show``: one run, its outcome and its delegations."""

from __future__ import annotations

import click

from runtime.cli.options import db_option, debug_option, json_option


@debug_option
@click.command()
@click.argument("run_id")
@click.option("--steps", is_flag=True, help="Show every step, too: what was asked and used.")
@click.option("--events", is_flag=True, help="Show every record, too.")
@db_option
@json_option
def show(run_id: str, db: str | None, *, steps: bool, events: bool, as_json: bool) -> None:
    """Show the run RUN_ID: its id, the beginning of it where that is clear, or "last".

    Calls, tokens and cost of a delegation are its own, without those below it. --json prints
    what "runs --json" prints of a run, and: input, output, delegations (a tree: agent, task,
    status, attempts, duration_s, calls, call_errors, tokens, cost_usd, skills, skill_errors,
    error, reason, delegations); with --steps: steps (step, op, kind, agent, name, status, asked,
    answer, input_tokens, output_tokens, cost_usd, inherited), whose numbers "replay", "diff" and
    "fork --at" speak of; with --events: events (seq, at, kind, op, body, cost_nano_usd).
    """
    from runtime.cli.run_page import show_run  # noqa: PLC0415  # 0.2 s, not for --help

    show_run(db, run_id, steps=steps, events=events, as_json=as_json)
