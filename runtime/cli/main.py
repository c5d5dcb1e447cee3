"""The table of commands, and the one place where their exceptions end."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

import click

from runtime.cli.failures import PROGRAM, explain
from runtime.cli.lazy import Lazy, LazyGroup
from runtime.cli.options import Session, debug_option
from runtime.cli.streams import prepare, say, silence

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "run": Lazy("runtime.cli.run:run", "Run a workflow or an agent."),
    "invoke": Lazy("runtime.cli.invoke:invoke", "Call models: one prompt, or a file of them."),
    "list": Lazy("runtime.cli.listing:listing", "List agents, skills, workflows and providers."),
    "runs": Lazy("runtime.cli.runs:runs", "List past and present runs, the newest first."),
    "up": Lazy("runtime.cli.up:up", "Be a node of a cluster of machines."),
    "nodes": Lazy("runtime.cli.nodes:nodes", "List the nodes of a cluster, or let one leave."),
    "resume": Lazy("runtime.cli.resume:resume", "Go on with runs that were killed or parked."),
    "replay": Lazy("runtime.cli.replay:replay", "Run a past run's code again, offline, compared."),
    "fork": Lazy("runtime.cli.fork:fork", "Branch off a past run before a step, with a model."),
    "diff": Lazy("runtime.cli.diff:diff", "Tell where two runs part, with tokens and cost."),
    "cancel": Lazy("runtime.cli.halt:cancel", "End a run, wherever its process is."),
    "pause": Lazy("runtime.cli.halt:pause", "Pause a run, to go on with it later."),
    "approvals": Lazy("runtime.cli.approvals:approvals", "List what waits for a decision."),
    "approve": Lazy("runtime.cli.decide:approve", "Say yes to what a run has asked."),
    "deny": Lazy("runtime.cli.decide:deny", "Say no to what a run has asked."),
    "show": Lazy("runtime.cli.show:show", "Show one run: its outcome and its delegations."),
    "trace": Lazy("runtime.cli.trace:trace", "Draw a run's waterfall, or open it in Jaeger."),
    "explain": Lazy("runtime.cli.explain:explain", "Tell which model would be asked, and why."),
    "flow": Lazy("runtime.cli.flow:flow", "Run, check, sum up and gate workflows."),
    "agent": Lazy("runtime.cli.agent:agent", "Run and list agents."),
    "init": Lazy("runtime.cli.scaffold:init", "Write a first agent, runnable at once."),
    "providers": Lazy("runtime.cli.providers:providers", "List and check providers, count calls."),
    "data": Lazy("runtime.cli.data:data", "Query, search, export and clear the journal."),
    "catalog": Lazy("runtime.cli.catalog:catalog", "Validate the catalog, write its schemas."),
}
HELP = """The actor runtime for LLM agents.

A result goes to standard output, everything else to standard error.

\b
Exit codes:
  0    ok
  1    usage or configuration
  2    the run failed
  3    its budget is used up
  4    a policy or a person denies it
  5    the run waits for a decision
  6    it is paused
  130  cancelled

\b
The journal is the first of these:
  --db PATH, or MAGSAG_DB   (:memory: keeps nothing)
  .magsag/journal.db        where there is a folder .magsag
  $XDG_STATE_HOME/magsag/journal.db, by default under ~/.local/state
It is kept below MAGSAG_JOURNAL_MAX_MB, if that is set: the oldest runs that are over are deleted,
or archived in the folder MAGSAG_JOURNAL_ARCHIVE.

\b
The catalog is the first of these:
  --catalog DIR, or MAGSAG_CATALOG
  ./catalog
  the catalog beside the package runtime
"""

commands = LazyGroup(
    name="runtime",
    table=COMMANDS,
    help=HELP,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
debug_option(commands)


def main(argv: Sequence[str]) -> int:
    """Carry out a command line and return the exit code. Never raises.

    Args:
        argv: the arguments, without the program's name.
    """
    prepare()
    session = Session(argv=tuple(argv))
    try:
        with commands.make_context(PROGRAM, list(argv), obj=session) as context:
            return int(commands.invoke(context) or 0)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except BrokenPipeError:  # of --help; results are written by `emit`
        silence(sys.stdout)
        return 0
    except BaseException as error:  # noqa: BLE001  # the last door: whatever it is ends here
        return _failed(error, session)


def _failed(error: BaseException, session: Session) -> int:
    failure = explain(error)
    if session.debug:
        say("".join(traceback.format_exception(error)))
    for line in failure.lines:
        say(line)
    return failure.code
