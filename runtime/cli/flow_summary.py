"""What ``flow summarize`` does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runtime.cli.journal_file import find_journal, is_begun, journal_faults
from runtime.cli.moments import moment
from runtime.cli.streams import emit, say
from runtime.cli.text import plural, utc_time
from runtime.cli.whole_file import whole_file
from runtime.governance.summarise import Summariser, Wanted
from runtime.journal import CallQuery
from runtime.journal.overview import Overview

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.governance.summary import Summary
    from runtime.journal.location import Location


def summarise(wanted: Wanted, output: Path | None, database: str | None) -> None:
    """Print a summary, or write it to a file.

    Args:
        wanted: what it is of, with the time as it was typed.
        output: the file; None for standard output.
        database: what ``--db`` says.

    Raises:
        ConfigurationError: the journal cannot be read, the file not be written, or the time is
            none.
    """
    journal = find_journal(database)
    since = moment("--since", wanted.since, datetime.now(UTC))
    shown = None if since is None else utc_time(since)
    with journal_faults():
        summary = _read(journal, since or 0.0, wanted._replace(since=shown))
    for word, name in (("agent", wanted.agent), ("workflow", wanted.workflow)):
        if name is not None and not summary.runs + summary.running:
            say(f"warning: the journal has no run of {word} {name!r}")
    text = summary.model_dump_json(indent=2)
    if output is None:
        emit(text)
        return
    with whole_file(output, journal) as file:
        file.write_text(f"{text}\n", encoding="utf-8")
    say(f"{output}: {plural(summary.runs, 'run')}")


def _read(journal: Location, since: float, wanted: Wanted) -> Summary:
    summariser = Summariser(wanted)
    if is_begun(journal):
        query = CallQuery(since=since, agent=wanted.agent, workflow=wanted.workflow)
        with Overview.opened(journal) as overview:
            summariser.add_steps(overview.steps(since, wanted.workflow))
            summariser.add_runs(overview.runs(since, wanted.workflow))
            summariser.add_calls(overview.calls(query))
    return summariser.summary()
