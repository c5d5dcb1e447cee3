"""A16: what is given up leaves nothing behind. And the largest crowd: 10,000 calls in flight."""

from __future__ import annotations

import gc
import random
import resource
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from runtime import Context, RunOptions, mag, running, sag
from runtime.messages import Limits, ModelReply, Timeouts
from tests.acceptance import KEY, a_request, accounts, catalog_of, outcomes, profile_at, until
from tests.simulated import simulator, simulator_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.journal import Record

pytestmark = pytest.mark.real_time

CROWD = 10_000
MOST_IN_A_USUAL_POOL = 1_024
FILES_BESIDES = 500  # what this process has open but for the connections
UNLIMITED = {"*": Limits(concurrency=CROWD, concurrency_start=None)}


def rss_mb() -> float:
    """Return how much memory this process has in RAM, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def many_files() -> Iterator[int]:
    """Allow as many open files as the machine does; give back how many connections that makes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(CROWD, hard - FILES_BESIDES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a16_a_thousand_of_two_thousand_calls_given_up_leave_nothing_behind() -> None:
    """Some waited and some were in flight; the others are answered as if nothing had happened."""
    limits = {"*": Limits(concurrency=400, concurrency_start=None)}
    # Long enough for a busy server to hear of a hang-up before it has answered.
    with simulator({"defaults": {"latency": {"uniform": [0.6, 1.2]}}}) as server:
        async with accounts(profile_at(server, limits=limits)) as asked:
            (warm,) = await outcomes(asked, [a_request("warm")])
            before = rss_mb()
            pending = [asked.ask(a_request(str(n))) for n in range(2_000)]
            await until(lambda: server.seen(0).in_flight > 100)
            given_up = set(random.Random(16).sample(range(2_000), 1_000))  # noqa: S311  # any will do
            for number in given_up:
                pending[number].cancel()
            kept = [each for number, each in enumerate(pending) if number not in given_up]
            replies = [await each.reply() for each in kept]
            after = asked.statistics()["p"]
            await until(lambda: server.seen(0).in_flight == 0)
            seen = server.seen(0)
            grown = rss_mb() - before
        await until(lambda: server.seen(0).connections.open == 0)
    assert isinstance(warm, ModelReply)
    assert len(replies) == 1_000
    assert (after.in_flight, after.queued) == (0, 0)
    assert after.groups["m"].queued_by_run == {}
    assert seen.completed + seen.aborted == seen.all.requests
    # Who gave up while it connected was an attempt, but never arrived.
    assert seen.all.requests <= after.attempts <= seen.all.requests + 1_000
    assert 0 < seen.aborted < 1_000
    assert grown < 100


async def test_a16_a_run_that_is_cancelled_reserves_nothing_and_closes_its_connections() -> None:
    """Two hundred calls are in flight or wait when their run is cancelled."""

    @sag
    async def branch(ctx: Context, number: int) -> str:
        return await ctx.ask(str(number), model="p/a", max_output_tokens=10)

    @mag
    async def crowd(ctx: Context) -> int:
        return len(await ctx.fan_out(branch, range(200)))

    reserved: dict[str, int] = {}

    def hear(record: Record) -> None:
        if record.kind == "invocation_started":
            reserved[record.op] = record.body["reserved_nano_usd"]
        elif record.kind in ("invocation_completed", "invocation_failed"):
            del reserved[record.op]

    with simulator({"defaults": {"fault": "stall_before_head"}}) as server:
        catalog = catalog_of(server, "a")
        async with running(catalog, agents=(crowd, branch), environ={"KEY": KEY}) as system:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(system.run, crowd, None, RunOptions(listener=hear))
                await until(lambda: server.seen(0).in_flight > 0 and len(reserved) == 200)
                tasks.cancel_scope.cancel()
            await until(lambda: server.seen(0).in_flight == 0)
            assert reserved == {}
        await until(lambda: server.seen(0).connections.open == 0)


@pytest.mark.timeout(60)
async def test_ten_thousand_calls_in_flight_through_one_actor_are_all_answered(
    tmp_path: Path, many_files: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody waits for a place among the connections; how many the server has depends on its speed.

    It is slow for a test, as ten thousand connections are made.
    """
    crowd = many_files
    scenario = {"defaults": {"latency": 5.0, "output_tokens": 1}}
    patient = Timeouts(connect=30.0, total=60.0)
    before, files = rss_mb(), open_files()
    with simulator_process(scenario, folder=tmp_path) as server:
        async with accounts(profile_at(server, limits=UNLIMITED, timeouts=patient)) as asked:
            pending = [asked.ask(a_request(str(n))) for n in range(crowd)]
            await until(lambda: "p" in asked.statistics())
            await until(lambda: asked.statistics()["p"].in_flight > MOST_IN_A_USUAL_POOL)
            found = [await each.reply() for each in pending]
            grown = rss_mb() - before
            now = asked.statistics()["p"]
        seen = server.seen(0)
    gc.collect()
    with capsys.disabled():
        told = f"{crowd:,} calls, {seen.in_flight_peak:,} at once, {grown:.0f} MB more RSS"
        print(f"\n{told}")  # noqa: T201  # a figure for people; the bound below is for the test
    assert {each.attempts for each in found} == {1}
    assert (now.in_flight, now.queued) == (0, 0)
    assert (seen.all.requests, seen.completed) == (crowd, crowd)
    assert seen.in_flight_peak > MOST_IN_A_USUAL_POOL
    assert grown < 0.1 * crowd
    await until(lambda: open_files() <= files + 10)
