"""``approve`` and ``deny``: decide what a run has asked, and go on with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runtime.cli.commission import commission_options
from runtime.cli.options import Session, debug_option

if TYPE_CHECKING:
    from collections.abc import Callable

HOW = """

RUN_ID is the run's id, the beginning of it, or "last"; TICKET is what `approvals` and the run
itself call the question, or the beginning of that. A question is decided once.

If a process is at work on the run, it hears of the decision within about a second. If the run is
parked, this command goes on with it, as `resume` does, and ends as that ends; with --no-resume it
only notes the decision, and `resume RUN_ID` or `resume --all` goes on. A run that is paused is only
gone on with by `resume RUN_ID`.

\b
Examples:
  python -m runtime approvals
  python -m runtime {name} last k7f3qa2b --comment "for this once"

--json prints what came of the run as `run --json` does, or, where it was not gone on with, one
object: run_id, ticket, approved, by, at, comment.

Exit codes are those of `run`; 0 where the decision is only noted, 1 where the question is not open
any more.
"""


def _command(name: str, *, approved: bool, what: str) -> click.Command:
    def run(session: Session, /, **options: Any) -> int:
        return _run(session, approved=approved, **options)

    made: Callable[..., Any] = click.pass_obj(run)
    for add in reversed(
        (
            click.argument("run_id"),
            click.argument("ticket"),
            click.option(
                "--comment", metavar="TEXT", default="", help="What the agent gets to see."
            ),
            click.option("--no-resume", is_flag=True, help="Only note it."),
            commission_options,
        )
    ):
        made = add(made)
    command: click.Command = debug_option(
        click.command(name=name, help=what + HOW.replace("{name}", name))(made)
    )
    return command


def _run(session: Session, **choices: Any) -> int:
    from runtime.cli.deciding import Verdict, give  # noqa: PLC0415  # 0.4 s, not for --help

    return give(Verdict(session=session, **choices))


approve = _command(
    "approve", approved=True, what="Say yes to what the run RUN_ID has asked under TICKET."
)
deny = _command(
    "deny", approved=False, what="Say no to what the run RUN_ID has asked under TICKET."
)
