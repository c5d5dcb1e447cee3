"""``flow``: workflows, and what runs of them come to."""

from __future__ import annotations

from pathlib import Path

import click

from runtime.cli.lazy import Lazy, LazyGroup
from runtime.cli.options import catalog_option, db_option, debug_option

COMMANDS = {
    "run": Lazy("runtime.cli.run:run_workflow", "Run a workflow."),
    "list": Lazy("runtime.cli.listing:list_workflows", "List workflows."),
    "validate": Lazy("runtime.cli.flow:validate", "Check workflows, and what they need."),
    "summarize": Lazy("runtime.cli.flow:summarize", "Sum up runs: success, latency, models, cost."),
    "gate": Lazy("runtime.cli.flow:gate", "Check a summary against policies."),
}
SUMMARIZE_HELP = """Sum up what runs came to, as the journal has it, as one JSON object.

\b
runs, running, successes, success_rate, avg_latency_ms, errors {total, by_type}
tools {calls, errors}   uses of skills
steps          by agent: name, runs, successes, errors, success_rate, avg_latency_ms,
               error_types, tools, models
models         by provider/model: name, calls, errors, denied, cached, tokens {input,
               output, total}, cost_usd, unpriced_calls, error_types
model_stats    by model: calls, errors, input_tokens, output_tokens, total_tokens, cost_usd
costs          cost_usd, counted_usd, unpriced_calls
run_costs, spending, uses      what "flow gate" looks at: costs by run, and by agent,
               provider and tenant in days and months; models by kind of data and region
left_out       how many rows more there were of the first two: they have the dearest

A rate or an average is null without anything to take it of, a cost where nobody knows the
price of any call. counted_usd is what budgets count: the cost, or the worst case of calls
whose bill nobody knows.
"""
GATE_HELP = """Check SUMMARY, which "flow summarize" wrote (- for standard input), against a policy.

\b
A policy is a file as in catalog/policies, or it has some of these:
  min_runs, min_success_rate, max_avg_latency_ms
  required_steps: [agent, ...]
  per_step: {agent or default: {max_error_rate, max_avg_latency_ms, max_mcp_error_rate}}
  mcp: {max_error_rate}          of tools, which are skills here
  models: {denylist: [...], allowlist: [...]}      names or patterns

Exits with 0 when it is satisfied, with 2 when it is not: then each violation is a line of
standard output, and with 1 when the policy or the summary cannot be read.
"""

flow = debug_option(
    LazyGroup(
        name="flow",
        table=COMMANDS,
        help="Run, list and check workflows, sum up what runs came to, and gate that.",
        no_args_is_help=False,
    )
)


@debug_option
@click.command()
@click.argument("names", nargs=-1, metavar="[NAME|FILE]...")
@catalog_option
def validate(names: tuple[str, ...], catalog: Path | None) -> None:
    """Check workflows, by their NAMEs or FILEs, or all of them, with the agents that they need.

    Everything that is wrong in the catalog is said at once, a line each: file:line:column, what,
    and what to do.
    """
    from runtime.cli.flow_checks import validate_workflows  # noqa: PLC0415  # 0.4 s, not for --help

    validate_workflows(names, catalog)


@debug_option
@click.command(help=SUMMARIZE_HELP)
@click.option(
    "--since",
    metavar="WHEN",
    help="Only runs and calls begun since then: 30m, 12h, 7d, or a date such as 2026-11-22.",
)
@click.option("--agent", metavar="A", help="Only the work of this agent, and of those below it.")
@click.option("--workflow", metavar="W", help="Only runs that were started with it.")
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write it there. [default: standard output]",
)
@db_option
def summarize(
    since: str | None, agent: str | None, workflow: str | None, output: Path | None, db: str | None
) -> None:
    """Sum up what runs came to; see ``SUMMARIZE_HELP``."""
    from runtime.cli.flow_summary import summarise  # noqa: PLC0415  # 0.2 s, not for --help
    from runtime.governance.summarise import Wanted  # noqa: PLC0415  # as above

    summarise(Wanted(since, agent, workflow), output, db)


@debug_option
@click.command(help=GATE_HELP)
@click.argument("summary", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The policy. [default: all policies of the catalog]",
)
@catalog_option
def gate(summary: Path, policy: Path | None, catalog: Path | None) -> int:
    """Check SUMMARY, a file that "flow summarize" wrote; see ``GATE_HELP``."""
    from runtime.cli.flow_gate import check_summary  # noqa: PLC0415  # 0.2 s, not for --help

    return check_summary(summary, policy, catalog)
