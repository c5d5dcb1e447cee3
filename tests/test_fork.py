"""A fork has of its source what came before a step, at no cost, and works live from there on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runtime import Context, ForkOptions, ResumeOptions, RunOptions, mag, running, sag, skill
from runtime.errors import ConfigurationError, UnknownName
from runtime.journal import CallQuery, MemoryJournal, Record
from runtime.parting import part
from runtime.steps import Steps
from tests.chat_server import chat_server, completion
from tests.echoes import any_model_answers, at, catalog_of, policy, price, provider
from tests.interrupted import journal_of
from tests.resumable import events_of

if TYPE_CHECKING:
    from runtime.steps import Step
    from runtime.system import System

USED: list[str] = []


@pytest.fixture(autouse=True)
def _any_model(monkeypatch: pytest.MonkeyPatch) -> None:
    USED.clear()
    any_model_answers(monkeypatch)


def priced() -> Any:
    """Return a catalog with two priced models, of which code always names the first."""
    prices = {"home/m": price(), "home/other": price(2)}
    return catalog_of({"home": provider("m", "other")}, prices=prices)


@skill(inline=True)
def look(text: str) -> int:
    """Look at a text."""
    USED.append(text)
    return len(text)


@sag
async def worker(ctx: Context, number: int) -> str:
    """Look, ask twice."""
    size = await ctx.use(look, f"text {number}")
    said = await ctx.ask(f"first of {number}, {size}", model="home/m")
    return await ctx.ask(f"second: {said}", model="home/m")


@mag
async def chief(ctx: Context) -> list[str]:
    """Delegate one after the other, and sum up."""
    said = [(await ctx.delegate(worker, number)).unwrap() for number in (1, 2)]
    return [*said, await ctx.ask(f"sum up {said}", model="home/m")]


async def steps_of(system: System, run_id: str) -> Steps:
    return Steps(await events_of(system.journal, run_id))


async def step_with(system: System, run_id: str, words: str) -> Step:
    steps = await steps_of(system, run_id)
    return next(step for step in steps if words in str(step.asked) and step.kind == "model")


async def test_a_fork_pays_only_for_what_it_asks_itself_and_asks_whom_it_was_told() -> None:
    async with running(priced(), agents=(chief, worker), environ={}) as system:
        source = await system.run(chief, None, RunOptions(run_id="source"))
        step = await step_with(system, "source", "second: first of 2")
        options = ForkOptions(run_id="fork", model="home/other")
        outcome = await system.fork("source", str(step.seq), options)
        assert outcome.output == source.output  # every model echoes
        assert outcome.usage["calls"] == 2
        assert len(USED) == 2
        row, calls = (
            await system.journal.run("fork"),
            await system.journal.calls(CallQuery(run_id="fork")),
        )
        assert row is not None
        assert [(filed.call.model, filed.call.level) for filed in calls] == [("other", "fork")] * 2
        assert row.cost_nano_usd == sum(filed.call.cost_nano_usd for filed in calls)
        assert row.calls == 2
        assert outcome.forked_from == row.forked_from
        assert row.forked_from["run_id"] == "source"
        assert row.forked_from["step"] == step.seq
        assert row.forked_from["inherited"]["calls"] == 3
        assert row.trace_id != (await system.journal.run("source")).trace_id  # type: ignore[union-attr]
        both = [await steps_of(system, name) for name in ("source", "fork")]
        parting = part(*both)
        assert [step.name for step in parting.first if step] == ["home/m", "home/other"]
        assert len(parting.only_a) == len(parting.only_b) == 2


async def test_without_another_model_the_same_is_asked_again_from_there_on() -> None:
    async with running(priced(), agents=(chief, worker), environ={}) as system:
        source = await system.run(chief, None, RunOptions(run_id="source"))
        step = await step_with(system, "source", "sum up")
        outcome = await system.fork("source", step.op, ForkOptions(run_id="fork"))
        assert outcome.output == source.output
        assert outcome.usage["calls"] == 1
        assert part(await steps_of(system, "source"), await steps_of(system, "fork")).is_equal


async def test_a_fork_is_replayed_and_forked_like_any_run_and_needs_its_source_no_more() -> None:
    async with running(priced(), agents=(chief, worker), environ={}) as system:
        await system.run(chief, None, RunOptions(run_id="source"))
        step = await step_with(system, "source", "second: first of 1")
        first = ForkOptions(run_id="one", model="home/other")
        await system.fork("source", str(step.seq), first)
        del system.journal._runs["source"]  # type: ignore[attr-defined]  # vacuumed
        assert (await system.replay("one")).difference is None
        again = await step_with(system, "one", "sum up")
        outcome = await system.fork("one", str(again.seq), ForkOptions(run_id="two"))
        assert outcome.usage["calls"] == 1
        row = await system.journal.run("two")
        assert row is not None
        assert row.forked_from["run_id"] == "one"
        assert row.forked_from["inherited"]["calls"] == 4
        assert (await system.replay("two")).difference is None


async def test_a_fork_that_was_killed_goes_on_with_the_model_that_it_was_told() -> None:
    async with running(priced(), agents=(chief, worker), environ={}) as system:
        await system.run(chief, None, RunOptions(run_id="source"))
        step = await step_with(system, "source", "first of 2")
        await system.fork("source", str(step.seq), ForkOptions(run_id="fork", model="home/other"))
        whole = await events_of(system.journal, "fork")
    for stop in range(next(e.seq for e in whole if e.kind == "run_started"), len(whole)):
        journal = dead_at(whole[:stop])
        async with running(priced(), agents=(chief, worker), environ={}, journal=journal) as system:
            outcome = await system.resume("fork", ResumeOptions())
            row = await journal.run("fork")
            calls = await journal.calls(CallQuery(run_id="fork"))
            assert outcome.ok
            assert row is not None
            assert row.calls == 3
            assert {filed.call.model for filed in calls} == {"other"}
            assert (await system.replay("fork")).difference is None


def dead_at(events: list[Any]) -> MemoryJournal:
    """Return the journal of a fork whose process has died after some records."""
    return journal_of(
        Record("fork", event.kind, event.op, event.body, event.at, event.cost_nano_usd)
        for event in events
    )


@skill(inline=True, side_effects=True)
def send(text: str) -> str:
    """Send a text."""
    USED.append(f"sent {text}")
    return "sent"


@mag
async def sends(ctx: Context) -> str:
    """Ask, send, ask."""
    said = await ctx.ask("before", model="home/m")
    await ctx.use(send, said)
    return await ctx.ask("after", model="home/m")


async def test_side_effects_are_not_repeated_unless_somebody_says_so() -> None:
    async with running(priced(), agents=(sends,), environ={}) as system:
        await system.run(sends, None, RunOptions(run_id="source"))
        before = await step_with(system, "source", "before")
        after = await step_with(system, "source", "after")
        await system.fork("source", str(after.seq))
        assert USED == ["sent before"]
        with pytest.raises(ConfigurationError, match="send; a fork may do that again"):
            await system.fork("source", str(before.seq))
        outcome = await system.fork(
            "source", str(before.seq), ForkOptions(repeat_side_effects=True)
        )
        assert outcome.ok
        assert USED == ["sent before"] * 2


async def test_policies_hold_for_the_model_of_a_fork_and_unknown_names_are_refused_before() -> None:
    catalog = catalog_of(
        {"home": provider("m", "other")}, policies=(policy(allowed_models=("m",)),)
    )
    async with running(catalog, agents=(chief, worker), environ={}) as system:
        await system.run(chief, None, RunOptions(run_id="source"))
        step = str((await step_with(system, "source", "sum up")).seq)
        denied = await system.fork("source", step, ForkOptions(model="home/other"))
        assert denied.reason == "denied"
        for wrong in (("none", step, None), ("source", "999", None), ("source", step, "nowhere/x")):
            run_id, at_step, model = wrong
            with pytest.raises(UnknownName):
                await system.fork(run_id, at_step, ForkOptions(model=model))
        assert len(await system.journal.runs()) == 2


@mag
async def falls_back(ctx: Context) -> list[str]:
    """Ask whom the server refuses, with a fallback, in a loop of tools, and in pieces."""
    said = [await ctx.ask(f"question {number}", model="first/m") for number in range(3)]
    pieces = [event.text async for event in ctx.stream("tell", model="first/m")]
    return [*said, "".join(pieces)]


@pytest.mark.real_time
async def test_fallbacks_before_the_step_are_inherited_and_then_only_the_told_one_is_asked() -> (
    None
):
    refused = 400, {"error": {"message": "no", "type": "t", "code": "model_not_found"}}
    asked: list[str] = []

    def answer(body: dict[str, Any]) -> Any:
        asked.append(body["model"])
        return completion(f"<{body['messages'][-1]['content']}>")

    with chat_server(lambda _: refused) as first, chat_server(answer) as second:
        providers = {"second": at(second.url, "m", "told"), "first": at(first.url)}
        catalog = catalog_of(providers, routing={"fallback": {"first/m": ("second/m",)}})
        async with running(catalog, agents=(falls_back,), environ={}) as system:
            source = await system.run(falls_back, None, RunOptions(run_id="source"))
            step = next(
                each
                for each in await steps_of(system, "source")
                if each.name == "second/m" and "question 1" in str(each.asked)
            )
            before = len(first.requests)
            asked.clear()
            options = ForkOptions(run_id="fork", model="second/told")
            outcome = await system.fork("source", str(step.seq), options)
            assert outcome.output == source.output
            assert asked == ["told"] * 3
            assert len(first.requests) == before
            assert (await system.replay("fork")).difference is None


@mag
async def asks_somebody(ctx: Context) -> str:
    """Have a model that code, input and starter name, and a provider besides."""
    return await ctx.ask("who?", model="home/m", provider="home")


async def test_whom_a_fork_wants_asked_goes_before_every_other_wish(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAGSAG_MODEL", "home/m")
    providers = {"home": provider("m"), "away": provider("n")}
    async with running(catalog_of(providers), agents=(asks_somebody,)) as system:
        await system.run(asks_somebody, None, RunOptions(run_id="source", model="home/m"))
        step = await step_with(system, "source", "who?")
        await system.fork("source", str(step.seq), ForkOptions(run_id="fork", model="away/n"))
        assert [each.name for each in await steps_of(system, "fork") if each.kind == "model"] == [
            "away/n"
        ]


@mag
async def asks_a_person(ctx: Context) -> str:
    """Ask a person, then a model."""
    said = await ctx.approve("may I?", {"cost": 3})
    return await ctx.ask(f"they said {said.approved}", model="home/m")


async def test_a_decision_of_a_person_before_the_step_is_not_asked_for_again() -> None:
    asked = []

    async def approve(wish: Any) -> bool:
        asked.append(wish)
        return True

    async with running(priced(), agents=(asks_a_person,), environ={}) as system:
        options = RunOptions(run_id="source", approve=approve)
        source = await system.run(asks_a_person, None, options)
        step = await step_with(system, "source", "they said")
        fork = await system.fork("source", str(step.seq), ForkOptions(run_id="fork"))
        assert fork.output == source.output == "they said True"
        assert len(asked) == 1
        assert (await system.replay("fork")).difference is None
