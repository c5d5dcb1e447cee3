"""However a run ends, it ends once, says why, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from runtime import BlockingContext, Context, RunOptions, mag, running, sag
from runtime.errors import Cancelled, ConfigurationError, InvalidInput
from runtime.journal import JournalFailed, MemoryJournal
from tests.authors import double, nap, run

if TYPE_CHECKING:
    from runtime.journal import Record


class Failing(MemoryJournal):
    """A journal that fails from some record on."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._left = after

    def append(self, record: Record) -> None:
        if self._left == 0:
            raise JournalFailed("the disk is full")
        self._left -= 1
        super().append(record)


@mag
async def busy(ctx: Context) -> list[Any]:
    results = await ctx.fan_out(double, range(3))
    ctx.log("half")
    answer = await ctx.ask("hello", model="echo-1")
    return [[r.reason for r in results], answer]


@pytest.mark.parametrize("after", range(14))
async def test_a_journal_that_fails_ends_the_run_with_one_clear_error(after: int) -> None:
    async with running(agents=(busy,), environ={}, journal=Failing(after)) as system:
        with pytest.raises(JournalFailed, match="the disk is full"), anyio.fail_after(60):
            await system.run(busy, options=RunOptions(budget_usd=1))
        assert [each.running for each in system.statistics().agents if each.running] == []


async def test_a_listener_that_raises_fails_no_run_and_is_called_no_more() -> None:
    heard: list[str] = []

    def listen(record: Record) -> None:
        heard.append(record.kind)
        raise ValueError("no screen")

    outcome = await run(busy, listener=listen)
    assert outcome.ok, outcome.error
    assert heard == ["run_started"]


async def test_a_run_id_is_used_once() -> None:
    async with running(agents=(nap,), environ={}) as system:
        options = RunOptions(run_id="mine")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(system.run, nap, 5, options)
            await anyio.sleep(1)
            with pytest.raises(ConfigurationError, match="run mine is under way already"):
                await system.run(nap, 5, options)
        with pytest.raises(ConfigurationError, match="run mine is in the journal already"):
            await system.run(nap, 5, options)
        (row,) = await system.journal.runs()
        assert row.status == "completed"


async def test_a_system_that_stops_ends_its_runs_with_their_terminal_records() -> None:
    journal = MemoryJournal()
    closed: list[str | None] = []

    class Closing(MemoryJournal):
        async def close(self) -> None:
            closed.extend(row.status for row in await self.runs())
            await super().close()

    journal = Closing()
    alive = 0

    @sag
    async def sleeper(ctx: Context) -> None:
        nonlocal alive
        alive += 1
        try:
            await anyio.sleep(1_000)
        finally:
            alive -= 1

    @mag
    async def main(ctx: Context) -> None:
        await ctx.fan_out(sleeper, [None] * 20)

    async def attempt() -> None:
        with pytest.raises(Cancelled, match="the system is being stopped"):
            await system.run(main)

    async with anyio.create_task_group() as tasks:
        async with running(agents=(main,), environ={}, journal=journal) as system:
            tasks.start_soon(attempt)
            tasks.start_soon(attempt)
            await anyio.sleep(1)
            assert alive == 40
        assert alive == 0
    assert closed == ["cancelled", "cancelled"]
    with pytest.raises(Cancelled):
        await system.run(main)


@pytest.mark.parametrize("payload", [object(), float("nan"), {"x": [float("inf")]}])
async def test_a_payload_that_is_no_json_is_refused(payload: Any) -> None:
    @sag
    async def takes(ctx: Context, x: Any) -> None: ...

    @mag
    async def main(ctx: Context) -> Any:
        try:
            return (await ctx.delegate(takes, payload)).reason
        except InvalidInput as error:
            return error.reason

    outcome = await run(main)
    assert outcome.output == "invalid_input", outcome.error


async def test_a_payload_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidInput, match="not JSON"):
        await run(double, endless)


@pytest.mark.parametrize("answer", [float("nan"), {"a": float("inf")}, object(), "\ud800"])
async def test_an_answer_that_the_journal_cannot_hold_is_a_failure_and_no_hang(answer: Any) -> None:
    @sag
    async def odd(ctx: Context) -> Any:
        return answer

    @mag
    async def main(ctx: Context) -> Any:
        result = await ctx.delegate(odd)
        return result.reason

    outcome = await run(main, deadline_s=5)
    if answer == "\ud800":
        assert outcome.output is None
    else:
        assert outcome.output == "invalid_output", outcome.error


async def test_a_body_that_answers_after_its_deadline_has_missed_it() -> None:
    @sag
    async def late(ctx: Context) -> str:
        with contextlib.suppress(BaseException):
            await anyio.sleep(1_000)
        return "too late"

    @mag
    async def main(ctx: Context) -> Any:
        return (await ctx.delegate(late, deadline=1)).reason

    assert (await run(main)).output == "deadline"


@pytest.mark.parametrize("per", ["delegation", "run", "process"])
async def test_children_of_a_body_that_resists_its_cancellation_end_at_once(per: Any) -> None:
    ended: list[float] = []

    @sag
    async def child(ctx: Context) -> None:
        try:
            await anyio.sleep(1_000)
        finally:
            ended.append(anyio.current_time())

    @sag(per=per)
    class Stubborn:
        async def run(self, ctx: Context) -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ctx.delegate, child)
                for _ in range(5):
                    try:
                        with anyio.CancelScope(shield=True):
                            await anyio.sleep(1_000)
                    except BaseException:  # noqa: BLE001, S110  # that is its point
                        pass

    @mag
    async def main(ctx: Context) -> Any:
        begun = anyio.current_time()
        result = await ctx.delegate(Stubborn, deadline=1)
        assert ended[0] - begun == pytest.approx(1)
        return result.reason

    outcome = await run(main)
    assert outcome.output == "deadline", outcome.error


@pytest.mark.parametrize("kind", [GeneratorExit, SystemExit])
async def test_an_agent_can_end_itself_but_not_the_process(kind: type[BaseException]) -> None:
    @sag
    async def quitter(ctx: Context) -> None:
        raise kind("bye")

    assert (await run(quitter)).reason == "exited"


async def test_a_fault_in_a_task_group_of_a_body_is_a_failure_and_no_crash() -> None:
    runs = 0

    @sag
    async def grouped(ctx: Context) -> None:
        nonlocal runs
        runs += 1
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ctx.ask, "x")
            tasks.start_soon(lambda: ctx.ask("x", model="nobody"))

    outcome = await run(grouped)
    assert (outcome.reason, runs) == ("configuration", 1)
    assert "is called 'nobody'" in (outcome.error or "")


async def test_a_crash_in_a_task_group_is_named_by_its_own_error() -> None:
    async def fail() -> None:
        raise ValueError("deep inside")

    @sag
    async def grouped(ctx: Context) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail)

    assert (await run(grouped)).error == "ValueError: deep inside"


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, ValueError])
async def test_what_is_raised_inside_running_comes_out_as_itself(kind: type[BaseException]) -> None:
    with pytest.raises(kind):  # noqa: PT012  # it is raised inside of what is tested
        async with running(agents=(nap,), environ={}) as system:
            assert (await system.run(nap, 1)).ok
            raise kind("mine")


async def test_a_deadline_of_zero_seconds_is_no_hour() -> None:
    assert (await run(nap, 5, deadline_s=0)).reason == "deadline"


async def test_a_cancelled_body_may_note_what_it_does_about_it() -> None:
    seen: list[str] = []

    @sag
    async def careful(ctx: Context) -> None:
        try:
            await anyio.sleep(100)
        finally:
            ctx.log("cleaned up")
            try:
                await ctx.delegate(double, 1)
            except Cancelled:
                seen.append("refused")

    async with running(agents=(careful,), environ={}) as system:
        outcome = await system.run(careful, None, RunOptions(deadline_s=1))
        kinds = [event.kind for event in await system.journal.events(outcome.run_id)]
    assert kinds[-1] == "run_failed"
    assert "log" in kinds
    assert seen == ["refused"]


@pytest.mark.real_time
async def test_what_a_thread_waits_for_ends_with_its_run() -> None:
    ended = anyio.Event()
    begun = anyio.Event()
    told: list[str] = []
    over = threading.Event()

    @sag
    def thread(ctx: BlockingContext) -> None:
        async def hang() -> None:
            begun.set()
            try:
                await anyio.sleep(1_000)
            finally:
                ended.set()

        try:
            from runtime.blocking import wait  # noqa: PLC0415  # what its methods are made of

            wait(ctx._context, hang)
        except Cancelled as error:
            told.append(str(error))
        over.set()

    async with running(agents=(thread,), environ={}) as system:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(system.run, thread)
            await begun.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(5):
            await ended.wait()
            await anyio.to_thread.run_sync(over.wait, 5)
    assert "was ended while it waited" in told[0]
