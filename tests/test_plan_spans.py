"""An agent's planning is a span of its own, around the model call that it takes."""

from __future__ import annotations

import anyio
import pytest

from runtime import BlockingContext, Context, mag, running
from runtime.errors import InvalidOutput
from tests.authors import add
from tests.fake_backends import Scripted, a_reply
from tests.recorded_spans import Recorded, failed, said, scripted


@mag
async def planner(ctx: Context) -> list[str]:
    plan = await ctx.plan("a, b", model="echo-1")
    await ctx.use(add, 1)
    return [plan, await ctx.ask("c", model="echo-1")]


async def test_the_chat_of_a_plan_is_below_it_and_what_follows_is_beside_it() -> None:
    recorded = Recorded()
    async with running(agents=(planner,), environ={}, tracing=recorded) as system:
        outcome = await system.run(planner)
    assert outcome.output == ["a, b", "c"]
    assert recorded.all_ended
    agent = recorded.one("invoke_agent planner")
    assert [span.name for span in recorded.below(agent)] == [
        *("plan planner", "execute_tool add", "chat echo-1"),
    ]
    plan = recorded.one("plan planner")
    assert [span.name for span in recorded.below(plan)] == ["chat echo-1"]
    assert said(plan) == {
        "gen_ai.operation.name": "plan",
        "gen_ai.agent.name": "planner",
        "magsag.run.id": outcome.run_id,
        "magsag.task.id": "planner-1",
    }
    assert not failed(plan)


@mag
async def mistaken(ctx: Context) -> None:
    await ctx.plan("how many?", returns=int)


async def test_a_plan_that_is_not_what_was_asked_for_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded = Recorded()
    catalog = scripted(monkeypatch, p=Scripted(a_reply("no number")))
    async with running(catalog, agents=(mistaken,), environ={}, tracing=recorded) as system:
        outcome = await system.run(mistaken)
    assert not outcome.ok
    plan = recorded.one("plan mistaken")
    assert failed(plan)
    assert said(plan)["error.type"] == outcome.reason
    assert outcome.reason == InvalidOutput.reason


async def test_a_plan_ends_with_a_run_that_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_request: object) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr("providers.echo.MODELS", {"echo-1": never})
    recorded = Recorded()
    async with running(agents=(planner,), environ={}, tracing=recorded) as system:
        with anyio.move_on_after(1):
            await system.run(planner)
    assert recorded.all_ended
    assert all(failed(span) for span in recorded.told.ended)


@mag
def blocking(ctx: BlockingContext) -> str:
    return str(ctx.plan("x", model="echo-1"))


@pytest.mark.real_time
async def test_a_plain_agent_plans_in_the_same_way() -> None:
    recorded = Recorded()
    async with running(agents=(blocking,), environ={}, tracing=recorded) as system:
        assert (await system.run(blocking)).output == "x"
    assert len(recorded.below(recorded.one("plan blocking"))) == 1
