"""Runs that refuse other code, where the nodes of a cluster have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from runtime import Context, ResumeOptions, RunOptions, mag
from runtime.agent import Limits
from runtime.errors import CodeChanged, LimitReached
from tests.clustering import cluster, settings_of
from tests.nats_server import new_name, shared_server

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.system import System

pytestmark = pytest.mark.real_time
RUN = RunOptions(run_id="the-run", deadline_s=60)
REFUSE = ResumeOptions(on_code_change="refuse")
USUAL = Limits()
MOOD: list[str] = []


@pytest.fixture(autouse=True)
def _usual_mood() -> None:
    MOOD.clear()


@mag
async def moody(ctx: Context) -> list[str]:
    """Ask something else first in another mood, as random code would."""
    said = [await ctx.ask(mood) for mood in MOOD]
    said.append(await ctx.ask("first"))
    await ctx.approve("Go on?")
    if "late" in MOOD:
        await anyio.sleep_forever()
    return [*said, await ctx.ask("second")]


async def until_decided(system: System) -> None:
    """Run until people are asked, and approve."""
    outcome = await system.run(moody, None, RUN)
    (asked,) = outcome.waits_for
    await system.approve("the-run", asked.ticket)


async def test_a_run_whose_home_refuses_its_code_is_there_for_whoever_has_it(
    tmp_path: Path,
) -> None:
    settings, where = settings_of(shared_server().url, new_name()), str(tmp_path / "journal.db")
    async with cluster(settings, where, {moody: USUAL}) as system:
        await until_decided(system)
        MOOD.append("other")
        with pytest.raises(CodeChanged, match=r"come to chat:.* and now comes to chat:.* first"):
            await system.resume("the-run", REFUSE)
        row = await system.journal.run("the-run")
        assert row is not None
        assert row.status == "paused"
        MOOD.clear()
        outcome = await system.resume("the-run", REFUSE)
    assert outcome.value == ["first", "second"]
    assert outcome.usage["calls"] == 2


async def test_a_run_that_has_no_time_left_at_its_home_is_there_for_whoever_gives_it_more(
    tmp_path: Path,
) -> None:
    settings, where = settings_of(shared_server().url, new_name()), str(tmp_path / "journal.db")
    async with cluster(settings, where, {moody: USUAL}) as system:
        await until_decided(system)
        MOOD.append("late")
        with pytest.raises(LimitReached, match="--deadline extend"):
            await system.resume("the-run", ResumeOptions(deadline=2.0, on_code_change="continue"))
        MOOD.clear()
        outcome = await system.resume("the-run", ResumeOptions(deadline="extend"))
    assert outcome.value == ["first", "second"]
