"""Looking through the records one by one, in a process of its own that has only so much time.

``re`` cannot be told to stop, and an expression such as ``(a+)+$`` would go on for years; so does
compiling some. A thread cannot be ended from outside; a process can. The library ``regex`` has a
time limit, but would be one more dependency with an idea of its own of what some expressions
mean. So this costs the start of an interpreter, 0.3 s, and only what is no plain word pays it.

The process gets a ``Task`` as JSON on its standard input and answers with an object on its
standard output: ``hits``, a list of lists, or ``error``, a line.
"""

from __future__ import annotations

import faulthandler
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.errors import ConfigurationError
from runtime.journal.faults import JournalFailed
from runtime.journal.location import location_of, place_of
from runtime.journal.reading import reading
from runtime.journal.search_pattern import wanted
from runtime.journal.search_records import Bounds, Hit, newest_first, record_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runtime.journal.connection import Connection
    from runtime.journal.location import Location
    from runtime.journal.search_pattern import Wanted
    from runtime.journal.search_records import Place, Row

_ROOT = Path(__file__).resolve().parents[2]
_GRACE_S = 5.0  # a process whose parent is gone ends itself so long after its time is over
_ADVICE = "write a simpler PATTERN, look at less with --run-id or --since, or allow more --timeout"


class Task(NamedTuple):
    """What the process has to do.

    Attributes:
        place: the journal's file, or a server's address.
        pattern: what to look for.
        run_id, agent, since, limit: the ``Bounds``.
        timeout_s: how long it may take.
    """

    place: str
    pattern: str
    run_id: str | None
    agent: str | None
    since: float | None
    limit: int
    timeout_s: float

    @property
    def bounds(self) -> Bounds:
        """Which records are searched."""
        return Bounds(run_id=self.run_id, agent=self.agent, since=self.since, limit=self.limit)


def scan(location: Location, pattern: str, bounds: Bounds, timeout_s: float) -> list[Hit]:
    """Return the records that have a pattern, newest first.

    Args:
        location: where the journal is; it must be there.
        pattern: what to look for.
        bounds: in which records.
        timeout_s: how long it may take.

    Raises:
        ConfigurationError: it takes too long, or more memory than there is.
        JournalFailed: the journal cannot be read.
    """
    task = Task(
        place_of(location),
        pattern,
        bounds.run_id,
        bounds.agent,
        bounds.since,
        bounds.limit,
        timeout_s,
    )
    try:
        ended = subprocess.run(  # noqa: S603  # our own module in our own interpreter
            [sys.executable, "-P", "-m", __name__],
            input=json.dumps(task),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"no answer within {timeout_s:g} s: {_ADVICE}") from None
    if ended.returncode:
        why = "".join(ended.stderr.splitlines()[-1:]) or f"code {ended.returncode}"
        raise ConfigurationError(f"the search broke off ({why}): {_ADVICE}")
    answer: dict[str, Any] = json.loads(ended.stdout)
    if "error" in answer:
        raise JournalFailed(answer["error"])
    return [Hit(*row) for row in answer["hits"]]


def _environment() -> dict[str, str]:
    """Return ours, and where this package is."""
    paths = filter(None, (str(_ROOT), os.environ.get("PYTHONPATH")))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "ascii"}


def look_through(
    connection: Connection, places: Iterable[Place], sought: Wanted, bounds: Bounds
) -> Iterator[Hit]:
    """Yield those of some records that have something, in their order, not more than the limit."""
    there = (record_at(connection, place) for place in places)
    return hits((record for record in there if record is not None), sought, bounds)


def hits(records: Iterable[Row], sought: Wanted, bounds: Bounds) -> Iterator[Hit]:
    """Yield those of some records that have something, in their order, not more than the limit."""
    found = (_hit(record, sought, bounds.agent) for record in records)
    return islice((hit for hit in found if hit is not None), bounds.limit)


def _hit(record: Row, sought: Wanted, agent: str | None) -> Hit | None:
    if agent is not None and agent not in record.agents():
        return None
    return record.hit(sought)


def main() -> None:
    """Do what standard input says."""
    task = Task(*json.load(sys.stdin))
    faulthandler.dump_traceback_later(task.timeout_s + _GRACE_S, exit=True)
    json.dump(_answer(task), sys.stdout)


def _answer(task: Task) -> dict[str, Any]:
    location, sought, bounds = location_of(task.place), wanted(task.pattern), task.bounds
    try:
        with reading(location) as connection:
            if isinstance(location, Path):
                places = newest_first(connection, bounds)
                return {"hits": list(look_through(connection, places, sought, bounds))}
            from runtime.journal.postgres.search import records  # noqa: PLC0415  # an extra

            found = records(connection, task.pattern, bounds)
            return {"hits": list(hits(found, sought, bounds))}
    except JournalFailed as error:
        return {"error": str(error)}


if __name__ == "__main__":
    main()
