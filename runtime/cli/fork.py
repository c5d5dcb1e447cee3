"""``fork``: a new run that has of a past one what came before a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runtime.cli.commission import commission_options
from runtime.cli.options import Positive, RunId, Session, debug_option

if TYPE_CHECKING:
    from decimal import Decimal

FORK_HELP = """Begin a new run that branches off the run RUN_ID before a step.

RUN_ID is its id, the beginning of it, or "last"; it may be over, dead or under way. The agents'
code runs again from the beginning: steps with a smaller number are answered from the records of the
run, at no cost; that step and those with a greater number are done live, and so is what the run had
not come to an end of. "show RUN_ID --steps" lists the steps; --at takes a number from there.

--model overrides the model of every call that is not answered from the records, of that step and of
all agents after it. It goes before everything that code, catalog, environment and the starter of
the run wish, as if each such call had named it; fallbacks are those of that model, and policies
hold. Without it everybody is asked as the run asked.

The fork is a run of its own: with an id, a trace (whose root names the run and the step), a budget
and a deadline (those of the run, if none is given), and copies of the records, so that it can be
resumed, replayed, compared ("diff") and forked when the run is deleted. Its costs are what it pays
itself; what it has inherited is told beside them. Skills with side effects that the run used from
the step on would be used again: that is refused until you say --repeat-side-effects.

\b
Examples:
  python -m runtime fork last --at 17 --model openai/gpt-4o
  python -m runtime diff 01a2 last

Exit codes are those of `run`; 1 where it cannot be forked.
"""


@debug_option
@click.command(help=FORK_HELP)
@click.argument("run_id")
@click.option("--at", required=True, metavar="STEP", help="The step from which on it works live.")
@click.option("--model", metavar="MODEL", help="Whom to ask from there on: a tier or a model.")
@click.option("--budget-usd", type=Positive("USD"), help="The most that the fork itself may cost.")
@click.option("--deadline", type=Positive("SECONDS"), help="The seconds that the fork gets.")
@click.option("--run-id", "new_id", type=RunId(), help="The fork's name. [default: a UUIDv7]")
@click.option(
    "--repeat-side-effects",
    is_flag=True,
    help="Use skills with side effects that the run used from the step on, too.",
)
@click.option("--approve", multiple=True, metavar="TOOL", help="Approve this tool; repeatable.")
@click.option(
    "--durability", type=click.Choice(("fast", "strict")), help="As of run. [default: the run's]"
)
@commission_options
@click.pass_obj
def fork(session: Session, /, run_id: str, deadline: Decimal | None, **choices: Any) -> int:
    """Fork a run; see ``FORK_HELP``."""
    from runtime.cli.forking import Branch, branch_off  # noqa: PLC0415  # 0.4 s, not for --help

    return branch_off(
        Branch(
            session=session,
            name=run_id,
            deadline_s=None if deadline is None else float(deadline),
            **choices,
        )
    )
