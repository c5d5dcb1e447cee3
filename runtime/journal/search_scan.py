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
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.errors import ConfigurationError
from runtime.journal.faults import JournalFailed, describe
from runtime.journal.search_pattern import wanted
from runtime.journal.search_records import Bounds, Hit, newest_first, record_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runtime.journal.search_pattern import Wanted
    from runtime.journal.search_records import Place

_ROOT = Path(__file__).resolve().parents[2]
_GRACE_S = 5.0  # a process whose parent is gone ends itself so long after its time is over
_ADVICE = "write a simpler PATTERN, look at less with --run-id or --since, or allow more --timeout"


class Task(NamedTuple):
    """What the process has to do.

    Attributes:
        path: the journal's file.
        pattern: what to look for.
        run_id, agent, since, limit: the ``Bounds``.
        timeout_s: how long it may take.
    """

    path: str
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


def scan(path: Path, pattern: str, bounds: Bounds, timeout_s: float) -> list[Hit]:
    """Return the records that have a pattern, newest first.

    Args:
        path: the journal's file, which must be there.
        pattern: what to look for.
        bounds: in which records.
        timeout_s: how long it may take.

    Raises:
        ConfigurationError: it takes too long, or more memory than there is.
        JournalFailed: the journal cannot be read.
    """
    task = Task(
        str(path), pattern, bounds.run_id, bounds.agent, bounds.since, bounds.limit, timeout_s
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
    connection: sqlite3.Connection, places: Iterable[Place], sought: Wanted, bounds: Bounds
) -> Iterator[Hit]:
    """Yield those of some records that have something, in their order, not more than the limit."""
    found = (_hit(connection, place, sought, bounds.agent) for place in places)
    yield from islice((hit for hit in found if hit is not None), bounds.limit)


def _hit(
    connection: sqlite3.Connection, place: Place, sought: Wanted, agent: str | None
) -> Hit | None:
    record = record_at(connection, place)
    if record is None or (agent is not None and agent not in record.agents()):
        return None
    return record.hit(sought)


def main() -> None:
    """Do what standard input says."""
    task = Task(*json.load(sys.stdin))
    faulthandler.dump_traceback_later(task.timeout_s + _GRACE_S, exit=True)
    json.dump(_answer(task), sys.stdout)


def _answer(task: Task) -> dict[str, Any]:
    path, sought, bounds = Path(task.path), wanted(task.pattern), task.bounds
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            places = newest_first(connection, bounds)
            return {"hits": list(look_through(connection, places, sought, bounds))}
    except sqlite3.Error as error:
        return {"error": describe(path, error)}


if __name__ == "__main__":
    main()
