"""A run that was killed goes on where it stopped: nothing that was done is done again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import pytest

from runtime.journal import EventRow, RunRow, SqliteJournal
from runtime.recorded import Recorded
from tests.chat_server import chat_server, completion
from tests.resumable import events_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
RUN = "resumed-run"
REFUSED = (400, {"error": {"message": "no", "type": "model_not_found", "code": "model_not_found"}})

pytestmark = pytest.mark.real_time


class World(NamedTuple):
    """What outlives the killed process."""

    forker: subprocess.Popen[str]
    folder: Path
    urls: tuple[str, str]
    asked: Counter[str]
    in_flight: Counter[str]

    def run(self, *, resume: bool = False, kill_at: int = 0) -> dict[str, Any] | None:
        """Run or resume in a process of its own; None if it was killed."""
        wanted = {
            "db": str(self.folder / "journal.db"),
            "effects": str(self.folder / "effects"),
            "urls": self.urls,
            "run": RUN,
            "resume": resume,
            "kill_at": kill_at,
        }
        stdin, stdout = self.forker.stdin, self.forker.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(wanted) + "\n")
        stdin.flush()
        outcome: dict[str, Any] | None = json.loads(stdout.readline())
        assert outcome is None or "crashed" not in outcome, outcome
        return outcome

    def journalled(self) -> tuple[RunRow, list[EventRow]]:
        async def read() -> tuple[RunRow, list[EventRow]]:
            journal = await SqliteJournal.open(self.folder / "journal.db")
            try:
                row = await journal.run(RUN)
                assert row is not None
                return row, await events_of(journal, RUN)
            finally:
                await journal.close()

        return anyio.run(read)

    def effects(self) -> Counter[str]:
        path = self.folder / "effects"
        return Counter(path.read_text().splitlines() if path.exists() else ())


@pytest.fixture(scope="module")
def forker() -> Iterator[subprocess.Popen[str]]:
    """Start the process that forks those that are killed."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.resumable"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        yield process


@contextmanager
def world(forker: subprocess.Popen[str], folder: Path) -> Iterator[World]:
    asked: Counter[str] = Counter()
    folder.mkdir(exist_ok=True)

    def answer(body: dict[str, Any]) -> Any:
        prompt = body["messages"][-1]["content"]
        asked[prompt] += 1
        return completion(f"<{prompt[:40]}>")

    with chat_server(lambda _: REFUSED) as first, chat_server(answer) as second:
        yield World(forker, folder, (first.url, second.url), asked, Counter())


def prompts_of(events: list[EventRow]) -> dict[str, str]:
    """Return the prompts of model calls by their steps."""
    return {
        event.op: event.body["request"]["messages"][-1][1]
        for event in events
        if event.kind == "invocation_started"
    }


Whole = tuple[dict[str, Any], int, Counter[str]]


@pytest.fixture(scope="module")
def whole(forker: subprocess.Popen[str], tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Return what comes of an undisturbed run, how many records it has, and what it asks."""
    with world(forker, tmp_path_factory.mktemp("whole")) as one:
        outcome = one.run()
        assert outcome is not None
        return outcome, len(one.journalled()[1]), Counter(one.asked)


def killed(one: World, kill_at: int, *, resume: bool = False) -> bool:
    """Kill a process after a record, note what was in flight, and return whether it came so far."""
    if one.run(kill_at=kill_at, resume=resume) is not None:
        return False
    _, events = one.journalled()
    prompts = prompts_of(events)
    under_way = Recorded(events).in_flight()
    one.in_flight.update(prompts[op] for op in under_way if op in prompts)
    return True


def check_end(one: World, outcome: dict[str, Any] | None, whole: Whole) -> None:
    """Check that a run came to its end, and that only what was in flight was asked again."""
    expected, _, asked = whole
    assert outcome is not None
    assert outcome.get("status") == "completed", outcome
    assert outcome["output"] == expected["output"]
    assert outcome["usage"] == expected["usage"]
    row, events = one.journalled()
    usage = expected["usage"]
    assert row.status == "completed"
    assert (row.calls, row.input_tokens) == (usage["calls"], usage["input_tokens"])
    outcomes = [event.op for event in events if event.kind == "invocation_completed"]
    assert len(outcomes) == len(set(outcomes))
    assert not (one.asked - asked) - one.in_flight
    logs = [event.body["event"] for event in events if event.kind == "log"]
    assert logs == ["begun", "done"]
    assert set(one.effects()) == {"measure text 1", "measure text 2", "measure text 3"}


def test_a_run_that_was_not_disturbed_has_the_records_that_the_others_are_compared_with(
    whole: Whole,
) -> None:
    outcome, records, asked = whole
    assert outcome["status"] == "completed"
    assert outcome["output"]["fallen"] == "<whom the first server refuses>"
    assert outcome["output"]["broken"] == "cannot take this"
    assert records > 60
    assert asked["the same twice"] == 2
    assert max((asked - Counter({"the same twice": 1})).values()) == 1


def test_killed_after_any_record_it_goes_on_and_repeats_only_what_was_in_flight(
    forker: subprocess.Popen[str], tmp_path: Path, whole: Whole
) -> None:
    for kill_at in range(1, whole[1]):
        with world(forker, tmp_path / str(kill_at)) as one:
            assert killed(one, kill_at), kill_at
            check_end(one, one.run(resume=True), whole)


@pytest.mark.parametrize("first", [1, 5, 17, 33, 48])
def test_killed_twice_it_still_comes_to_the_same(
    forker: subprocess.Popen[str], tmp_path: Path, whole: Whole, first: int
) -> None:
    for second in range(1, whole[1], 13):
        with world(forker, tmp_path / str(second)) as one:
            assert killed(one, first)
            if killed(one, second, resume=True) and one.journalled()[0].status == "running":
                check_end(one, one.run(resume=True), whole)


def test_a_run_that_is_over_or_unknown_is_not_resumed(
    forker: subprocess.Popen[str], tmp_path: Path
) -> None:
    with world(forker, tmp_path / "one") as one:
        assert "no run" in (one.run(resume=True) or {})["refused"]
        assert one.run() is not None
        assert "is over: completed" in (one.run(resume=True) or {})["refused"]
