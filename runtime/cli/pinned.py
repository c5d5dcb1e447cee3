"""The code that a run has kept, laid out so that this process loads it instead of today's."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from runtime.code import lay_out
from runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from runtime.cli.history import History
    from runtime.journal import RunRow
    from runtime.run import OnCodeChange


async def kept_files(
    history: History, row: RunRow, wanted: OnCodeChange | None
) -> Mapping[str, str] | None:
    """Return the files that a run goes on with; None where it goes on with those of today.

    Args:
        history: the journal.
        row: the run.
        wanted: what is said now about changed code; None leaves it to what the run was told.

    Raises:
        ConfigurationError: they are wanted, and it has not kept them.
        JournalFailed: the journal cannot be read.
    """
    policy = wanted
    async for event in history.events(row.run_id):
        if event.kind == "run_started":
            policy = wanted or event.body.get("on_code_change")
        elif event.kind == "run_code" and policy == "pin":
            files: Mapping[str, str] = event.body["files"]
            return files
        if policy != "pin" or event.kind == "delegation_started":
            break
    if policy != "pin":
        return None
    raise ConfigurationError(
        f"run {row.run_id} has not kept its code: only a run that is started with"
        " --on-code-change pin does; resume it with refuse or continue"
    )


@asynccontextmanager
async def laid_out(files: Mapping[str, str] | None, today: Path) -> AsyncIterator[Path]:
    """Yield the catalog to go on with: that of today, or one with the code that was kept.

    Args:
        files: what was kept; None for the code of today.
        today: the catalog of today.

    Raises:
        ConfigurationError: the files cannot be laid out.
    """
    if files is None:
        yield today
        return
    with TemporaryDirectory(prefix="magsag-code-") as folder:
        yield lay_out(files, today, Path(folder))
