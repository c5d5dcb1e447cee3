"""Runs that refuse other code, where the nodes of a cluster have it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime import Context, ResumeOptions, RunOptions, mag, sag
from runtime.agent import Limits
from runtime.errors import CodeChanged, LimitReached
from tests.clustering import cluster, member, settings_of
from tests.nats_server import new_name, shared_server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runtime.agent import Agent
    from runtime.journal import EventRow
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


# --- Delegations ---------------------------------------------------------------------------------


def version(word: str) -> dict[Agent, Limits]:
    """Return main agents, and those that they delegate to: of these, only one is foreseen."""

    @sag(name="below")
    async def below(ctx: Context) -> str:
        return await ctx.ask(word)

    @sag(name="hidden")
    async def hidden(ctx: Context) -> str:
        return await ctx.ask(word)

    @mag(name="above")
    async def above(ctx: Context, whom: str) -> str:
        found: str = (await ctx.delegate(whom)).unwrap()
        return found

    @mag(name="foresees")
    async def foresees(ctx: Context) -> str:
        return (await ctx.delegate(below)).unwrap()

    @sag(name="middle")
    async def middle(ctx: Context) -> str:
        whom = "neddih"[::-1]  # a name that is in its code would be foreseen
        found: str = (await ctx.delegate(whom)).unwrap()
        return found

    return dict.fromkeys((above, foresees, below, hidden, middle), USUAL)


class Nodes(AsyncExitStack):
    """Nodes with code of their own, each of which serves some agents."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__()
        self._settings = settings_of(shared_server().url, new_name())
        self._where = str(tmp_path / "journal.db")

    async def joins(self, agents: Mapping[Agent, Limits], *serves: str) -> System:
        """Return a node that serves some agents; a client where it serves none."""
        one = member(self._settings, self._where, agents, serves=False)
        system = await self.enter_async_context(one)
        if serves:
            await system.serve(serves)
        return system


async def events_of(system: System, kind: str, run: str = "the-run") -> list[EventRow]:
    return [each for each in await system.journal.events(run) if each.kind == kind]


@pytest.mark.parametrize(
    ("policy", "theirs", "answer"),
    [
        ("refuse", "other", "home's"),
        ("continue", "other", "other"),
        ("refuse", "home's", "home's"),
    ],
)
@pytest.mark.parametrize("whom", ["below", "hidden"])
async def test_the_home_does_what_a_node_of_other_code_must_not(
    tmp_path: Path, policy: Any, theirs: str, answer: str, whom: str
) -> None:
    ours = version("home's")
    async with Nodes(tmp_path) as nodes:
        home = await nodes.joins(ours, "above")
        guest = await nodes.joins(version(theirs), "below", "hidden")
        client = await nodes.joins(ours)
        outcome = await client.run("above", whom, replace(RUN, on_code_change=policy))
        done = [each.cluster.engine.done for each in (home, guest) if each.cluster is not None]
    assert outcome.value == answer
    is_refused = (policy, theirs) == ("refuse", "other")
    assert done == ([1, 0] if is_refused else [0, 1])


@pytest.mark.parametrize(("policy", "answer"), [("refuse", "home's"), ("continue", "other")])
async def test_the_home_does_what_a_guest_comes_to_that_nobody_foresaw(
    tmp_path: Path, policy: Any, answer: str
) -> None:
    ours = version("home's")
    async with Nodes(tmp_path) as nodes:
        await nodes.joins(ours, "above")
        guest = await nodes.joins(version("other"), "middle", "hidden")
        client = await nodes.joins(ours)
        outcome = await client.run("above", "middle", replace(RUN, on_code_change=policy))
        assert guest.cluster is not None
        done = guest.cluster.engine.done
    assert outcome.value == answer
    assert done == (1 if policy == "refuse" else 2)  # the one between, whose code is the same


async def test_an_agent_that_was_not_foreseen_is_noted_by_the_node_that_does_it(
    tmp_path: Path,
) -> None:
    agents = version("one")
    async with Nodes(tmp_path) as nodes:
        await nodes.joins(agents, "above", "foresees")
        await nodes.joins(agents, "below", "hidden")
        client = await nodes.joins(agents)
        await client.run("above", "hidden", RUN)
        _, hidden = await events_of(client, "delegation_started")
        await client.run("foresees", None, replace(RUN, run_id="another"))
        _, below = await events_of(client, "delegation_started", run="another")
    assert (hidden.body["agent"], "code" in hidden.body) == ("hidden", True)
    assert (below.body["agent"], "code" in below.body) == ("below", False)


@sag
async def random(ctx: Context) -> list[str]:
    """Ask something else first in another mood, as random code would; then, wait in one."""
    said = [await ctx.ask("first" if "other" not in MOOD else "other")]
    if "late" in MOOD:
        await anyio.sleep_forever()
    return [*said, await ctx.ask("second")]


@mag
async def trusting(ctx: Context) -> list[str]:
    """Delegate."""
    return (await ctx.delegate(random)).unwrap()


async def test_a_run_is_left_when_a_node_comes_to_other_steps_than_the_one_before(
    tmp_path: Path,
) -> None:
    agents, over = dict.fromkeys((trusting, random), USUAL), anyio.Event()
    MOOD.append("late")
    async with anyio.create_task_group() as tasks, Nodes(tmp_path) as nodes:
        await nodes.joins(agents, "trusting")
        first = await nodes.joins(agents, "random")
        client = await nodes.joins(agents)

        async def run() -> None:
            with pytest.raises(CodeChanged, match=r"random:.* it had come to chat:.* and now"):
                await client.run("trusting", None, replace(RUN, on_code_change="refuse"))
            over.set()

        tasks.start_soon(run)
        with anyio.fail_after(20):
            while not await events_of(client, "invocation_completed"):  # noqa: ASYNC110  # elsewhere
                await anyio.sleep(0.05)
        MOOD[:] = ["other"]
        await first.drain(0.0)
        await nodes.joins(agents, "random")
        await over.wait()
        assert await events_of(client, "delegation_failed") == []
        MOOD.clear()
        outcome = await client.resume("the-run")
    assert outcome.value == ["first", "second"]
    assert outcome.usage["calls"] == 2
