"""Where a command has agents work: a system with its journal, its catalog and its cluster."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cli.logs import log_to
from runtime.cli.machines import settings_of
from runtime.cli.opening import opened
from runtime.cli.places import catalog_folder, journal_location
from runtime.launch import running
from runtime.workspace import check_workspace, open_catalog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.cli.commission import Commission
    from runtime.cli.screen import Screen
    from runtime.system import System


def screen_for(wanted: Commission, title: str | None) -> Screen | None:
    """Return the tree of agents, where it is to be shown; the log stands above it from now on.

    Args:
        wanted: whether it is.
        title: what is at its root; None where there are many.
    """
    screen = _screen(title) if wanted.live and title is not None else None
    stream = None if screen is None else screen.log
    log_to(stream, wanted.session, verbose=wanted.verbose, quiet=wanted.quiet)
    return screen


@asynccontextmanager
async def system_for(wanted: Commission, folder: Path | None = None) -> AsyncIterator[System]:
    """Open a system, and close it with its journal when the block ends.

    Args:
        wanted: where everything is.
        folder: the catalog; None for that of the command.

    Raises:
        RuntimeFault: it cannot be opened, or the journal could not be written.
    """
    check_workspace()
    catalog = open_catalog(folder or catalog_folder(wanted.catalog, Path.cwd()))
    database = journal_location(wanted.db, os.environ, Path.cwd())
    cluster = settings_of(wanted.machines, database, quiet=wanted.quiet)
    async with (
        opened(database) as journal,
        running(catalog, journal=journal, cluster=cluster) as system,
    ):
        yield system


def _screen(title: str) -> Screen:
    from runtime.cli.screen import Screen  # noqa: PLC0415  # rich: only where a terminal is

    return Screen(title)
