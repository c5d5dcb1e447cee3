"""One account's limits over three processes, as the provider sees it: a real NATS, real HTTP."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import nats
import pytest

from tests.cluster_caller import Made, callers
from tests.nats_server import nats_server, new_name, shared_server
from tests.simulated import simulator_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from providers.simulator import Seen
    from tests.simulated import Simulated

pytestmark = pytest.mark.real_time
RPM, CONCURRENCY, CALLS = 3_000, 30, 150
BURST_S = 3.0  # seconds' worth that the server takes at once; less than any of them has to do
LIMITS = {"rpm": RPM, "share": 1.0, "concurrency": CONCURRENCY, "concurrency_start": None}
SCENARIO = {
    "defaults": {
        "limits": {"rpm": RPM, "burst": BURST_S, "concurrency": CONCURRENCY},
        "limit_headers": False,
        "latency": 0.1,
    }
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Simulated]:
    with simulator_process(SCENARIO, folder=tmp_path) as running:
        yield running


def settings(url: str, name: str, server: Simulated, runs: dict[str, int]) -> dict[str, Any]:
    return {"nats": url, "name": name, "server": server.url, "limits": LIMITS, "runs": runs}


def assert_kept(seen: Seen) -> None:
    assert seen.refused == {}
    assert set(seen.statuses) == {200}
    assert seen.in_flight_peak <= CONCURRENCY


def count(made: list[Made]) -> int:
    assert [each.failed for each in made] == [{}] * len(made)
    return sum(len(times) for each in made for times in each.answered.values())


async def record(url: str, name: str) -> Any:
    """Return who grants, as all nodes can read it."""
    client = await nats.connect(url)
    try:
        bucket = await client.jetstream().key_value(f"{name}_authorities")
        entry = await bucket.get("shared")
    finally:
        await client.close()
    return json.loads(entry.value or b"")


def test_three_processes_keep_to_one_limit_and_share_it_by_runs(server: Simulated) -> None:
    """Two have a run each, and the third has two: each run gets a quarter while all wait."""
    url, name = shared_server().url, new_name()
    work: list[dict[str, int]] = [{"a": CALLS}, {"b": CALLS}, {"c": CALLS, "d": CALLS}]
    with callers(*(settings(url, name, server, runs) for runs in work)) as processes:
        for process in processes:
            process.go()
        made = [process.made() for process in processes]
    assert count(made) == 4 * CALLS
    assert_kept(server.seen())
    answered = {run: times for each in made for run, times in each.answered.items()}
    began = max(times[0] for times in answered.values())  # one process is slower to begin than all
    over = min(times[-1] for times in answered.values())
    shares = {run: sum(began <= at <= over for at in times) for run, times in answered.items()}
    assert min(shares.values()) > 0.7 * max(shares.values()), shares


async def test_when_the_process_that_grants_is_killed_another_one_grants(
    server: Simulated,
) -> None:
    url, name = shared_server().url, new_name()
    work = [{run: CALLS} for run in "abc"]
    with callers(*(settings(url, name, server, runs) for runs in work)) as processes:
        for process in processes:
            process.go()
        while server.seen().completed < CALLS:
            time.sleep(0.05)  # noqa: TID251, ASYNC251  # other processes are at work
        before = await record(url, name)
        killed = int(before["holder"].split("-")[-2])
        for process in processes:
            if process.process.pid == killed:
                process.process.send_signal(signal.SIGKILL)
        made = [process.made() for process in processes if process.process.pid != killed]
        assert (await record(url, name))["epoch"] > before["epoch"]
    assert len(made) == 2
    assert count(made) == 2 * CALLS
    assert_kept(server.seen())


def test_while_nats_is_away_calls_wait_and_then_go_on(server: Simulated) -> None:
    """No call fails, and none goes out that nobody has granted."""
    name = new_name()
    work = [{run: CALLS} for run in "ab"]
    with (
        nats_server() as server_of_nats,
        callers(*(settings(server_of_nats.url, name, server, runs) for runs in work)) as processes,
    ):
        for process in processes:
            process.go()
        while server.seen().completed < CALLS // 2:
            time.sleep(0.05)  # noqa: TID251  # other processes are at work
        server_of_nats.kill()
        time.sleep(2.0)  # noqa: TID251  # what they hold is used up, or over
        before = server.seen().all.requests
        time.sleep(2.0)  # noqa: TID251  # and nobody grants anything
        assert server.seen().all.requests == before
        server_of_nats.start()
        made = [process.made() for process in processes]
    assert count(made) == 2 * CALLS
    assert_kept(server.seen())


async def test_calls_go_on_when_nats_has_lost_what_it_had(server: Simulated) -> None:
    """Nobody knows then what was granted, so a minute passes first; here there is no such limit."""
    url, name = shared_server().url, new_name()
    unlimited = {"concurrency": CONCURRENCY, "concurrency_start": None}
    work = {**settings(url, name, server, {"a": 4 * CALLS}), "limits": unlimited, "at_once": 5}
    with callers(work) as (process,):
        process.go()
        while server.seen().completed < CALLS:
            time.sleep(0.05)  # noqa: TID251, ASYNC251  # another process is at work
        client = await nats.connect(url)
        await client.jetstream().delete_key_value(f"{name}_authorities")
        await client.close()
        made = process.made()
        assert (await record(url, name))["epoch"] > 1
    assert count([made]) == 4 * CALLS
