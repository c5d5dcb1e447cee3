"""Leases of processes that are really stopped, killed, and in containers of their own."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime.identity import wall_clock
from runtime.journal.location import is_address
from tests import postgres, stores
from tests.lease_holder import LEASE_S, take_naps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.real_time

IN_A_CONTAINER = (
    *("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"),
)


class Place:
    """Where a run is: its journal, and what its skills leave."""

    def __init__(self, where: str, folder: Path) -> None:
        self.db = where
        self.effects = folder / "naps.txt"

    def naps(self) -> list[str]:
        return self.effects.read_text().split() if self.effects.exists() else []

    async def resume(self) -> dict[str, Any]:
        return await take_naps(self.db, "run", self.effects, resume=True)

    @contextmanager
    def owner(self, *before: str, resume: bool = False) -> Iterator[subprocess.Popen[str]]:
        """Start a process that owns the run."""
        argv = [*before, sys.executable, "-m", "tests.lease_holder"]
        argv += [self.db, "run", str(self.effects), *(["--resume"] if resume else [])]
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    async def in_third_nap(self, process: subprocess.Popen[str]) -> None:
        with anyio.fail_after(30):
            while "3" not in self.naps():
                assert process.poll() is None
                await anyio.sleep(0.005)

    async def lease_is_over(self) -> None:
        with anyio.fail_after(30):
            while self._held_until() > wall_clock():  # noqa: ASYNC110  # a file
                await anyio.sleep(LEASE_S / 10)

    def _held_until(self) -> float:
        if is_address(self.db):
            found = postgres.sql_at(self.db, "SELECT held_until FROM magsag.lease")
        else:
            with closing(sqlite3.connect(self.db)) as file:
                found = file.execute("SELECT held_until FROM lease").fetchall()
        return max(row[0] for row in found)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with stores.place(getattr(request, "param", "sqlite"), tmp_path) as where:
        yield Place(where, tmp_path)


ANYWHERE = pytest.mark.parametrize("place", stores.SHARED, indirect=True)


@ANYWHERE
async def test_a_process_that_was_stopped_for_too_long_repeats_nothing_when_it_wakes(
    place: Place,
) -> None:
    with place.owner() as owner:
        await place.in_third_nap(owner)
        owner.send_signal(signal.SIGSTOP)
        said = await place.resume()
        assert f"under way in process {owner.pid}" in said["refused"]
        assert "which has it until" in said["refused"]
        await place.lease_is_over()
        taken = await place.resume()
        assert (taken["status"], taken["output"]) == ("completed", [1, 2, 3, 4, 5])
        owner.send_signal(signal.SIGCONT)
        out, err = await anyio.to_thread.run_sync(owner.communicate)
    said = json.loads(out)
    assert "run run was taken over by another process" in (said.get("refused") or said["error"])
    assert "Traceback" not in err
    assert place.naps() == ["1", "2", "3", "3", "4", "5"]


async def test_a_process_that_was_stopped_and_that_nobody_has_replaced_goes_on(
    place: Place,
) -> None:
    with place.owner() as owner:
        await place.in_third_nap(owner)
        owner.send_signal(signal.SIGSTOP)
        await place.lease_is_over()
        owner.send_signal(signal.SIGCONT)
        out, _ = await anyio.to_thread.run_sync(owner.communicate)
    assert json.loads(out)["output"] == [1, 2, 3, 4, 5]
    assert place.naps() == ["1", "2", "3", "4", "5"]


@ANYWHERE
async def test_the_run_of_a_killed_process_is_taken_over_at_once(place: Place) -> None:
    with place.owner() as owner:
        await place.in_third_nap(owner)
        owner.kill()
        owner.wait()
    assert place._held_until() > wall_clock() - LEASE_S
    assert (await place.resume())["output"] == [1, 2, 3, 4, 5]


def containers_are_possible() -> bool:
    if shutil.which(IN_A_CONTAINER[0]) is None:
        return False
    return (
        subprocess.run([*IN_A_CONTAINER, "true"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not containers_are_possible(), reason="no pid namespaces here")
async def test_the_same_number_in_another_pid_namespace_is_not_the_owner(place: Place) -> None:
    with place.owner(*IN_A_CONTAINER) as owner:
        await place.in_third_nap(owner)
        said = await place.resume()
        assert "under way in process 1 on" in said["refused"]
        owner.kill()
    await place.lease_is_over()
    with place.owner(*IN_A_CONTAINER, resume=True) as other:
        out, _ = await anyio.to_thread.run_sync(other.communicate)
    assert json.loads(out)["output"] == [1, 2, 3, 4, 5]
