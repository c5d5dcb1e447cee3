"""``trace``: what a run did when, drawn here or in Jaeger."""

from __future__ import annotations

import click

from runtime.cli.lazy import Lazy, LazyGroup
from runtime.cli.options import db_option, debug_option, json_option

COMMANDS = {
    "show": Lazy("runtime.cli.trace:show", "Draw a run's waterfall in the terminal."),
    "open": Lazy("runtime.cli.trace:open_", "Print the link to a run's trace, and open it."),
    "status": Lazy("runtime.cli.trace:status", "Tell how many spans wait for a collector."),
    "flush": Lazy("runtime.cli.trace:flush", "Send the spans that dead processes have left."),
    "export": Lazy("runtime.cli.trace:export", "Write the spans that wait to a file for Jaeger."),
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
STATUS_HELP = """Tell what waits in the spool, where spans are until a collector has taken them.

Spans of living processes are sent by these. Those of dead processes are sent by the next one that
has an endpoint, or by `trace flush`; what these had begun is closed then, with an error.

--json prints one object: folder, pending, living (of the pending), rejected, open, crashed, size
(bytes), unknown (names of files).
"""
FLUSH_HELP = """Send the spans that dead processes have left in the spool.

Exit codes: 0 all are sent, 1 some still wait or were refused.

\b
Examples:
  python -m runtime trace flush --endpoint http://localhost:4318
  python -m runtime trace flush --rejected
"""
EXPORT_HELP = """Write the spans that wait in the spool to FILE, as OTLP's JSON (- for stdout).

Jaeger's page takes such a file: Search, Upload. What a collector has taken is not in the spool any
more. With MAGSAG_TRACE_EXPORT=spool and no endpoint all spans wait there.

\b
Examples:
  MAGSAG_TRACE_EXPORT=spool python -m runtime run digest
  python -m runtime trace export spans.json --run last
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


@debug_option
@click.command(help=STATUS_HELP)
@json_option
def status(*, as_json: bool) -> None:
    """Tell what waits; see ``STATUS_HELP``."""
    from runtime.cli.trace_spool import show_status  # noqa: PLC0415  # as above

    show_status(as_json=as_json)


@debug_option
@click.command(help=FLUSH_HELP)
@click.option(
    "--endpoint", metavar="URL", help="Where to. [env: OTEL_EXPORTER_OTLP_ENDPOINT and its kin]"
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to try.",
)
@click.option("--rejected", is_flag=True, help="Send again what a collector refused, too.")
def flush(endpoint: str | None, timeout_s: float, *, rejected: bool) -> int:
    """Send what waits; see ``FLUSH_HELP``."""
    from runtime.cli.trace_spool import flush as flush_spool  # noqa: PLC0415  # as above

    return flush_spool(endpoint, timeout_s, rejected=rejected)


@debug_option
@click.command(help=EXPORT_HELP)
@click.argument("file")
@click.option(
    "--run",
    "run_id",
    metavar="RUN_ID",
    help="Only the spans of this run: its id, the beginning of it, or last.",
)
@click.option("--rejected", is_flag=True, help="Those too that a collector refused.")
@db_option
def export(file: str, run_id: str | None, db: str | None, *, rejected: bool) -> None:
    """Write what waits; see ``EXPORT_HELP``."""
    from runtime.cli.trace_spool import export as export_spool  # noqa: PLC0415  # as above

    export_spool(file, run_id, db, rejected=rejected)
