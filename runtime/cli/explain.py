"""``explain``: whom an agent would ask, why, for how much at most, and by which policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runtime.cli.options import (
    Positive,
    catalog_option,
    db_option,
    debug_option,
    json_option,
    tenant_option,
)
from runtime.cli.payload import read_payload

if TYPE_CHECKING:
    from decimal import Decimal


@debug_option
@click.command()
@click.argument("target")
@click.option("--input", "given", metavar="JSON|@FILE|-", help="Its input; - reads stdin.")
@click.option(
    "--context",
    metavar="JSON|@FILE|-",
    help="The context that a Delegation to it would have, e.g. a preferred_model.",
)
@click.option("--provider", metavar="P", help="Ask this provider. [env: MAGSAG_PROVIDER]")
@click.option("--model", metavar="M", help="Ask this tier or model. [env: MAGSAG_MODEL]")
@click.option("--budget-usd", type=Positive("USD"), help="What it may cost at most.")
@tenant_option
@click.option("--routing", metavar="NAME", help="Go by this routing file. [env: MAGSAG_ROUTING]")
@db_option
@catalog_option
@json_option
def explain(
    target: str, given: str | None, context: str | None, budget_usd: Decimal | None, **others: Any
) -> int:
    """Tell whom a workflow or an agent, TARGET, would ask, and why, without asking anybody.

    For it and for every agent that the catalog lets it delegate to: the model, and who is asked
    when that fails; each wish, route, tier and alias that decided, and those that were overruled,
    with file and line; what one call may cost at most, taking the input for the prompt; which
    policies and limits hold, and what is spent of them so far, as the journal says; and models
    that are retired or soon will be. What code decides while it runs is not known here.

    --json prints a list of objects: agent, where, task_type, asks, denied, then, by_weight,
    fallback_on, cache_ttl_s, passed_over, because, overruled, price, at_most_usd, prompt_tokens,
    output_tokens, data_classes, policies, budget, limits, warnings.

    Exits as the run would: with 4 when a policy denies the question of TARGET itself, with 3 when
    a budget or a limit has no room for it.
    """
    if given == context == "-":
        raise click.UsageError("standard input is either --input or --context")
    payload, hints = read_payload(given), read_payload(context, "--context")
    if not isinstance(hints, dict | None):
        raise click.UsageError("--context must be a JSON object")
    from runtime.cli.explaining import Wanted, explain_target  # noqa: PLC0415  # 0.4 s, not for --help

    return explain_target(
        Wanted(target=target, payload=payload, context=hints or {}, budget_usd=budget_usd, **others)
    )
