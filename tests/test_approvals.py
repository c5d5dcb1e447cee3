"""People are asked: the run parks without a task, and goes on with what they have decided."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime import BlockingContext, Context, RunOptions, mag, running, sag, skill
from runtime.approval import ApprovalRequest, Decision, ticket_of
from runtime.conduct import Conduct
from runtime.errors import ConfigurationError, UnknownName
from runtime.journal import MemoryJournal
from tests.resumable import events_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime import System
    from runtime.run import Run

DONE: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    DONE.clear()


@sag
async def publisher(ctx: Context, text: str) -> str:
    """Ask before it publishes."""
    decision = await ctx.approve(f"May I publish {text}?", {"text": text})
    return f"{text}: {bool(decision)}, {decision.comment}"


@sag
async def asker(ctx: Context, number: int) -> str:
    """Ask a model."""
    DONE.append(f"asker {number}")
    return await ctx.ask(f"question {number}")


@mag
async def editor(ctx: Context) -> list[str]:
    """Have both work side by side."""
    first = await ctx.ask("first")
    results = await ctx.fan_out(publisher, ["a", "b"])
    others = await ctx.fan_out(asker, [1])
    return [first, *(each.unwrap() for each in (*results, *others))]


@mag
async def alone(ctx: Context) -> str:
    """Ask, and do as told."""
    decision = await ctx.approve("May I?")
    return f"{decision}" if decision else f"no: {decision.comment}"


@pytest.fixture
async def journal() -> AsyncIterator[MemoryJournal]:
    one = MemoryJournal()
    yield one
    await one.close()


def system_of(journal: MemoryJournal, *agents: Any) -> Any:
    class Lasting(MemoryJournal):
        """Kept from one system to the next, as a file is."""

        async def close(self) -> None:
            pass

    journal.__class__ = Lasting
    return running(agents=agents, environ={}, journal=journal)


async def kinds_of(journal: MemoryJournal, run_id: str) -> Counter[str]:
    return Counter(event.kind for event in await events_of(journal, run_id))


async def test_a_run_that_only_waits_is_parked_and_goes_on_in_another_process(
    journal: MemoryJournal,
) -> None:
    agents = (editor, publisher, asker)
    async with system_of(journal, *agents) as system:
        parked = await system.run(editor, None, RunOptions(run_id="one"))
        assert (parked.status, parked.exit_code, parked.ok) == ("waiting", 5, False)
        asked = parked.waits_for
        assert [(each.agent, each.question, each.data) for each in asked] == [
            ("publisher", "May I publish a?", {"text": "a"}),
            ("publisher", "May I publish b?", {"text": "b"}),
        ]
        tickets = [each.ticket for each in asked]
        assert [each.ticket for each in await system.approvals()] == tickets
        row = await journal.run("one")
        assert row is not None
        assert (row.status, row.is_over) == ("waiting", False)
    async with system_of(journal, *agents) as system:
        await system.approve("one", asked[0].ticket, "well done", by="anna@here")
        half = await system.resume("one")
        assert [each.ticket for each in half.waits_for] == [asked[1].ticket]
    async with system_of(journal, *agents) as system:
        await system.deny("one", asked[1].ticket[:4], "not that")
        done = await system.resume("one")
    assert done.output == ["first", "a: True, well done", "b: False, not that", "question 1"]
    kinds = await kinds_of(journal, "one")
    asked_and_decided = kinds["approval_requested"], kinds["approval_decided"]
    assert (*asked_and_decided, kinds["run_waiting"]) == (2, 2, 2)
    assert (kinds["invocation_started"], done.usage["calls"]) == (2, 2)
    assert DONE == ["asker 1"]


async def test_other_branches_go_on_while_somebody_is_asked() -> None:
    @mag(name="both")
    async def both(ctx: Context) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ctx.delegate, publisher, "a")
            await anyio.sleep(0.05)
            for number in range(3):
                await ctx.delegate(asker, number)

    async with running(agents=(both, publisher, asker), environ={}) as system:
        outcome = await system.run(both)
    assert outcome.status == "waiting"
    assert DONE == ["asker 0", "asker 1", "asker 2"]


async def decide_when_asked(system: System, run_id: str, *, approved: bool = True) -> None:
    while True:
        await anyio.sleep(0.1)
        for request in await system.approvals():
            decide = system.approve if approved else system.deny
            await decide(run_id, request.ticket, "at once", by="anna@here")
            return


async def test_a_decision_that_comes_while_the_run_is_at_work_is_taken_without_parking(
    journal: MemoryJournal,
) -> None:
    @mag(name="busy")
    async def busy(ctx: Context) -> str:
        said: list[str] = []

        async def ask() -> None:
            said.append(str(await ctx.approve("May I?")))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await ctx.use(long_work)
        return said[0]

    @skill
    async def long_work() -> None:
        await anyio.sleep(30)

    async with system_of(journal, busy) as system, anyio.create_task_group() as tasks:
        tasks.start_soon(decide_when_asked, system, "one")
        outcome = await system.run(busy, None, RunOptions(run_id="one"))
    assert outcome.output == "anna@here has approved it: at once"
    assert (await kinds_of(journal, "one"))["run_waiting"] == 0


async def test_a_decision_that_comes_before_the_code_has_come_there_again_is_kept(
    journal: MemoryJournal,
) -> None:
    @mag(name="slow-to-ask")
    async def slow_to_ask(ctx: Context) -> str:
        await anyio.sleep(5)
        return str(await ctx.approve("May I?"))

    async with system_of(journal, slow_to_ask) as system, anyio.create_task_group() as tasks:
        parked = await system.run(slow_to_ask, None, RunOptions(run_id="one"))
        found: list[Any] = []

        async def resume() -> None:
            found.append(await system.resume("one"))

        tasks.start_soon(resume)
        await anyio.sleep(2)
        await system.approve("one", parked.waits_for[0].ticket, by="anna@here")
    assert found[0].output == "anna@here has approved it"
    assert (await kinds_of(journal, "one"))["run_waiting"] == 1


async def test_whoever_is_handed_a_decision_counts_as_at_work_until_it_goes_on() -> None:
    conduct = Conduct()
    conduct.began()
    asked = [conduct.ask(op, parked_request(op)) for op in ("a", "b")]
    conduct.ended()
    assert conduct.may_park
    conduct.decide("a", Decision(approved=True, by="anna@here", at=1.0))
    assert not conduct.may_park
    conduct.take_back("a", asked[0])
    assert conduct.may_park
    conduct.take_back("b", asked[1])
    assert not conduct.may_park


def parked_request(op: str) -> ApprovalRequest:
    body = {"ticket": ticket_of(op), "agent": "a", "task_id": "t", "question": "May I?"}
    return ApprovalRequest.of_body("one", 1.0, body)


async def test_whoever_starts_a_run_may_answer_at_once() -> None:
    async def approve(wish: ApprovalRequest) -> bool | None:
        return wish.question == "May I?"

    async with running(agents=(alone,), environ={}) as system:
        outcome = await system.run(alone, None, RunOptions(approve=approve))
    assert outcome.ok
    assert "has approved it: as the run was started" in outcome.output


async def test_a_question_is_decided_once_and_a_second_decision_hears_by_whom(
    journal: MemoryJournal,
) -> None:
    async with system_of(journal, alone) as system:
        (asked,) = (await system.run(alone, None, RunOptions(run_id="one"))).waits_for
        with pytest.raises(UnknownName, match=f"no question 'zzz'; open are: {asked.ticket}"):
            await system.approve("one", "zzz")
        with pytest.raises(UnknownName, match=f"no question ''; open are: {asked.ticket}"):
            await system.approve("one", "")
        with pytest.raises(UnknownName, match="no run 'two'"):
            await system.approve("two", asked.ticket)
        await system.deny("one", asked.ticket, "never", by="anna@here")
        again = "is decided already: anna@here has denied it: never"
        with pytest.raises(ConfigurationError, match=again):
            await system.approve("one", asked.ticket)
        assert (await system.resume("one")).output == "no: never"
        with pytest.raises(ConfigurationError, match="is over: completed; nobody waits"):
            await system.approve("one", asked.ticket)


async def test_of_two_that_decide_at_once_one_does(journal: MemoryJournal) -> None:
    async with system_of(journal, alone) as system:
        (asked,) = (await system.run(alone, None, RunOptions(run_id="one"))).waits_for
        told: list[str] = []

        async def decide(by: str) -> None:
            try:
                await system.approve("one", asked.ticket, by=by)
            except ConfigurationError as error:
                told.append(str(error))

        async with anyio.create_task_group() as tasks:
            for by in ("anna@here", "bert@there"):
                tasks.start_soon(decide, by)
        done = await system.resume("one")
    assert len(told) == 1
    assert done.output in told[0]


async def test_a_decision_that_is_too_late_counts_as_a_no(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000.0]
    monkeypatch.setattr("runtime.launch.wall_clock", lambda: now[0])

    @mag(name="hasty")
    async def hasty(ctx: Context) -> str:
        return str(await ctx.approve("May I?", expires=60))

    async with system_of(journal, hasty) as system:
        (asked,) = (await system.run(hasty, None, RunOptions(run_id="one"))).waits_for
        assert asked.expires_at == 1_060.0
        now[0] += 61
        assert await system.approvals() == []
        with pytest.raises(ConfigurationError, match="has expired: it counts as denied"):
            await system.approve("one", asked.ticket)
        done = await system.resume("one")
    assert done.output == "the clock has denied it: nobody has decided in time"


async def test_time_in_which_a_run_is_parked_does_not_count_for_its_deadline(
    journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000.0]
    monkeypatch.setattr("runtime.launch.wall_clock", lambda: now[0])

    @mag(name="timed")
    async def timed(ctx: Context) -> bool:
        await ctx.approve("May I?")
        return 50 < ctx.deadline <= 60

    async with system_of(journal, timed) as system:
        parked = await system.run(timed, None, RunOptions(run_id="one", deadline_s=60))
        now[0] += 100_000
        await system.approve("one", parked.waits_for[0].ticket)
        now[0] += 100_000
        assert (await system.resume("one")).output is True


async def test_a_run_that_has_asked_people_is_replayed_with_what_they_decided(
    journal: MemoryJournal,
) -> None:
    async with system_of(journal, editor, publisher, asker) as system:
        outcome = await system.run(editor, None, RunOptions(run_id="one"))
        while outcome.status == "waiting":
            with pytest.raises(ConfigurationError, match="is not over: waiting"):
                await system.replay("one")
            await system.approve("one", outcome.waits_for[0].ticket)
            outcome = await system.resume("one")
        replayed = await system.replay("one")
    assert replayed.difference is None
    assert replayed.steps == 8  # four delegations, two questions to models, two to people


async def test_a_crash_of_who_has_asked_asks_nobody_twice(journal: MemoryJournal) -> None:
    @sag(name="shaky")
    async def shaky(ctx: Context) -> str:
        decision = await ctx.approve("May I?")
        DONE.append("tried")
        if len(DONE) == 1:
            raise ZeroDivisionError
        return str(decision)

    @mag(name="above")
    async def above(ctx: Context) -> str:
        return (await ctx.delegate(shaky)).unwrap()

    async with system_of(journal, above, shaky) as system:
        parked = await system.run(above, None, RunOptions(run_id="one"))
        await system.approve("one", parked.waits_for[0].ticket, by="anna@here")
        done = await system.resume("one")
    assert (done.output, len(DONE)) == ("anna@here has approved it", 2)
    assert (await kinds_of(journal, "one"))["approval_requested"] == 1


async def test_agents_that_keep_state_and_skills_that_ask_park_too(journal: MemoryJournal) -> None:
    @skill
    async def careful(ctx: Context, text: str) -> str:
        return f"{text} {bool(await ctx.approve('May the skill?'))}"

    @sag(per="run")
    class Notebook:
        def __init__(self) -> None:
            self.notes = 0

        async def run(self, ctx: Context, note: str) -> str:
            self.notes += 1
            return f"{self.notes} {await ctx.use(careful, note)}"

    @mag(name="writes")
    async def writes(ctx: Context) -> list[str]:
        return [each.unwrap() for each in await ctx.fan_out(Notebook, ["a", "b"])]

    async with system_of(journal, writes, Notebook) as system:
        outcome = await system.run(writes, None, RunOptions(run_id="one"))
        for _ in range(2):
            assert outcome.status == "waiting"
            await system.approve("one", outcome.waits_for[0].ticket)
            outcome = await system.resume("one")
    assert outcome.output == ["1 a True", "2 b True"]


@pytest.mark.real_time
async def test_plain_code_in_a_thread_asks_and_parks_too(journal: MemoryJournal) -> None:
    @mag(name="plain")
    def plain(ctx: BlockingContext) -> str:
        return str(ctx.approve("May I?", expires=1_000))

    async with system_of(journal, plain) as system:
        parked = await system.run(plain, None, RunOptions(run_id="one"))
        await system.approve("one", parked.waits_for[0].ticket, by="anna@here")
        assert (await system.resume("one")).output == "anna@here has approved it"


async def test_a_thousand_parked_runs_leave_nothing_in_a_process_that_lives_on(
    journal: MemoryJournal,
) -> None:
    runs: list[weakref.ref[Run]] = []

    @mag(name="many")
    async def many(ctx: Context) -> None:
        runs.append(weakref.ref(ctx._activation.run))
        await ctx.approve("May I?")

    async with system_of(journal, many) as system:
        before = anyio.get_running_tasks()
        async with anyio.create_task_group() as tasks:
            for number in range(1_000):
                tasks.start_soon(system.run, many, None, RunOptions(run_id=f"run-{number}"))
        await anyio.sleep(1)
        assert len(await system.approvals()) == len(runs) == 1_000
        (agent,) = system.statistics().agents
        assert (agent.running, agent.waiting, agent.supervision.active) == (0, 0, 0)
        assert len(anyio.get_running_tasks()) <= len(before) + 1  # one listens for all runs
        gc.collect()
        assert [run for run in runs if run() is not None] == []
