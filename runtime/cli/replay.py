"""``replay``: run the code of a past run again, offline, on its records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runtime.cli.options import (
    Positive,
    Session,
    catalog_option,
    db_option,
    debug_option,
    json_option,
    loudness_options,
)

if TYPE_CHECKING:
    from decimal import Decimal

REPLAY_HELP = """Run the agents' code of the run RUN_ID again, offline, and compare.

RUN_ID is its id, the beginning of it, or "last"; it must be over. The bodies of all agents run;
models, skills and approvals are answered from the journal. No model is asked, no skill is used, no
span is sent, nothing is written and nothing is paid; what the agents' own code does by itself, it
does again. Deadlines and budgets do not strike but where they struck; races end as they ended.

Prints "identical" where the code comes to the same output, byte for byte, or to the same failure.
Else the first record that differs: the step (show RUN_ID --steps lists them), what the journal
has, and what the code came to instead. --json prints an object: run_id, status, identical, steps,
difference (null, or step, op, why, expected, found; these two null, or what, data).

Which model is asked is decided anew, by the catalog as it is and the policies of the run's day: a
catalog that has changed may be the difference. Clocks, random numbers and files are not recorded.

\b
Examples:
  python -m runtime replay last
  python -m runtime replay 01a2 --json

Exit codes: 0 identical, 2 different or not at its end in time, 1 it cannot be replayed.
"""


@debug_option
@click.command(help=REPLAY_HELP)
@click.argument("run_id")
@click.option("--deadline", type=Positive("SECONDS"), help="The seconds it may take. [3600]")
@db_option
@catalog_option
@json_option
@loudness_options()
@click.pass_obj
def replay(session: Session, /, run_id: str, deadline: Decimal | None, **choices: Any) -> int:
    """Replay a run; see ``REPLAY_HELP``."""
    from runtime.cli.replaying import Rerun, run_again  # noqa: PLC0415  # 0.4 s, not for --help

    longest_s = None if deadline is None else float(deadline)
    return run_again(Rerun(session=session, name=run_id, longest_s=longest_s, **choices))
