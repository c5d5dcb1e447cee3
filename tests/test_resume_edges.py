"""Going on where it is not plain what a former process has seen, or whether it can go on here."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime import Context, ResumeOptions, mag, running, sag, skill
from runtime.errors import UnknownName
from runtime.governance.policy import RunLimit
from runtime.journal import EventRow
from runtime.recorded import Recorded
from runtime.registration import limited
from tests.chat_server import chat_server, completion
from tests.echoes import at, catalog_of
from tests.interrupted import ends, journal_of, recorded_until, resumed

if TYPE_CHECKING:
    from runtime.journal import Record

pytestmark = pytest.mark.real_time


@sag(per="run")
class Counter:
    """Adds up what it is sent."""

    def __init__(self) -> None:
        self.sum = 0

    async def run(self, ctx: Context, number: int) -> int:
        """Add, and ask something that is paid for."""
        await ctx.ask(f"may I add {number}?")
        self.sum += number
        return self.sum


@sag
async def between(ctx: Context, number: int) -> int:
    """Delegate."""
    return (await ctx.delegate(Counter, number)).unwrap()


@mag
async def counts(ctx: Context) -> list[int]:
    """Count, by the one and by the other."""
    return [(await ctx.delegate(who, 1)).unwrap() for who in (Counter, between, Counter)]


async def test_an_agent_that_keeps_its_state_has_it_again() -> None:
    third = iter((False, False, True))

    def stop(record: Record) -> bool:
        return record.kind == "delegation_completed" and next(third)

    records = await recorded_until(counts, stop, agents=(Counter, between))
    outcome, row = await resumed(counts, records, agents=(Counter, between))
    assert outcome.output == [1, 2, 3]
    assert outcome.usage["calls"] == row.calls == 3


@mag
async def gives_up(ctx: Context) -> list[str]:
    """Wait for an answer only so long."""
    answers = ["too late"]
    with anyio.move_on_after(0.05):
        answers.append(await ctx.ask("slow"))
    return [*answers, await ctx.ask("and then?")]


async def test_a_call_that_was_given_up_is_no_failure_that_its_caller_has_seen() -> None:
    def answer(body: dict[str, Any]) -> Any:
        prompt = body["messages"][-1]["content"]
        if prompt == "slow":
            released.wait(10)
        return completion(f"<{prompt}>")

    released = threading.Event()
    with chat_server(answer) as server:
        catalog = catalog_of({"home": at(server.url)})
        stop = ends("invocation_failed")
        records = await recorded_until(gives_up, stop, catalog=catalog)
        outcome, row = await resumed(gives_up, records, catalog=catalog)
        released.set()
    assert outcome.output == ["too late", "<and then?>"]
    assert outcome.usage["calls"] == row.calls


class Own(Exception):
    """An error of the author's."""


@skill(inline=True)
def breaks(how: str) -> str:
    """Break."""
    raise KeyError(how) if how == "key" else Own(how)


TOOL_CALLS = [
    {"id": how, "type": "function",
     "function": {"name": "breaks", "arguments": json.dumps({"how": how})}}
    for how in ("key", "own")
]  # fmt: skip


@mag
async def uses_tools(ctx: Context) -> str:
    """Let a model use a tool that breaks."""
    return await ctx.ask("go", tools=[breaks])


async def test_a_model_is_told_the_same_of_a_tool_that_failed_before() -> None:
    asked: list[Any] = []

    def answer(body: dict[str, Any]) -> Any:
        asked.append(body["messages"])
        status, reply = completion("done")
        if len(body["messages"]) == 1:
            reply["choices"][0]["message"]["tool_calls"] = TOOL_CALLS
            reply["choices"][0]["finish_reason"] = "tool_calls"
        return status, reply

    second = iter((False, True))

    def stop(record: Record) -> bool:
        return record.kind == "invocation_completed" and next(second)

    with chat_server(answer) as server:
        catalog = catalog_of({"home": at(server.url)})
        records = await recorded_until(uses_tools, stop, catalog=catalog)
        outcome, _ = await resumed(uses_tools, records, catalog=catalog)
    assert (outcome.output, len(asked)) == ("done", 2)


@skill(inline=True, side_effects=True)
def pay() -> str:
    """Pay."""
    return "receipt"


@mag
async def payer(ctx: Context) -> str:
    """Pay."""
    return await ctx.use(pay)


async def test_who_is_told_of_a_doubt_can_still_resume_with_retry_in_doubt() -> None:
    records = await recorded_until(payer, ends("skill_started"))
    run_id = records[0].run_id
    async with running(agents=(payer,), environ={}, journal=journal_of(records)) as system:
        for _ in range(2):
            assert (await system.resume(run_id)).status == "waiting"
        outcome = await system.resume(run_id, ResumeOptions(retry_in_doubt=True))
    assert outcome.output == "receipt"


async def test_a_run_whose_agent_or_routing_is_not_here_stays_as_it_is() -> None:
    records = await recorded_until(payer, ends("delegation_started"))
    async with running(environ={}, journal=journal_of(records)) as system:
        with pytest.raises(UnknownName, match="no agent 'payer'"):
            await system.resume(records[0].run_id)
        row = await system.journal.run(records[0].run_id)
    assert row is not None
    assert (row.status, row.epoch) == ("running", 1)


async def test_calls_that_changed_code_does_not_come_to_are_in_the_sums_all_the_same() -> None:
    @mag(name="changing")
    async def before(ctx: Context) -> str:
        return await ctx.ask("one") + await ctx.ask("two")

    @mag(name="changing")
    async def after(ctx: Context) -> str:
        return await ctx.ask("three")

    records = await recorded_until(before, ends("invocation_completed"))
    outcome, row = await resumed(after, records)
    assert outcome.usage["calls"] == row.calls == 2


def test_what_was_in_flight_at_a_crash_stays_spent_after_it_was_done_again() -> None:
    records = [
        ("run_started", "", {}),
        ("invocation_started", "x/chat:1:1", {"reserved_nano_usd": 30}),
        ("run_resumed", "resumed:2", {}),
        ("invocation_started", "x/chat:1:1", {"reserved_nano_usd": 30}),
        ("invocation_completed", "x/chat:1:1", {"settled_nano_usd": 7}),
    ]
    events = [EventRow(n, 1.0, kind, op, body, 0) for n, (kind, op, body) in enumerate(records, 1)]
    assert Recorded(events).spent == 37
    assert Recorded(events[:2]).spent == 30


def test_a_policy_that_has_become_stricter_holds_for_a_run_that_goes_on() -> None:
    limit = RunLimit(50, "policy.yaml:3")
    assert limited(None, limit).limit == 50
    assert limited(100, limit).limit == 50
    assert limited(20, limit).limit == 20
