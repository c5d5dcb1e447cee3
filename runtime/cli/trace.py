"""``trace``: what a run did when, drawn here or in Jaeger."""

from __future__ import annotations

import click

from runtime.cli.lazy import Lazy, LazyGroup
from runtime.cli.options import db_option, debug_option, json_option

COMMANDS = {
    "show": Lazy("runtime.cli.trace:show", "Draw a run's waterfall in the terminal."),
    "open": Lazy("runtime.cli.trace:open_", "Print the link to a run's trace, and open it."),
}
SHOW_HELP = """Draw the waterfall of the run RUN_ID: its id, the beginning of it, or "last".

A line for each span, as the journal has it, so no backend is needed: the run, its agents by who
delegated to whom, tools and model calls, each with its time, tokens, cost, attempts, and what went
wrong in a word. A bar begins light where an agent waited for its turn; it ends with > where
something still runs, and with ? where its process died.

Of many of one kind in one place those that failed, those that run and the slowest are shown, a
tenth of --limit at most, and one line stands for the rest.

\b
Examples:
  python -m runtime trace show last
  python -m runtime trace show 0199a3 --depth 2
  python -m runtime trace show last --limit 5000 | less -S
  python -m runtime trace show last --json

--json prints a list of objects, all spans unless --limit or --depth say less: span (the step),
parent (null for the run), depth, operation, name, status, started_at, start_s (since the run
began), queued_s, duration_s (null until it is over), attempts, provider, served_model,
input_tokens, output_tokens, cost_usd, cost_nano_usd, unpriced, error, reason, error_class,
instead_of (the provider/model that failed at the same question).
"""
OPEN_HELP = """Print the link to the trace of the run RUN_ID in Jaeger, and open it in a browser.

RUN_ID is its id, the beginning of it, or "last". Before, Jaeger is asked whether it has the trace;
where it does not, or does not answer, nothing is opened, and what to do is said. --print prints
the link, asks nobody and opens nothing.

\b
Examples:
  python -m runtime trace open last
  python -m runtime trace open 0199a3 --ui https://jaeger.example.com
  python -m runtime trace open last --print
"""

trace = debug_option(
    LazyGroup(
        name="trace",
        table=COMMANDS,
        help="Look at what a run did when.",
        no_args_is_help=False,
    )
)


@debug_option
@click.command(help=SHOW_HELP)
@click.argument("run_id")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="At most N lines. [default: 100, with --json all]",
)
@click.option("--depth", type=click.IntRange(0), metavar="N", help="At most N levels of nesting.")
@db_option
@json_option
def show(
    run_id: str, db: str | None, *, limit: int | None, depth: int | None, as_json: bool
) -> None:
    """Draw a waterfall; see ``SHOW_HELP``."""
    from runtime.cli.trace_page import show_trace  # noqa: PLC0415  # 0.2 s, not for --help

    show_trace(db, run_id, limit=limit, depth=depth, as_json=as_json)


@debug_option
@click.command(name="open", help=OPEN_HELP)
@click.argument("run_id")
@click.option(
    "--ui",
    metavar="URL",
    envvar="MAGSAG_TRACE_UI",
    help="Jaeger's address. [env: MAGSAG_TRACE_UI; default: port 16686 of the host that spans are"
    " sent to, else of localhost]",
)
@click.option("--print", "only_print", is_flag=True, help="Only print the link.")
@db_option
def open_(run_id: str, ui: str | None, db: str | None, *, only_print: bool) -> None:
    """Open a trace; see ``OPEN_HELP``."""
    from runtime.cli.trace_open import open_trace  # noqa: PLC0415  # as above

    open_trace(db, run_id, ui=ui, only_print=only_print)
