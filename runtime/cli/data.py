"""``data``: what the journal has, for people, spreadsheets and other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runtime.cli.data_options import FIELDS, WHEN, filter_options
from runtime.cli.lazy import Lazy, LazyGroup
from runtime.cli.options import Positive, RunId, db_option, debug_option

if TYPE_CHECKING:
    from decimal import Decimal

COMMANDS = {
    "query": Lazy("runtime.cli.data:query", "Print the audit trail: a row for each model call."),
    "search": Lazy("runtime.cli.data:search", "Search all records for words or an expression."),
    "export": Lazy("runtime.cli.data:export", "Write the audit trail to CSV, NDJSON or Parquet."),
    "vacuum": Lazy("runtime.cli.data_retention:vacuum", "Delete old runs, and shrink the file."),
    "archive": Lazy("runtime.cli.data_retention:archive", "Move runs that are over into files."),
    "restore": Lazy("runtime.cli.data_retention:restore", "Bring archived runs back."),
}
QUERY_HELP = f"""Print the audit trail, the newest calls first: one row for each model call.

json is an array of objects, and csv has a head; both have all calls unless --limit says less.
A table is for people: the newest 50, and a few columns.

{FIELDS}"""
EXPORT_HELP = f"""Write the audit trail to a file, the oldest calls first.

A FILE gets its name when it is whole: until then it is FILE.part. Parquet needs a FILE, and
pip install 'magsag-runtime[parquet]'. How many rows went where is said on standard error.

{FIELDS}"""
SEARCH_HELP = """Search all records of the journal for PATTERN, the newest first.

A PATTERN with any of . * + ? [ ] ( ) { } | ^ $ \\ is a regular expression, such as
"claude.*error": upper and lower case are equal, a dot is any character, line breaks too. One
that is none, such as "foo(", is searched as it stands. Any other PATTERN is words, which must
stand side by side in that order; rate_limit, rate-limit and "rate limit" are the same.

Words are looked up in an index, FILE-search beside the journal, which this command brings up to
date; an expression looks through the records one by one.

Searched are the kind of a record, its step and its body as JSON. json prints a list of objects:
run_id, workflow (what the run was started with), seq (its place in the run), at (ISO 8601, UTC),
kind, agent (empty for none), op (the step), snippet (the text around the match).
"""

data = debug_option(
    LazyGroup(
        name="data",
        table=COMMANDS,
        help="Query, search, export, archive and clear what the journal has.",
        no_args_is_help=False,
    )
)


@debug_option
@click.command(help=QUERY_HELP)
@filter_options
@click.option(
    "--format",
    "form",
    type=click.Choice(("json", "csv", "table")),
    default="json",
    show_default=True,
)
@db_option
def query(limit: int | None, form: str, db: str | None, *, contents: bool, **filters: Any) -> None:
    """Print calls; see ``QUERY_HELP``."""
    from runtime.cli.data_calls import Filters  # noqa: PLC0415  # 0.2 s, not for --help
    from runtime.cli.data_query import query_calls  # noqa: PLC0415  # as above

    query_calls(db, Filters(**filters), limit=limit, form=form, contents=contents)


@debug_option
@click.command(help=EXPORT_HELP)
@filter_options
@click.option(
    "--format",
    "form",
    type=click.Choice(("csv", "ndjson", "parquet")),
    default="ndjson",
    show_default=True,
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where it goes. [default: stdout]",
)
@click.option("--quiet", "-q", is_flag=True, help="Nothing but the rows and errors.")
@db_option
def export(
    db: str | None,
    *,
    limit: int | None,
    form: str,
    output: Path | None,
    contents: bool,
    quiet: bool,
    **filters: Any,
) -> None:
    """Write calls to a file; see ``EXPORT_HELP``."""
    from runtime.cli.data_calls import Filters  # noqa: PLC0415  # as above
    from runtime.cli.data_export import Order, export_calls  # noqa: PLC0415  # as above

    order = Order(form=form, output=output, limit=limit, contents=contents, quiet=quiet)
    export_calls(db, Filters(**filters), order)


@debug_option
@click.command(help=SEARCH_HELP, context_settings={"ignore_unknown_options": True})  # "-5 °C"
@click.argument("pattern")
@click.option("--run-id", type=RunId(), help="Of this run.")
@click.option("--agent", metavar="A", help="Of this agent, or of those it delegated to.")
@click.option("--since", metavar="WHEN", help=f"Written since then: {WHEN}.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    metavar="N",
    help="The newest N.",
)
@click.option(
    "--timeout",
    type=Positive("SECONDS"),
    default="60",
    show_default=True,
    help="How long looking through the records one by one may take.",
)
@click.option(
    "--format", "form", type=click.Choice(("json", "table")), default="json", show_default=True
)
@db_option
def search(
    pattern: str, db: str | None, *, form: str, since: str | None, timeout: Decimal, **wanted: Any
) -> None:
    """Search records; see ``SEARCH_HELP``."""
    from runtime.cli.data_search import search_records  # noqa: PLC0415  # as above

    search_records(db, pattern, form=form, since=since, timeout_s=float(timeout), **wanted)
