"""``diff``: where two runs part."""

from __future__ import annotations

import click

from runtime.cli.options import db_option, debug_option, json_option

DIFF_HELP = """Tell where the runs RUN_A and RUN_B part.

Each is its id, the beginning of it, or "last". Steps are the same that are about the same content,
below the same steps; so it is the order of the tree that counts, not that of the clock. First comes
the step at which they part, with what each asked and what came of it; then the steps that only the
one has, those that only the other has, and equal questions with different answers, each with
model, tokens and cost; then what both took, what they inherited from other runs not counted, and
the difference. Of each list the first 20 are shown; --limit N shows more, --json all.

--json prints an object: a, b (what "runs --json" prints of a run), equal, first (a, b), only_a,
only_b, different (a list of a, b), same, totals (a, b, difference: steps, calls, input_tokens,
output_tokens, cost_usd, unpriced_calls). A step is what "show --steps --json" prints of one.

\b
Examples:
  python -m runtime diff 01a2 last
  python -m runtime diff 01a2 01a3 --json

Exit codes: 0 equal, 2 different, 1 a run is not there.
"""


@debug_option
@click.command(help=DIFF_HELP)
@click.argument("run_a")
@click.argument("run_b")
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, help="Of each list. [20]")
@db_option
@json_option
def diff(run_a: str, run_b: str, db: str | None, *, limit: int, as_json: bool) -> int:
    """Compare two runs; see ``DIFF_HELP``."""
    from runtime.cli.diff_page import compare  # noqa: PLC0415  # 0.2 s, not for --help

    return compare(db, run_a, run_b, limit=limit, as_json=as_json)
