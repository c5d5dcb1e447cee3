"""What all commands are told that have agents work: ``run``, ``resume``, ``fork``, ``approve``."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.cli.machines import machine_options
from runtime.cli.options import catalog_option, db_option, json_option, loudness_options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runtime.cli.machines import Machines
    from runtime.cli.options import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Commission:
    """What a command is told that has agents work.

    Attributes:
        session: the call of the command line.
        db: what ``--db`` says.
        machines: where the work is done.
        catalog: what ``--catalog`` says.
        as_json: whether JSON is wanted.
        quiet: whether only errors are wanted besides the result.
        verbose: whether the log of what goes well is wanted.
        live: whether the tree of agents is to be shown.
    """

    session: Session
    db: str | None
    machines: Machines
    catalog: Path | None
    as_json: bool
    quiet: bool
    verbose: bool
    live: bool


def commission_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a ``Commission``; the function gets all of it but ``session``."""

    @functools.wraps(function)
    def gathered(*arguments: Any, quiet: bool, **options: Any) -> Any:
        live = sys.stderr.isatty() and not quiet
        return function(*arguments, quiet=quiet, live=live, **options)

    options = (db_option, machine_options, catalog_option, json_option, loudness_options())
    for add in reversed(options):
        gathered = add(gathered)
    return gathered
