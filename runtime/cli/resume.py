"""``resume``: go on with runs whose processes have died."""

from __future__ import annotations

from typing import Any

import click

from runtime.cli.commission import commission_options
from runtime.cli.options import Positive, Session, debug_option

RESUME_HELP = """Go on with the run RUN_ID, whose process was killed, or that waits or is paused.

RUN_ID is its id, the beginning of it, or "last".

The agents' code runs again from the beginning, and every model call, skill and delegation that was
completed is answered from the journal: nothing is asked, done or paid twice. What was in flight is
done once more; where that is a skill with side effects (@skill(side_effects=True)), people are
asked whether it may be used again, as nobody knows whether it took place; --retry-in-doubt says
yes. The budget goes on where it was, and counts what was in flight at its worst; the deadline does
not count the time in which nobody was at work. A run whose time or budget is used up, or that comes
to its deadline while it goes on, is left as it is until --deadline or --budget-usd gives it more.

Where the code of an agent or skill has changed since that the run may reach, --on-code-change
decides, or else what the run was started with. "refuse" leaves the run as it is, also where its
code comes to another step than the recorded one, before that is done. "continue", the default,
names what has changed in a warning and goes on: steps of the same content are answered from the
journal, others are new, and recorded steps that are not used any more are told at the end. "pin"
goes on with the code that the run began with, if it was started with "pin" and so has kept it; of
several runs each needs a process of its own for that, so --all leaves those whose code has changed.

A run that waits for a decision which nobody has made comes to that question again, and waits on.
--all takes the runs whose processes were killed, and those that waited for a decision which is
there or has expired; a run that is paused is only gone on with by its name.

\b
Examples:
  python -m runtime runs --status lost
  python -m runtime resume last
  python -m runtime resume --all

Exit codes are those of `run`; with --all 2 if any run failed. A run that is over, or that a process
has, is not resumed (1).
"""


class KeepOrExtend(Positive):
    """``keep``, ``extend``, or a number of seconds."""

    def __init__(self) -> None:
        super().__init__("keep|extend|SECONDS")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word, or the seconds as a float.

        Raises:
            BadParameter: it is neither.
        """
        words = ("keep", "extend")
        return value if value in words else float(super().convert(value, param, ctx))


@debug_option
@click.command(help=RESUME_HELP)
@click.argument("run_id", required=False)
@click.option("--all", "everything", is_flag=True, help="Go on with all that can.")
@click.option(
    "--deadline",
    type=KeepOrExtend(),
    default="keep",
    help="The time it gets: what it had left, its whole time once more, or so many seconds from now"
    " on. [default: keep]",
)
@click.option(
    "--budget-usd", type=Positive("USD"), help="What the whole run may cost, as of its beginning."
)
@click.option(
    "--retry-in-doubt",
    is_flag=True,
    help="Use skills with side effects again that had begun, and ask nobody.",
)
@click.option(
    "--on-code-change",
    type=click.Choice(("refuse", "continue", "pin")),
    help="What to do where the code has changed. [default: what the run was started with]",
)
@click.option("--approve", multiple=True, metavar="TOOL", help="Approve this tool; repeatable.")
@commission_options
@click.pass_obj
def resume(session: Session, /, run_id: str | None, **choices: Any) -> int:
    """Go on with runs; see ``RESUME_HELP``."""
    if (run_id is None) != choices["everything"]:
        raise click.UsageError("name a run, or give --all")
    from runtime.cli.resuming import Continuation, go_on  # noqa: PLC0415  # 0.4 s, not for --help

    return go_on(
        Continuation(
            session=session,
            name=run_id,
            **choices,
        )
    )
