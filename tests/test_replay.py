"""A run that is over is run again on its records: the same, or the first record that differs."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime import Context, RunOptions, mag, running, sag, skill
from runtime.journal import MemoryJournal
from tests import resumable
from tests.chat_server import chat_server, completion
from tests.echoes import at, catalog_of
from tests.resumable import chief as whole_chief
from tests.resumable import leaf
from tests.resumable import worker as whole_worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runtime import Agent, RunOutcome
    from runtime.catalog import Catalog
    from runtime.replay import Replayed

USED: list[str] = []
CHANGED: set[str] = set()  # what is another way in the code than when it ran


@pytest.fixture(autouse=True)
def _unchanged() -> Iterator[None]:
    USED.clear()
    CHANGED.clear()
    yield
    CHANGED.clear()


@contextmanager
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no socket of this process be used."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("somebody went to the network")

    with monkeypatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto", "bind"):
            patch.setattr(socket.socket, name, refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield


async def replayed(
    agent: Agent,
    *agents: Agent,
    changed: str = "",
    catalog: Catalog | None = None,
    journal: MemoryJournal | None = None,
    **options: Any,
) -> tuple[RunOutcome, Replayed]:
    """Run an agent, and replay that, perhaps by code that has changed."""
    journal = MemoryJournal() if journal is None else journal
    async with running(catalog, agents=(agent, *agents), environ={}, journal=journal) as system:
        outcome = await system.run(agent, None, RunOptions(**options))
        noted = journal.statistics()
        CHANGED.add(changed)
        found = await system.replay(outcome.run_id)
        assert journal.statistics() == noted

        return outcome, found


@skill(inline=True, side_effects=True)
def measure(text: str) -> int:
    """Measure a text, and leave a trace of it."""
    USED.append(text)
    return len(text)


@sag
async def worker(ctx: Context, number: int) -> str:
    """Use a skill and ask."""
    if number == 2 and "skips" in CHANGED:
        return "<worker 2 of size 6>"
    size = await ctx.use(measure, f"text {number}")
    if number == 2 and "asks otherwise" in CHANGED:
        return await ctx.ask("something else")
    said = await ctx.ask(f"worker {number} of size {size}")
    if number == 2 and "asks more" in CHANGED:
        await ctx.ask("and one more")
    return said.upper() if number == 2 and "answers otherwise" in CHANGED else said


@mag
async def chief(ctx: Context) -> list[str]:
    """Fan out."""
    return [one.unwrap() for one in await ctx.fan_out(worker, [1, 2, 3])]


async def test_a_run_of_unchanged_code_comes_to_the_same_and_uses_no_skill() -> None:
    _, found = await replayed(chief, worker)
    assert found.difference is None
    assert found.steps == 10
    assert sorted(USED) == ["text 1", "text 2", "text 3"]
    assert found.as_json()["identical"] is True


async def test_another_question_is_told_with_what_was_expected_and_what_was_found() -> None:
    _, found = await replayed(chief, worker, changed="asks otherwise")
    told = found.difference
    assert told is not None
    assert told.expected is not None
    assert told.found is not None
    assert told.expected.what == "question to echo/echo-1 by worker"
    assert told.expected.data["messages"] == [["user", "worker 2 of size 6"]]
    assert told.found.data["messages"] == [["user", "something else"]]
    assert told.step is not None
    assert len(USED) == 3


async def test_a_question_too_many_and_one_that_is_left_out_are_differences() -> None:
    _, more = await replayed(chief, worker, changed="asks more")
    assert more.difference is not None
    assert more.difference.expected is None
    assert more.difference.found is not None
    assert more.difference.found.data["messages"] == [["user", "and one more"]]
    CHANGED.clear()
    _, fewer = await replayed(chief, worker, changed="skips")
    assert fewer.difference is not None
    assert fewer.difference.found is None or "WORKER" not in str(fewer.difference)
    assert fewer.difference.expected is not None


async def test_another_answer_of_a_delegation_is_told_at_that_delegation_not_at_the_run() -> None:
    _, found = await replayed(chief, worker, changed="answers otherwise")
    told = found.difference
    assert told is not None
    assert "delegation to worker" in told.why
    assert told.expected is not None
    assert told.found is not None
    assert told.expected.data.upper() == told.found.data


@pytest.mark.real_time
async def test_a_workflow_with_everything_is_replayed_with_the_network_denied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(resumable, "EFFECTS", [str(tmp_path / "effects")])
    refused = 400, {"error": {"message": "no", "type": "t", "code": "model_not_found"}}
    journal = MemoryJournal()
    with (
        chat_server(lambda _: refused) as first,
        chat_server(lambda body: completion(f"<{body['messages'][-1]['content']}>")) as second,
    ):
        providers = {"second": at(second.url), "first": at(first.url)}
        catalog = catalog_of(providers, routing={"fallback": {"first/m": ("second/m",)}})
        agents = (whole_chief, whole_worker, leaf)
        async with running(catalog, agents=agents, environ={}, journal=journal) as system:
            outcome = await system.run(whole_chief)
            asked = len(first.requests), len(second.requests)
            effects = (tmp_path / "effects").read_text()
            with no_network(monkeypatch):
                found = await system.replay(outcome.run_id)
        assert outcome.ok
        assert found.difference is None
        assert (len(first.requests), len(second.requests)) == asked
    assert (tmp_path / "effects").read_text() == effects


# --- how bodies end ------------------------------------------------------------------------------


@sag
async def crashes(ctx: Context) -> str:
    """Crash each time, after a question and a skill that fails."""
    await ctx.ask("first")
    return str(await ctx.use(breaks, "this"))


@skill(inline=True)
def breaks(text: str) -> int:
    """Always break."""
    USED.append(text)
    raise ValueError(f"cannot take {text}")


@mag
async def insists(ctx: Context) -> str:
    """Insist on an answer."""
    return str((await ctx.delegate(crashes)).unwrap())


async def test_a_run_that_failed_fails_again_the_same_way() -> None:
    outcome, found = await replayed(insists, crashes)
    assert outcome.status == "failed"
    assert "cannot take this" in (outcome.error or "")
    assert found.difference is None
    assert len(USED) == 2  # the second is its restart, both before the replay


@sag
async def crashes_once(ctx: Context) -> str:
    """Crash the first time only."""
    said = await ctx.ask("before the crash")
    USED.append("body")
    if len(USED) == 1:
        raise ValueError("once")
    return said + await ctx.ask("after the crash")


@mag
async def sends_one(ctx: Context) -> str:
    """Delegate."""
    return str((await ctx.delegate(crashes_once)).unwrap())


async def test_a_body_that_crashed_and_was_started_again_is_replayed_as_it_ended() -> None:
    outcome, found = await replayed(sends_one, crashes_once)
    assert outcome.ok
    assert found.difference is None


@sag
async def quick(ctx: Context) -> str:
    """Answer after a second."""
    await anyio.sleep(0 if "slow racer" in CHANGED else 1)
    return await ctx.ask("quick")


@sag
async def slow(ctx: Context) -> str:
    """Ask, and take long."""
    said = await ctx.ask("slow")
    await anyio.sleep(0 if "slow racer" in CHANGED else 60)
    return said + await ctx.ask("never asked")


@sag
async def sleeper(ctx: Context) -> str:
    """Answer late, without asking anybody."""
    await anyio.sleep(0 if "slow racer" in CHANGED else 60)
    return "awake"


@mag
async def races(ctx: Context) -> dict[str, Any]:
    """Let two race, and give one too little time."""
    won = await ctx.first([slow, sleeper, quick])
    late = await ctx.delegate(slow, deadline=5)
    return {"won": won.unwrap(), "late": late.reason}


async def test_losers_of_a_race_and_late_bodies_end_as_they_ended_though_no_time_passes() -> None:
    outcome, found = await replayed(races, slow, sleeper, quick, changed="slow racer")
    assert outcome.output == {"won": "quick", "late": "deadline"}
    assert found.difference is None


@skill
async def naps(seconds: float) -> str:
    """Sleep."""
    await anyio.sleep(seconds)
    return "awake"


@mag
async def gives_up(ctx: Context) -> str:
    """Give a skill up, and do without."""
    with anyio.move_on_after(3):
        return await ctx.use(naps, 60.0)
    return await ctx.ask("without")


async def test_what_was_given_up_is_waited_for_in_vain_again() -> None:
    outcome, found = await replayed(gives_up)
    assert outcome.output == "without"
    assert found.difference is None


@mag
async def waits(ctx: Context) -> str:
    """Ask, delegate, and wait for long."""
    await ctx.ask("before")
    return str((await ctx.delegate(slow)).unwrap())


async def test_a_cancelled_run_is_replayed_up_to_where_it_was_cancelled() -> None:
    journal = MemoryJournal()
    async with running(agents=(waits, slow), environ={}, journal=journal) as system:
        with anyio.move_on_after(5):
            await system.run(waits, None, RunOptions(run_id="cancelled"))
        found = await system.replay("cancelled")
    assert found.status == "cancelled"
    assert found.difference is None
