"""The rules of going on: crashes of a living run, doubts, money, deadlines, changed code."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from runtime import Context, ResumeOptions, mag, running, sag, skill
from runtime.approval import approval_of
from runtime.errors import ConfigurationError, LimitReached, UnknownName
from runtime.failed_before import RecordedFailure, failure_of
from runtime.journal import EventRow, MemoryJournal, Record
from runtime.recorded import Recorded, events_of
from tests.chat_server import chat_server, completion
from tests.echoes import at, catalog_of
from tests.interrupted import ends, journal_of, recorded_until, resumed

RUN = "01997f2e-0000-7000-8000-000000000001"
DONE: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    DONE.clear()


@skill(inline=True, side_effects=True)
def pay(amount: int) -> str:
    """Pay."""
    DONE.append(f"paid {amount}")
    return f"receipt {amount}"


@skill(inline=True)
def look(amount: int) -> str:
    """Look."""
    DONE.append(f"looked at {amount}")
    return f"saw {amount}"


@mag
async def payer(ctx: Context) -> list[str]:
    """Look, then pay."""
    return [await ctx.use(look, 1), await ctx.use(pay, 2), await ctx.ask("and now?")]


@pytest.mark.real_time
async def test_what_was_done_is_not_done_again() -> None:
    records = await recorded_until(payer, ends("skill_completed", "/pay:"))
    DONE.clear()
    outcome, _ = await resumed(payer, records)
    assert outcome.output == ["saw 1", "receipt 2", "and now?"]
    assert DONE == []


@pytest.mark.real_time
async def test_a_skill_with_side_effects_that_had_begun_is_in_doubt() -> None:
    records = await recorded_until(payer, ends("skill_started", "/pay:"))
    DONE.clear()
    outcome, row = await resumed(payer, records)
    assert (outcome.status, row.status, DONE) == ("waiting", "waiting", [])
    (asked,) = outcome.waits_for
    assert "pay had begun when the run was interrupted, and nobody knows" in asked.question
    assert (asked.data, asked.tool) == ({"amount": 2}, None)
    outcome, _ = await resumed(payer, records, ResumeOptions(retry_in_doubt=True))
    assert (outcome.output, DONE) == (["saw 1", "receipt 2", "and now?"], ["paid 2"])


@pytest.mark.real_time
@pytest.mark.parametrize("approved", [True, False])
async def test_whether_it_is_used_again_people_decide_after_each_interruption(
    approved: bool,
) -> None:
    records = await recorded_until(payer, ends("skill_started", "/pay:"))
    DONE.clear()
    run_id = records[0].run_id
    async with running(agents=(payer,), environ={}, journal=journal_of(records)) as system:
        (asked,) = (await system.resume(run_id)).waits_for
        decide = system.approve if approved else system.deny
        await decide(run_id, asked.ticket, "I have looked", by="anna@here")
        outcome = await system.resume(run_id)
        kinds = [event.kind async for event in events_of(system.journal, run_id)]
    if approved:
        assert (outcome.output, DONE) == (["saw 1", "receipt 2", "and now?"], ["paid 2"])
    else:
        assert (outcome.reason, DONE) == ("in_doubt", [])
        assert "and anna@here has denied it: I have looked" in (outcome.error or "")
    assert kinds.count("approval_requested") == 1


@pytest.mark.real_time
async def test_a_general_approval_of_the_tool_is_none_of_using_it_again() -> None:
    records = await recorded_until(payer, ends("skill_started", "/pay:"))
    outcome, _ = await resumed(payer, records, ResumeOptions(approve=approval_of(["*"])))
    assert outcome.status == "waiting"


@pytest.mark.real_time
async def test_a_use_that_is_approved_and_interrupted_once_more_is_asked_about_once_more() -> None:
    records = await recorded_until(payer, ends("skill_started", "/pay:"))
    started = records[-1]
    step = f"{started.op}/again:1"
    asked = Record(started.run_id, "approval_requested", step, {"ticket": "t"}, 2.0)
    yes = Record(started.run_id, "approval_decided", step, {"approved": True, "by": "a"}, 3.0)
    outcome, _ = await resumed(payer, [*records, asked, yes, started._replace(at=4.0)])
    assert outcome.status == "waiting"
    outcome, _ = await resumed(payer, [*records, asked, yes])
    assert outcome.ok


@pytest.mark.real_time
async def test_a_skill_without_side_effects_that_had_begun_is_used_once_more() -> None:
    records = await recorded_until(payer, ends("skill_started", "/look:"))
    DONE.clear()
    outcome, _ = await resumed(payer, records)
    assert outcome.ok, outcome.error
    assert DONE == ["looked at 1", "paid 2"]


@pytest.mark.real_time
async def test_money_that_was_spent_and_what_was_in_flight_count_against_the_budget() -> None:
    records = [
        Record(RUN, "run_started", "", {
            "target": "payer", "agent": "payer", "input": None, "budget_nano_usd": 100,
            "deadline_s": None, "trace_id": "0" * 31 + "1",
        }, 1.0),
        Record(RUN, "invocation_started", "x/chat:1:1", {"reserved_nano_usd": 30}, 1.0),
        Record(RUN, "invocation_retried", "x/chat:1:1", {"reserved_nano_usd": 30}, 1.0),
        Record(RUN, "invocation_started", "x/chat:2:1", {"reserved_nano_usd": 50}, 1.0),
        Record(RUN, "invocation_completed", "x/chat:2:1", {"settled_nano_usd": 7}, 1.0, 7),
    ]  # fmt: skip
    journal = MemoryJournal()
    for record in records:
        journal.append(record)
    found = Recorded(await journal.events(RUN))
    assert found.spent == 67
    assert found.in_flight() == ["x/chat:1:1"]


@pytest.mark.real_time
async def test_steps_that_the_code_does_not_come_to_any_more_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    records = await recorded_until(payer, ends("skill_completed", "/look:"))

    @mag(name="payer")
    async def changed(ctx: Context) -> list[str]:
        return [await ctx.ask("something else")]

    with caplog.at_level(logging.WARNING):
        outcome, _ = await resumed(changed, records)
    assert outcome.output == ["something else"]
    assert "1 recorded steps were not used again" in caplog.text


@pytest.mark.real_time
async def test_what_was_in_flight_is_named_when_it_is_done_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    records = await recorded_until(payer, ends("skill_started", "/look:"))
    with caplog.at_level(logging.INFO):
        await resumed(payer, records)
    (told,) = (record for record in caplog.records if "were in flight" in record.getMessage())
    assert "1 steps were in flight, and are done again" in told.getMessage()
    assert told.__dict__["steps"] == [records[-1].op]


@pytest.mark.real_time
async def test_only_a_run_that_died_is_resumed() -> None:
    records = await recorded_until(payer, lambda _: False)
    DONE.clear()
    with pytest.raises(ConfigurationError, match="is over: completed"):
        await resumed(payer, records)
    async with running(agents=(payer,), environ={}) as system:
        with pytest.raises(UnknownName):
            await system.resume("nobody")


@pytest.mark.real_time
async def test_it_gets_the_time_that_it_had_left() -> None:
    records = await recorded_until(payer, ends("skill_completed", "/look:"))
    late = [
        Record(r.run_id, r.kind, r.op, r.body, r.at + (3_601 if n else 0), r.cost_nano_usd)
        for n, r in enumerate(records)
    ]
    with pytest.raises(LimitReached, match=r"used up its time, 3601 s; resume with --deadline"):
        await resumed(payer, late)
    for deadline in ("extend", 60):
        outcome, _ = await resumed(payer, late, ResumeOptions(deadline=deadline))
        assert outcome.ok


@pytest.mark.real_time
async def test_new_limits_hold_for_the_next_owner_too() -> None:
    records = await recorded_until(payer, ends("skill_completed", "/look:"))
    late = [r._replace(at=r.at + (3_601 if n else 0)) for n, r in enumerate(records)]
    journal, run_id = journal_of(late), records[0].run_id
    async with running(agents=(payer,), environ={}, journal=journal) as system:
        await system.resume(run_id, ResumeOptions(deadline=60, budget_usd=0.5))
        again = Recorded(await journal.events(run_id))
    assert 3_661 - again.used_s - 1 < again.time_left(0) <= 3_661 - again.used_s + 1
    assert again.budget_nano_usd == 500_000_000


@pytest.mark.real_time
async def test_a_run_whose_budget_is_spent_is_left_as_it_is_until_it_gets_more() -> None:
    records = await recorded_until(payer, ends("skill_completed", "/look:"))
    poor = [records[0]._replace(body=records[0].body | {"budget_nano_usd": 100}), *records[1:]]
    spent = {"reserved_nano_usd": 100}
    poor.append(records[-1]._replace(kind="invocation_started", op="x/chat:1:1", body=spent))
    journal, run_id = journal_of(poor), records[0].run_id
    async with running(agents=(payer,), environ={}, journal=journal) as system:
        for options in (ResumeOptions(), ResumeOptions(budget_usd=1e-7)):
            with pytest.raises(LimitReached, match="may cost 1e-07 USD, and has cost 1e-07"):
                await system.resume(run_id, options)
        outcome = await system.resume(run_id, ResumeOptions(budget_usd=1))
    assert outcome.ok


# --- a body that crashes in a living run ---------------------------------------------------------

ATTEMPTS: list[int] = []


@sag
async def crashes_once(ctx: Context) -> list[str]:
    """Ask, pay, crash the first time, ask again."""
    first = await ctx.ask("before the crash")
    receipt = await ctx.use(pay, 5)
    ATTEMPTS.append(1)
    if len(ATTEMPTS) == 1:
        raise ZeroDivisionError
    return [first, receipt, await ctx.ask("after the crash")]


@mag
async def above(ctx: Context) -> list[str]:
    """Delegate."""
    return (await ctx.delegate(crashes_once)).unwrap()


@pytest.mark.real_time
async def test_a_body_that_crashed_goes_on_from_its_steps_and_pays_nothing_twice() -> None:
    ATTEMPTS.clear()
    asked: list[str] = []

    def answer(body: dict[str, Any]) -> Any:
        asked.append(body["messages"][-1]["content"])
        return completion(f"<{asked[-1]}>")

    with chat_server(answer) as server:
        catalog = catalog_of({"home": at(server.url)})
        async with running(catalog, agents=(above, crashes_once), environ={}) as system:
            outcome = await system.run(above)
    assert outcome.output == ["<before the crash>", "receipt 5", "<after the crash>"]
    assert asked == ["before the crash", "after the crash"]
    assert (DONE, outcome.usage["calls"]) == (["paid 5"], 2)


@sag
async def fails_once(ctx: Context) -> str:
    """Use a skill that fails the first time, and crash of it."""
    return await ctx.use(flaky)


@skill(inline=True)
def flaky() -> str:
    """Fail the first time."""
    DONE.append("tried")
    if len(DONE) == 1:
        raise ZeroDivisionError("the first time")
    return "well"


@mag
async def above_flaky(ctx: Context) -> str:
    """Delegate."""
    return (await ctx.delegate(fails_once)).unwrap()


@pytest.mark.real_time
async def test_what_failed_in_a_living_run_is_tried_again() -> None:
    async with running(agents=(above_flaky, fails_once), environ={}) as system:
        outcome = await system.run(above_flaky)
    assert (outcome.output, DONE) == ("well", ["tried", "tried"])


def test_a_failure_is_raised_as_the_class_that_it_was_where_that_is_known() -> None:
    def failed(name: str, **body: Any) -> Exception:
        said = {"error": "e", "error_class": name, **body}
        return failure_of(EventRow(1, 1.0, "skill_failed", "op", said, 0))

    assert type(failed("ValueError")) is ValueError
    assert type(failed("RateLimitError", attempts=2)).__name__ == "RateLimitError"
    assert type(failed("DeadlineExceeded")).__name__ == "DeadlineExceeded"
    unknown = failed("MyError")
    assert isinstance(unknown, RecordedFailure)
    assert (type(unknown).__name__, str(unknown)) == ("MyError", "e")
    assert [str(failed(name)) for name in ("KeyError", "UnicodeDecodeError")] == ["e", "e"]
    assert type(failed("ExceptionGroup")).__name__ == "ExceptionGroup"
    assert vars(failed("AuthFailed", details={"http_status": 401}))["http_status"] == 401
