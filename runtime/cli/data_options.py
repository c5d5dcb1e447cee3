"""What ``data query`` and ``data export`` have in common: which calls, and what a row has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runtime.cli.options import RunId

if TYPE_CHECKING:
    from collections.abc import Callable

STATUSES = ("running", "completed", "failed", "denied", "cached", "lost")
WHEN = "30m, 12h, 7d, or a date such as 2026-11-22"
FIELDS = """\
\b
The fields of a row, in every format:
  run_id, workflow   the run, and what it was started with
  agent, path, task  who asked, the agents above it, for which piece of work
  tenant, provider, model, served_model
  status             running, completed, failed, denied, cached, lost
  started_at, ended_at, duration_s
  input_tokens, output_tokens, total_tokens, cached_input_tokens,
  cache_write_tokens, reasoning_tokens
  cost_usd           null when nobody knows the price; exact in CSV and Parquet
  cost_nano_usd, unpriced
  settled_nano_usd   what budgets count: the cost, or the worst case where nobody
                     knows the bill; null while it runs
  usage_source, service_tier, attempts
  finish_reason, reason, error_class, error
  decision, policy   what policies said: allowed or denied, and by which
  data_classes       a list; in CSV with commas
  region             where the data went, as far as the catalog says
  level, route, request_sha256, reply_sha256, request_id, price_source

With --contents also prompt and reply, JSON: of calls whose policies have contents: keep, else
null. Times are ISO 8601 in UTC; texts are empty where nobody said. In CSV, a text that a
spreadsheet would take for a formula begins with an apostrophe.
"""


def filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which calls are wanted."""
    options = (
        click.option("--run-id", type=RunId(), help="Of this run."),
        click.option("--agent", metavar="A", help="Of this agent, or of those it delegated to."),
        click.option("--model", metavar="M", help="Asked or served; a name, or gpt-4*."),
        click.option("--provider", metavar="P", help="Of this provider."),
        click.option("--tenant", metavar="NAME", help="Of this tenant's runs."),
        click.option("--workflow", metavar="W", help="Of runs that were started with it."),
        click.option("--status", type=click.Choice(STATUSES), help="Only those that stand there."),
        click.option("--since", metavar="WHEN", help=f"Begun since then: {WHEN}."),
        click.option("--until", metavar="WHEN", help="Begun before that."),
        click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most N rows."),
        click.option("--contents", is_flag=True, help="Prompts and replies, too, where kept."),
    )
    for option in reversed(options):
        function = option(function)
    return function
