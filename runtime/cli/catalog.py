"""``catalog``: is it right, and what may stand in it."""

from __future__ import annotations

from pathlib import Path

import click

from runtime.cli.lazy import Lazy, LazyGroup
from runtime.cli.options import catalog_option, debug_option

COMMANDS = {
    "validate": Lazy("runtime.cli.catalog:validate", "Check every file and every entry point."),
    "schema": Lazy("runtime.cli.catalog:schema", "Write JSON Schemas for editors."),
}

catalog = debug_option(
    LazyGroup(
        name="catalog",
        table=COMMANDS,
        help="Validate the catalog, or write its schemas.",
        no_args_is_help=False,
    )
)


@debug_option
@click.command()
@catalog_option
def validate(catalog: Path | None) -> None:
    """Check every file of the catalog, and import every entry point.

    Everything that is wrong is said at once, a line each: file:line:column, what, and what to do.
    Models that are retired, or will be within 60 days, are warned of.
    """
    from runtime.cli.checks import validate_catalog  # noqa: PLC0415  # 0.4 s, not for --help

    validate_catalog(catalog)


@debug_option
@click.command()
@catalog_option
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where to.  [default: .schemas in the catalog, which loading passes over]",
)
def schema(catalog: Path | None, out: Path | None) -> None:
    """Write a JSON Schema for each kind of catalog file, for editors that check YAML."""
    from runtime.cli.checks import write_catalog_schemas  # noqa: PLC0415  # as above

    write_catalog_schemas(catalog, out)
