"""What the spans of a run say of where it ran, for whom, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from otel.resource import resource_attributes
from runtime import Context, RunOptions, mag, running, sag, skill
from runtime.agent import Limits
from runtime.chat_spans import Server, chat_start_of, server_at
from runtime.errors import Cancelled
from runtime.messages import ModelReply, ToolCall, Usage
from tests.authors import add
from tests.fake_backends import Scripted, a_reply, a_request
from tests.recorded_spans import Recorded, failed, said, scripted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime import Agent
    from runtime.catalog import Catalog


@sag
async def worker(ctx: Context, payload: Any = None) -> str:
    await anyio.sleep(1)
    return await ctx.ask("hi")


@mag
async def boss(ctx: Context, payload: Any = None) -> int:
    context = {"conversation_id": "c-2"} if payload == "another" else {}
    return len(await ctx.fan_out(worker, [{}, {}], context=context))


async def told(
    agent: Agent,
    payload: Any = None,
    catalog: Catalog | None = None,
    agents: Iterable[Agent] = (worker,),
    **options: Any,
) -> Recorded:
    recorded = Recorded()
    async with running(catalog, agents=(agent,), environ={}, tracing=recorded) as system:
        for one in agents:
            system.directory.add_agent(one, Limits(concurrency=1))
        outcome = await system.run(agent, payload, RunOptions(**options))
        assert outcome.ok, outcome.error
    assert recorded.all_ended
    return recorded


async def test_an_agent_says_where_it_ran_and_how_long_its_message_lay() -> None:
    recorded = await told(boss)
    spans = [said(span) for span in recorded.named("invoke_agent worker")]
    assert sorted(span["magsag.mailbox.wait_ms"] for span in spans) == [0, 1_000]
    assert len({span["magsag.actor.id"] for span in spans}) == 2
    assert len({span["magsag.message.id"] for span in spans}) == 2
    assert {span["magsag.delegation.mode"] for span in spans} == {"ask"}
    assert {span["magsag.turns"] for span in spans} == {1}
    assert said(recorded.one("invoke_agent boss"))["magsag.turns"] == 0


async def test_the_conversation_that_a_run_is_started_with_is_on_all_that_belongs_to_it() -> None:
    recorded = await told(boss, conversation_id="c-1", session_id="s-1")
    for span in recorded.told.ended:
        assert said(span)["gen_ai.conversation.id"] == "c-1", span.name
        assert said(span)["session.id"] == "s-1", span.name


async def test_a_conversation_in_the_payload_is_the_runs() -> None:
    recorded = await told(boss, {"conversation_id": "c-9", "session_id": 5})
    for span in recorded.told.ended:
        assert said(span)["gen_ai.conversation.id"] == "c-9", span.name
        assert "session.id" not in said(span)


async def test_a_conversation_in_the_context_is_that_of_all_below() -> None:
    recorded = await told(boss, "another", conversation_id="c-1")
    for span in recorded.told.ended:
        mine = "c-1" if span.name.endswith("boss") else "c-2"
        assert said(span)["gen_ai.conversation.id"] == mine, span.name


@sag
async def middle(ctx: Context) -> str:
    return (await ctx.delegate(worker)).unwrap()


@mag
async def top(ctx: Context) -> str:
    return (await ctx.delegate(middle, context={"conversation_id": "c-3"})).unwrap()


async def test_a_conversation_is_handed_on_through_agents_that_do_not_name_it() -> None:
    recorded = await told(top, agents=(middle, worker))
    assert said(recorded.one("chat echo-1"))["gen_ai.conversation.id"] == "c-3"
    assert "gen_ai.conversation.id" not in said(recorded.one("invoke_agent top"))


@mag
async def listen(ctx: Context) -> int:
    return len([event async for event in ctx.stream("hi there")])


async def test_a_streamed_answer_says_when_its_first_piece_came() -> None:
    recorded = await told(listen)
    chat = said(recorded.one("chat echo-1"))
    assert chat["gen_ai.request.stream"] is True
    assert chat["gen_ai.response.time_to_first_chunk"] >= 0


@mag
async def calculate(ctx: Context) -> str:
    return await ctx.ask("add", tools=[add])


async def test_a_tool_says_by_which_id_the_model_has_called_it_and_how_large_its_result_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    call = ToolCall("call-7", "add", {"a": 1}, '{"a": 1}')
    wish = ModelReply(
        text="",
        usage=Usage(input_tokens=1, output_tokens=1),
        model="m",
        tool_calls=(call,),
        finish_reason="tool_calls",
    )
    catalog = scripted(monkeypatch, p=Scripted(wish, a_reply()))
    recorded = await told(calculate, catalog=catalog)
    (tool,) = recorded.named("execute_tool")
    assert said(tool)["gen_ai.tool.call.id"] == "call-7"
    assert said(tool)["magsag.tool.bytes"] > 0
    assert said(recorded.one("invoke_agent calculate"))["magsag.turns"] == 2


# --- ends ----------------------------------------------------------------------------------------


@sag
async def stubborn(ctx: Context) -> None:
    """Do not let go of work that is cancelled."""
    with anyio.CancelScope(shield=True):
        await anyio.sleep(10_000)


@sag
async def half(ctx: Context) -> None:
    stream = ctx.stream("one two three four five six")
    await anext(stream)
    await anyio.sleep(10_000)


@skill
async def dawdle() -> None:
    """Take for ever."""
    await anyio.sleep_forever()


@sag
async def patient(ctx: Context) -> None:
    await ctx.use(dawdle)


@mag
async def everything(ctx: Context) -> None:
    async with anyio.create_task_group() as tasks:
        for agent in (stubborn, half, worker, patient):
            tasks.start_soon(ctx.delegate, agent)


async def test_no_span_of_a_run_that_is_cancelled_stays_open_and_all_have_failed() -> None:
    recorded = Recorded()
    agents = (everything, stubborn, half, worker, patient)
    async with running(None, agents=agents, environ={}, tracing=recorded) as system:
        with anyio.move_on_after(0.5):
            await system.run(everything)
    assert recorded.all_ended
    assert {span.name for span in recorded.told.ended} == {
        "invoke_workflow everything",
        *(f"invoke_agent {agent.name}" for agent in agents),
        "chat echo-1",
        "execute_tool dawdle",
    }
    assert [span.name for span in recorded.told.ended if not failed(span)] == []


@mag
async def hurried(ctx: Context) -> str:
    late = await ctx.delegate(slow_worker, deadline=1.0)
    return late.error or ""


@sag
async def slow_worker(ctx: Context) -> None:
    await anyio.sleep(10_000)


async def test_what_was_cut_off_says_why_as_the_journal_does() -> None:
    recorded = Recorded()
    agents = (hurried, slow_worker)
    async with running(None, agents=agents, environ={}, tracing=recorded) as system:
        assert (await system.run(hurried)).output == "its deadline passed"
        with anyio.move_on_after(0.5):
            await system.run(hurried)
    cut_off = [each for each in recorded.told.ended if each.name == "invoke_agent slow-worker"]
    assert [span.status.description for span in cut_off] == [
        "its deadline passed",
        "its caller gave it up",
    ]


@mag
async def crash(ctx: Context) -> None:
    stream = ctx.stream("one two three four five six")
    await anext(stream)
    raise ValueError("on purpose")


async def test_what_a_crash_leaves_behind_has_failed_too() -> None:
    recorded = Recorded()
    async with running(None, agents=(crash,), environ={}, tracing=recorded) as system:
        assert not (await system.run(crash)).ok
    assert recorded.all_ended
    assert all(failed(span) for span in recorded.told.ended)
    assert {said(span)["error.type"] for span in recorded.told.ended} == {"crashed"}


async def test_a_run_that_is_never_begun_has_no_span() -> None:
    recorded = Recorded()
    async with running(None, agents=(boss, worker), environ={}, tracing=recorded) as system:
        await system.close()
        with pytest.raises(Cancelled):
            await system.run(boss)
    assert recorded.told.started == 0


# --- where, and of which process -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "server"),
    [
        ("https://api.example/v1?key=k", Server("api.example", 443)),
        ("http://user:password@127.0.0.1:8080/v1", Server("127.0.0.1", 8080)),
        ("http://[::1]/v1", Server("::1", 80)),
        ("", None),
        ("http://host:none", None),
    ],
)
def test_a_server_is_its_host_and_port_and_nothing_of_the_rest(
    base_url: str, server: Server | None
) -> None:
    assert server_at(base_url) == server


def test_what_only_a_vendors_own_fields_say_is_said_too() -> None:
    told = chat_start_of(a_request(extra_body={"n": 3, "previous_response_id": "resp_1"}))
    assert told["gen_ai.request.choice.count"] == 3
    assert told["gen_ai.request.previous_response.id"] == "resp_1"
    odd = chat_start_of(a_request(extra_body={"n": True, "previous_response_id": None}))
    assert not {"gen_ai.request.choice.count", "gen_ai.request.previous_response.id"} & odd.keys()


def test_the_environment_that_policies_go_by_is_the_deployments() -> None:
    said = resource_attributes({"MAGSAG_ENVIRONMENT": "staging"}, instance_id="i")
    assert said["deployment.environment.name"] == "staging"
    own = "deployment.environment.name=mine"
    environ = {"MAGSAG_ENVIRONMENT": "staging", "OTEL_RESOURCE_ATTRIBUTES": own}
    assert resource_attributes(environ, instance_id="i")["deployment.environment.name"] == "mine"
    assert "deployment.environment.name" not in resource_attributes({}, instance_id="i")
