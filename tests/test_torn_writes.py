"""Writes that a crash has torn: the log cut at any byte, sectors that never came, checkpoints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from bisect import bisect_right
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
import pytest

from runtime.journal import Record, SqliteJournal
from tests.killed import FLAKY, ROOT, Whole, World, forking, prompts_of, undisturbed, world
from tests.wal import Image, cuts, recovered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.journal import EventRow

EACH = int(os.environ.get("TORN_EACH", "6"))  # of how many commits one is gone on with; 1 for all
DAMAGED = 300

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def forker() -> Iterator[subprocess.Popen[str]]:
    with forking() as process:
        yield process


@pytest.fixture(scope="module")
def whole(forker: subprocess.Popen[str], tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return undisturbed(forker, tmp_path_factory.mktemp("whole"))


class Crash(NamedTuple):
    """What a process left that was killed near the end of its run."""

    world: World
    image: Image
    counts: list[int]
    records: list[tuple[object, ...]]

    def expected(self, length: int) -> int:
        """Return how many records a log of that length has."""
        commits = bisect_right(self.image.commits(), length)
        return self.counts[commits - 1] if commits else 0


@pytest.fixture(scope="module")
def crash(
    forker: subprocess.Popen[str], whole: Whole, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crash]:
    """Kill a run at its last record but one; each record is a commit of its own."""
    with world(forker, tmp_path_factory.mktemp("crash")) as one:
        assert one.run(kill_at=len(whole.events) - 1, singly=True) is None
        image = Image.of(one.folder / "journal.db")
        scratch = tmp_path_factory.mktemp("scratch")
        kept = [recovered(image.put(scratch, image.log[:end])) for end in image.commits()]
        yield Crash(one, image, [len(each) for each in kept], kept[-1])


def test_each_commit_is_a_longer_prefix(crash: Crash) -> None:
    assert crash.counts[-68:] == list(range(1, 69))
    assert not any(crash.counts[:-68])


def test_a_log_cut_at_any_byte_of_its_last_page_or_at_a_frame_loses_only_what_was_behind(
    crash: Crash, tmp_path: Path
) -> None:
    path = crash.image.put(tmp_path / "cut", crash.image.log)
    lengths = sorted(set(cuts(crash.image)), reverse=True)
    for length in lengths:
        os.truncate(path.with_name("journal.db-wal"), length)
        assert recovered(path) == crash.records[: crash.expected(length)], length
    assert len(lengths) > 4_500


def test_a_log_whose_last_sectors_did_not_all_arrive_is_a_prefix(
    crash: Crash, tmp_path: Path
) -> None:
    lengths: Counter[int] = Counter()
    for seed in range(DAMAGED):
        path = crash.image.put(tmp_path / "hit", crash.image.damaged(seed, 1 + 5 * seed))
        found = recovered(path)
        assert found == crash.records[: len(found)]
        assert len(found) in {0, *crash.counts}
        lengths[len(found)] += 1
    assert len(lengths) > 10


def test_what_is_left_of_a_cut_log_is_gone_on_with_and_nothing_of_it_is_repeated(
    crash: Crash, whole: Whole, tmp_path: Path
) -> None:
    commits = dict(zip(crash.counts, crash.image.commits(), strict=True))
    tried = [end for count, end in commits.items() if count][::EACH]
    for end in tried:
        torn = crash.image.log[: end + crash.image.frame - 1]
        crash.image.put(tmp_path / str(end), torn)
        check_goes_on(crash.world._replace(folder=tmp_path / str(end)), whole)


def check_goes_on(one: World, whole: Whole) -> None:
    """Check that exactly what is not completed in the journal is done, and that sums are right."""
    _, events = one.journalled()
    one.asked.clear()
    one.asked[FLAKY] = 1
    outcome = one.run(resume=True)
    assert outcome is not None
    for each in ("status", "output", "usage", "cost_usd"):
        assert outcome[each] == whole.outcome[each]
    row, after = one.journalled()
    assert row.cost_nano_usd == sum(event.cost_nano_usd for event in whole.events)
    assert [event.seq for event in after] == list(range(1, len(after) + 1))
    assert after[: len(events)] == events
    assert one.asked - Counter([FLAKY]) == answers(whole.events) - answers(events)
    assert one.effects() == whole.effects - used(events)


def answers(events: list[EventRow]) -> Counter[str]:
    """Return the prompts that were answered."""
    prompts = prompts_of(events)
    return Counter(prompts[event.op] for event in events if event.kind == "invocation_completed")


def used(events: list[EventRow]) -> Counter[str]:
    """Return the effects of the skills that are done."""
    inputs = {e.op: e.body["input"]["text"] for e in events if e.kind == "skill_started"}
    done = (inputs[event.op] for event in events if event.kind == "skill_completed")
    return Counter(f"measure {text}" for text in done)


CHECKPOINTS_UNTIL = """
import json, os, resource, signal, sys
from unittest import mock
import anyio
from runtime.journal import Record, SqliteJournal
from runtime.journal.store import FileStore

checkpoint = FileStore._checkpoint

async def write(path, size):
    def dies(store):  # the system sends the signal in the write that would make a file longer
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        return checkpoint(store)

    journal = await SqliteJournal.open(path)
    for number in range(80):
        journal.append(Record("run", "log", f"{number}", {"text": "x" * 900}, 1.0))
    await journal.flush()
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    with mock.patch.object(FileStore, "_checkpoint", dies):
        await journal.close()

for path, size in json.loads(sys.argv[1]).items():
    child = os.fork()
    if child == 0:
        anyio.run(write, path, size)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_killed_in_a_checkpoint_at_any_page_the_file_is_whole_and_goes_on(tmp_path: Path) -> None:
    """The process dies in the very write that brings a page, or a part of it, to the file."""
    sizes = [4096 * page + part for page in range(1, 28, 3) for part in (0, 3000)]
    files = {str(tmp_path / f"{size}.db"): size for size in sizes}
    done = subprocess.run(
        [sys.executable, "-c", CHECKPOINTS_UNTIL, json.dumps(files)],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    assert {int(line) for line in done.stdout.split()} == {-signal.SIGXFSZ}
    for file in files:
        anyio.run(check_whole, file)


async def check_whole(file: str) -> None:
    journal = await SqliteJournal.open(file, synchronous="normal")
    journal.append(Record("run", "log", "80", {}, 1.0))
    await journal.flush()
    events = await journal.events("run")
    await journal.close()
    assert [(event.seq, event.op) for event in events] == [(n + 1, str(n)) for n in range(81)]
    assert len(recovered(Path(file))) == 81
