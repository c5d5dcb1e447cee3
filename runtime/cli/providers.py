"""``providers``: which there are, which can be asked from here, and what they have been asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runtime.cli.lazy import Lazy, LazyGroup
from runtime.cli.options import catalog_option, db_option, debug_option, json_option

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = {
    "list": Lazy("runtime.cli.providers:listing", "List accounts, addresses, keys and limits."),
    "check": Lazy("runtime.cli.providers:check", "Ask each account for its models."),
    "stats": Lazy("runtime.cli.providers:stats", "Count the calls that the journal knows."),
}

providers = debug_option(
    LazyGroup(
        name="providers",
        table=COMMANDS,
        help="List and check providers, and count what they were asked.",
        no_args_is_help=False,
    )
)


@debug_option
@click.command(name="list")
@catalog_option
@json_option
def listing(catalog: Path | None, *, as_json: bool) -> None:
    """List the accounts of the catalog; keys are named, never shown.

    --json prints a list of objects: name, dialect, fallback_dialect, description, region,
    address, key {variables, set, required}, models, any_model, ready, needs (what is missing; null
    when ready), group_by, limits (by pattern of models), timeouts (seconds).
    """
    from runtime.cli.provider_list import list_providers  # noqa: PLC0415  # 0.2 s, not for --help

    list_providers(catalog, as_json=as_json)


@debug_option
@click.command()
@click.argument("name", required=False)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long an answer may take.",
)
@catalog_option
@json_option
def check(name: str | None, timeout: float, catalog: Path | None, *, as_json: bool) -> int:
    """Ask each account, or NAME only, for its models; no prompt is sent and nothing is billed.

    Exits with 1 if NAME, or any account that is configured, cannot be asked. An account is not
    configured while none of its environment variables is set and it either needs one of them or
    does not answer at its default address. --json prints a list of objects: name, dialect,
    status (ok, failed, not_configured), address, key (the variable that holds it; null), reachable,
    authorised, latency_ms, models (how many), first_models, missing_models (of the catalog), limits
    (header fields), problem, advice.
    """
    from runtime.cli.provider_checks import check_providers  # noqa: PLC0415  # as above

    return check_providers(catalog, name, timeout_s=timeout, as_json=as_json)


@debug_option
@click.command()
@click.option(
    "--last",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    metavar="N",
    help="Of the newest N runs.",
)
@click.option(
    "--since",
    metavar="WHEN",
    help="Of runs that began since then: 30m, 12h, 7d, or a date such as 2026-11-22.",
)
@db_option
@json_option
def stats(last: int, since: str | None, db: str | None, *, as_json: bool) -> None:
    """Count the model calls of past runs, by provider and model, as the journal has them.

    Those of invoke count as the calls of a run. What an account is doing at this moment (limits,
    queues, pauses, circuits, retries) only the process knows that asks it: invoke -v tells it at
    its end.

    --json prints {runs, providers}; providers is a list of objects: provider, model, calls, errors,
    errors_by_class, input_tokens, output_tokens, cost_usd (null when nobody knows the price of any
    call), unpriced_calls, latency_s (average of the answered calls, waiting and retries included;
    null when there are none).
    """
    from runtime.cli.provider_stats import show_statistics  # noqa: PLC0415  # as above

    show_statistics(db, last=last, since=since, as_json=as_json)
