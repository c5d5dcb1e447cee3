"""Replays of what a run may do besides asking: pieces, caches, budgets, state, threads, tools."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from runtime import BlockingContext, Context, mag, running, sag, skill
from runtime.catalog import RouteEntry
from runtime.catalog.policy import ToolRule, Tools
from runtime.errors import BudgetExceeded, ConfigurationError, PolicyDenied, UnknownName
from runtime.journal import MemoryJournal
from tests.chat_server import chat_server, completion
from tests.echoes import any_model_answers, at, catalog_of, policy, price, provider
from tests.interrupted import ends, journal_of, recorded_until
from tests.test_replay import chief, no_network, replayed, worker


@mag
async def tells(ctx: Context) -> dict[str, Any]:
    """Read one answer in pieces to its end, and leave another early."""
    pieces = [event.text async for event in ctx.stream("one two three four five")]
    left: list[str] = []
    async for event in ctx.stream("six seven eight nine ten"):
        left.append(event.text)
        if len(left) == 2:
            break
    return {"pieces": pieces, "left": left}


async def test_an_answer_in_pieces_comes_in_the_same_pieces_also_where_it_was_left_early() -> None:
    outcome, found = await replayed(tells)
    assert len(outcome.output["pieces"]) > 2
    assert len(outcome.output["left"]) == 2
    assert found.difference is None


@mag
async def repeats(ctx: Context) -> list[str]:
    """Ask the same three times, twice where an earlier answer will do."""
    cached = [await ctx.ask("the same", use_cache=True) for _ in range(2)]
    return [*cached, await ctx.ask("the same")]


async def test_answers_that_were_given_again_are_given_again_from_the_runs_own_record() -> None:
    journal = MemoryJournal()
    _, first = await replayed(repeats, journal=journal)
    assert first.difference is None
    _, second = await replayed(repeats)
    assert second.difference is None


@mag
async def spends(ctx: Context) -> dict[str, Any]:
    """Ask until the money is spent, and say what is left."""
    left = []
    try:
        for number in range(100):
            await ctx.ask(f"question {number}", max_output_tokens=10)
            left.append(ctx.budget.left_usd)
    except BudgetExceeded as error:
        return {"left": left, "error": str(error), "calls": number}
    return {}


async def test_a_budget_that_was_used_up_is_used_up_at_the_same_place_in_the_same_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    any_model_answers(monkeypatch)
    catalog = catalog_of({"home": provider("m")}, prices={"home/m": price()})
    outcome, found = await replayed(spends, catalog=catalog, budget_usd=5)
    assert outcome.output["calls"] > 1
    assert found.difference is None


@mag
async def forbidden(ctx: Context) -> str:
    """Ask whom a policy forbids, then somebody else."""
    try:
        return await ctx.ask("may I?", model="home/other")
    except PolicyDenied as error:
        return f"{error} {await ctx.ask('then you', model='home/m')}"


async def test_what_a_policy_forbade_is_forbidden_again(monkeypatch: pytest.MonkeyPatch) -> None:
    any_model_answers(monkeypatch)
    catalog = catalog_of(
        {"home": provider("m", "other")}, policies=(policy(allowed_models=("m",)),)
    )
    outcome, found = await replayed(forbidden, catalog=catalog)
    assert "then you" in outcome.output
    assert found.difference is None


@sag(per="run")
class Notebook:
    """Keeps what it is told, in the order in which it came."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    async def run(self, ctx: Context, note: str) -> list[str]:
        """Take a note."""
        self.notes.append(await ctx.ask(note))
        return list(self.notes)


@sag
async def late_writer(ctx: Context, number: int) -> list[str]:
    """Write, the first the last."""
    await ctx.use(waits, float(10 - number))
    return (await ctx.delegate(Notebook, f"note {number}")).unwrap()


@skill
async def waits(seconds: float) -> str:
    """Wait."""
    await anyio.sleep(seconds)
    return "waited"


@mag
async def editor(ctx: Context) -> list[list[str]]:
    """Have several write at once."""
    return [one.unwrap() for one in await ctx.fan_out(late_writer, [1, 2, 3])]


async def test_agents_that_keep_state_get_their_messages_in_the_order_in_which_they_got_them() -> (
    None
):
    outcome, found = await replayed(editor, late_writer, Notebook)
    assert outcome.output[2] == ["note 3"]
    assert found.difference is None


@sag
def in_a_thread(ctx: BlockingContext, number: int) -> str:
    """Ask from a worker thread."""
    return ctx.ask(f"thread {number}") + str(ctx.delegate(worker, number).unwrap())


@mag
def threads(ctx: BlockingContext) -> list[str]:
    """Fan out from a worker thread."""
    return [one.unwrap() for one in ctx.fan_out(in_a_thread, [1, 2, 3])]


@pytest.mark.real_time
async def test_bodies_in_threads_are_replayed() -> None:
    _, found = await replayed(threads, in_a_thread, worker)
    assert found.difference is None


@skill(inline=True)
async def asks_itself(ctx: Context, text: str) -> str:
    """Ask and delegate inside of a skill."""
    said = await ctx.ask(f"inside: {text}")
    return said + str((await ctx.delegate(worker, 7)).unwrap())


@mag
async def uses_one_that_asks(ctx: Context) -> str:
    """Use a skill that asks by itself."""
    return await ctx.use(asks_itself, "a") + await ctx.ask("outside")


async def test_what_a_skill_has_asked_is_not_missed_as_the_skill_is_not_used_again() -> None:
    _, found = await replayed(uses_one_that_asks, worker)
    assert found.difference is None
    assert found.steps == 7


@mag
async def interrupted(ctx: Context) -> list[str]:
    """Ask four times."""
    return [await ctx.ask(f"part {number}") for number in range(4)]


@pytest.mark.real_time
@pytest.mark.parametrize("kind", ["invocation_started", "invocation_completed", "run_started"])
async def test_a_run_that_was_killed_and_gone_on_with_is_replayed_as_one(kind: str) -> None:
    records = await recorded_until(interrupted, ends(kind))
    journal = journal_of(records)
    async with running(agents=(interrupted,), environ={}, journal=journal) as system:
        await system.resume(records[0].run_id)
        found = await system.replay(records[0].run_id)
    assert found.difference is None
    assert found.steps == 5


async def test_a_run_that_is_not_over_or_unknown_or_whose_words_nobody_kept_is_refused() -> None:
    journal = MemoryJournal()
    async with running(agents=(chief, worker), environ={}, journal=journal) as system:
        with pytest.raises(UnknownName, match="no run 'none'"):
            await system.replay("none")
    secret = catalog_of({"echo": provider("echo-1")}, policies=(policy(contents={"*": "digest"}),))
    with pytest.raises(ConfigurationError, match="nobody has kept the words of 3 answers"):
        await replayed(chief, worker, catalog=secret)


def asks_for_tools(body: dict[str, Any]) -> Any:
    """Call a tool until it has answered, then tell what it said."""
    last = body["messages"][-1]
    if last["role"] == "tool":
        return completion(f"the tool said {last['content']}")
    status, reply = completion("")
    call = {"id": "c1", "type": "function", "function": {"name": "double", "arguments": '{"n": 4}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    reply["choices"][0] |= {"finish_reason": "tool_calls", "message": message}
    return status, reply


@skill(inline=True)
def double(n: int) -> int:
    """Double a number."""
    return 2 * n


@mag
async def has_tools(ctx: Context) -> str:
    """Let a model use a tool."""
    return await ctx.ask("double four", tools=(double,))


@pytest.mark.real_time
async def test_a_loop_of_tools_is_replayed_without_a_model_or_a_tool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with chat_server(asks_for_tools) as server:
        catalog = catalog_of({"home": at(server.url)})
        journal = MemoryJournal()
        async with running(catalog, agents=(has_tools,), environ={}, journal=journal) as system:
            outcome = await system.run(has_tools)
            with no_network(monkeypatch):
                found = await system.replay(outcome.run_id)
    assert outcome.output == "the tool said 8"
    assert found.difference is None


@mag
async def sleeps_for_ever(ctx: Context) -> str:
    """Ask, then sleep longer than there is time."""
    await ctx.ask("before")
    await anyio.sleep(10_000)
    return "awake"


async def test_a_run_whose_time_was_up_is_replayed_without_waiting_for_it() -> None:
    outcome, found = await replayed(sleeps_for_ever, deadline_s=30)
    assert outcome.reason == "deadline"
    assert found.difference is None


@mag
async def needs_approval(ctx: Context) -> str:
    """Use what a policy wants approved."""
    try:
        return str(await ctx.use(double, 4))
    except PolicyDenied as error:
        return str(error)


@pytest.mark.parametrize("is_approved", [True, False])
async def test_approvals_are_as_they_were_and_nobody_is_asked_again(*, is_approved: bool) -> None:
    asked = []

    async def approve(wish: Any) -> bool:
        asked.append(wish)
        return is_approved

    rule = policy(tools=Tools((ToolRule("double", "require_approval"),)))
    catalog = catalog_of({"echo": provider("echo-1")}, policies=(rule,))
    outcome, found = await replayed(needs_approval, catalog=catalog, approve=approve)
    assert (outcome.output == "8") is is_approved
    assert len(asked) == 1
    assert found.difference is None


@skill(inline=True, side_effects=True)
def pays(amount: int) -> str:
    """Pay."""
    return f"receipt {amount}"


@mag
async def payer(ctx: Context) -> str:
    """Pay."""
    return await ctx.use(pays, 2)


@pytest.mark.real_time
@pytest.mark.parametrize("approved", [True, False])
async def test_what_people_said_of_a_use_in_doubt_is_said_again(*, approved: bool) -> None:
    records = await recorded_until(payer, ends("skill_started", "/pays:"))
    run_id = records[0].run_id
    async with running(agents=(payer,), environ={}, journal=journal_of(records)) as system:
        (asked,) = (await system.resume(run_id)).waits_for
        await (system.approve if approved else system.deny)(run_id, asked.ticket)
        outcome = await system.resume(run_id)
        with anyio.fail_after(5):
            found = await system.replay(run_id)
    assert (outcome.status, outcome.reason) == (
        ("completed", None) if approved else ("failed", "in_doubt")
    )
    assert found.difference is None


@mag
async def by_route(ctx: Context) -> str:
    """Ask whomever the route prefers."""
    return await ctx.ask("who is quick?")


@pytest.mark.real_time
async def test_whom_a_route_preferred_then_is_preferred_again_whatever_was_learned_since() -> None:
    refused = 400, {"error": {"message": "no", "type": "t", "code": "model_not_found"}}
    with (
        chat_server(lambda _: refused) as first,
        chat_server(lambda _: completion("I am")) as second,
    ):
        route = RouteEntry(task_type="*", targets=("first/m", "second/m"), prefer="latency")
        providers = {"first": at(first.url), "second": at(second.url)}
        catalog = catalog_of(providers, routing={"routes": (route,)})
        journal = MemoryJournal()
        async with running(catalog, agents=(by_route,), environ={}, journal=journal) as system:
            await system.run(by_route)
            learned = await system.run(by_route)
            found = await system.replay(learned.run_id)
    assert learned.usage["calls"] == 1  # the second is asked first, as the first has failed
    assert len(first.requests) == 1
    assert found.difference is None
