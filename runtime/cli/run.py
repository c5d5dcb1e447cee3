"""``run``, ``flow run`` and ``agent run``: run a workflow or an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import click

from runtime.cli.commission import commission_options
from runtime.cli.options import Positive, RunId, Session, debug_option, tenant_option
from runtime.cli.payload import read_payload

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

HOW_IT_ANSWERS = """
A text is printed as it is. Of an object with a text in its field "report", or with one in
"text" as its only field, that text is printed. Everything else is printed as indented JSON.
--json prints one object instead, with everything in it: run_id, status,
output, error, reason, usage {calls, errors, input_tokens, output_tokens}, cost_usd,
unpriced_calls, duration_s, trace_id, waits_for [{ticket, agent, question, data, ...}].

A run that asks people (ctx.approve, or a tool that a policy wants approved) waits for them without
a process: when nothing else is left to do the command ends with 5 and tells what to type to decide.
With 6 it ends when somebody has paused the run.

The first Ctrl-C ends the run in order, the second one kills it.
"""
OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--input", "given", metavar="JSON|@FILE|-", help="Its input; - reads stdin."),
    click.option("--provider", metavar="P", help="Ask this provider. [env: MAGSAG_PROVIDER]"),
    click.option("--model", metavar="M", help="Ask this tier or model. [env: MAGSAG_MODEL]"),
    click.option("--budget-usd", type=Positive("USD"), help="What it may cost at most."),
    tenant_option,
    click.option(
        "--routing", metavar="NAME", help="Go by this routing file. [env: MAGSAG_ROUTING]"
    ),
    click.option(
        "--approve",
        multiple=True,
        metavar="TOOL",
        help="Approve this tool, or pattern of tools, where a policy wants that, so that nobody is"
        " asked; repeatable.",
    ),
    click.option("--deadline", type=Positive("SECONDS"), help="The seconds it gets."),
    click.option(
        "--durability",
        type=click.Choice(("fast", "strict")),
        help="fast: what a kill loses of the last moment is done again by resume; strict: what"
        " begins is on the disk before it leaves the process. [env: MAGSAG_DURABILITY; default:"
        " fast]",
    ),
    click.option(
        "--on-code-change",
        type=click.Choice(("refuse", "continue", "pin")),
        help="What resume does where the run's agents or skills have changed; continue answers what"
        " is the same from the journal and does the rest; pin keeps their files and goes on with"
        " those. [default: the workflow's, else continue]",
    ),
    click.option("--run-id", type=RunId(), help="Its name; by default a new UUIDv7."),
    commission_options,
)


def _command(what: str, kind: Literal["workflow", "agent"] | None) -> click.Command:
    """Return a command that runs what it is given.

    Args:
        what: what it runs, in words.
        kind: the only kind that it runs; None for both.
    """

    def run(session: Session, /, **options: Any) -> int:
        return _run(session, kind=kind, **options)

    made = click.pass_obj(run)
    for option in reversed((click.argument("target"), *OPTIONS)):
        made = option(made)
    help_text = f"Run {what}, TARGET, and print what it answers.\n{HOW_IT_ANSWERS}"
    command: click.Command = debug_option(click.command(name="run", help=help_text)(made))
    return command


def _run(
    session: Session,
    *,
    target: str,
    given: str | None,
    budget_usd: Decimal | None,
    deadline: Decimal | None,
    **choices: Any,
) -> int:
    payload = read_payload(given)
    from runtime.cli.execution import Order, execute  # noqa: PLC0415  # 0.4 s, not for --help

    order = Order(
        session=session,
        target=target,
        payload=payload,
        budget_usd=budget_usd,
        deadline_s=None if deadline is None else float(deadline),
        **choices,
    )
    return execute(order)


run = _command("a workflow or an agent", None)
run_workflow = _command("a workflow of the catalog", "workflow")
run_agent = _command("an agent", "agent")
