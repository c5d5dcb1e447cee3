"""What every engine promises to the agents above it: the same tests, on one process and on NATS."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import pytest

from runtime import Context, RunOptions, mag, running, sag, skill
from runtime.agent import Limits
from runtime.backoff import NO_DELAY
from runtime.errors import InvalidInput
from runtime.messages import Delegation
from tests.authors import Point, boom, double, mirror
from tests.clustering import cluster, settings_of
from tests.echoes import CENT, catalog_of, price, provider
from tests.nats_server import new_name, shared_server
from tests.stores import place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from runtime import Agent
    from runtime.system import System

pytestmark = pytest.mark.real_time
USUAL = Limits(backoff=NO_DELAY)
LATE_S = 0.3


@sag(per="run")
class Counting:
    def __init__(self) -> None:
        self.count = 0

    async def run(self, ctx: Context) -> int:
        del ctx
        self.count += 1
        return self.count


class Engines(NamedTuple):
    """Opens systems on one engine.

    Attributes:
        name: the engine's.
        where: the journal that all processes of a cluster share.
    """

    name: str
    where: str

    def open(self, *agents: Agent | tuple[Agent, Limits]) -> AbstractAsyncContextManager[System]:
        """Open a system with some agents; over NATS, the client of two nodes."""
        limits = dict(each if isinstance(each, tuple) else (each, USUAL) for each in agents)
        catalog = catalog_of({"home": provider("echo-1")}, prices={"home/echo-1": price(CENT)})
        if self.name == "local":
            return _local(limits, catalog)
        settings = settings_of(shared_server().url, new_name())
        spread = self.name == "nats"
        return cluster(settings, self.where, limits, catalog=catalog, spread=spread)


@asynccontextmanager
async def _local(agents: dict[Agent, Limits], catalog: Any) -> AsyncIterator[System]:
    async with running(catalog, environ={}) as system:
        for agent, limits in agents.items():
            system.directory.add_agent(agent, limits)
        yield system


@pytest.fixture(params=["local", "nats over sqlite", "nats over postgres", "nats near over sqlite"])
def engines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engines]:
    name, _, store = request.param.partition(" over ")
    with place(store or "memory", tmp_path) as where:
        yield Engines(name, where)


async def test_answers_come_back_typed_and_in_the_order_of_the_questions(engines: Engines) -> None:
    @mag
    async def chief(ctx: Context) -> list[int]:
        points = [Point(x=n, y=-n) for n in range(20)]
        found = [result.unwrap() for result in await ctx.fan_out(mirror, points)]
        assert all(isinstance(point, Point) for point in found)
        return [point.y for point in found]

    async with engines.open(chief, mirror) as system:
        outcome = await system.run(chief)
    assert outcome.value == [*range(20)]


async def test_a_body_that_crashes_once_is_started_again(engines: Engines) -> None:
    begun = Counter[int]()

    @sag
    async def shaky(ctx: Context, n: int) -> int:
        del ctx
        begun[n] += 1
        if begun[n] == 1:
            raise ValueError("not yet")
        return n

    @mag
    async def chief(ctx: Context) -> list[Any]:
        result = await ctx.delegate(shaky, 7)
        return [result.unwrap(), result.metrics["attempts"]]

    async with engines.open(chief, shaky) as system:
        outcome = await system.run(chief)
    assert outcome.value == [7, 2]


async def test_a_crash_is_a_failed_result_once_the_restarts_are_used_up(engines: Engines) -> None:
    @mag
    async def chief(ctx: Context) -> list[Any]:
        result = await ctx.delegate(boom)
        return [result.ok, result.reason, result.error, result.metrics["attempts"]]

    async with engines.open(chief, boom) as system:
        outcome = await system.run(chief)
    assert outcome.value == [False, "crashed", "ValueError: boom", 2]


async def test_what_a_crashed_body_had_delegated_goes_on_from_its_own_steps(
    engines: Engines,
) -> None:
    used, begun, stepped = Counter[str](), Counter[str](), anyio.Event()

    @skill
    def note(what: str) -> str:
        used[what] += 1
        return what

    @sag
    async def below(ctx: Context) -> str:
        begun["below"] += 1
        said: str = await ctx.use(note, "below")
        return said

    @sag
    async def child(ctx: Context) -> list[str]:
        begun["child"] += 1
        noted = [await ctx.use(note, "child"), (await ctx.delegate(below)).unwrap()]
        if begun["child"] == 1:
            stepped.set()
            await anyio.sleep_forever()
        return noted

    @mag
    async def chief(ctx: Context) -> Any:
        begun["chief"] += 1
        if begun["chief"] > 1:
            return (await ctx.delegate(child)).unwrap()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ctx.delegate, child)
            await stepped.wait()
            raise ValueError("not yet")

    async with engines.open(chief, child, below) as system:
        outcome = await system.run(chief, options=RunOptions(deadline_s=30))
    assert outcome.value == ["child", "below"]
    assert begun == {"chief": 2, "child": 2, "below": 1}
    assert used == {"child": 1, "below": 1}


async def test_a_failure_on_purpose_is_told_in_its_own_words(engines: Engines) -> None:
    @sag
    async def picky(ctx: Context, n: int) -> int:
        del ctx
        raise InvalidInput(f"{n} is too much")

    @mag
    async def chief(ctx: Context) -> list[Any]:
        result = await ctx.delegate(picky, 3)
        return [result.reason, result.error, result.metrics["attempts"]]

    async with engines.open(chief, picky) as system:
        outcome = await system.run(chief)
    assert outcome.value == ["invalid_input", "3 is too much", 1]


async def test_input_of_another_type_reaches_nobody(engines: Engines) -> None:
    @mag
    async def chief(ctx: Context) -> list[Any]:
        result = await ctx.delegate(double, "no number")
        return [result.reason, result.metrics["attempts"]]

    async with engines.open(chief, double) as system:
        outcome = await system.run(chief)
    assert outcome.value == ["invalid_input", 0]


async def test_a_deadline_ends_a_body_and_its_asker_hears_of_it(engines: Engines) -> None:
    ended = anyio.Event()

    @sag
    async def slow(ctx: Context) -> int:
        del ctx
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    @mag
    async def chief(ctx: Context) -> list[Any]:
        result = await ctx.delegate(slow, deadline=LATE_S)
        return [result.ok, result.reason]

    async with engines.open(chief, slow) as system:
        outcome = await system.run(chief)
        with anyio.fail_after(5):
            await ended.wait()
    assert outcome.value == [False, "deadline"]


async def test_who_is_first_ends_the_others(engines: Engines) -> None:
    begun, ended = anyio.Event(), anyio.Event()

    @sag
    async def slow(ctx: Context, n: int) -> int:
        del ctx
        begun.set()
        try:
            await anyio.sleep(60)
        finally:
            ended.set()
        return n

    @sag
    async def quick(ctx: Context, n: int) -> int:
        del ctx
        await begun.wait()  # who has not begun by then never does, and has nothing to end
        return n * 2

    @mag
    async def chief(ctx: Context) -> int:
        return (await ctx.first([slow, quick], 21)).unwrap()

    async with engines.open(chief, slow, quick) as system:
        outcome = await system.run(chief)
        with anyio.fail_after(5):
            await ended.wait()
    assert outcome.value == 42


async def test_a_run_that_is_cancelled_ends_all_its_bodies(engines: Engines) -> None:
    begun, ended = anyio.Event(), anyio.Event()

    @sag
    async def endless(ctx: Context) -> int:
        del ctx
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    @mag
    async def chief(ctx: Context) -> int:
        return (await ctx.delegate(endless)).unwrap()

    async with engines.open(chief, endless) as system, anyio.create_task_group() as tasks:
        outcomes = []

        async def run() -> None:
            outcomes.append(await system.run(chief, options=RunOptions(run_id="to-cancel")))

        tasks.start_soon(run)
        with anyio.fail_after(20):
            await begun.wait()
            await system.cancel("to-cancel", "enough")
            await ended.wait()
    assert outcomes[0].status == "cancelled"


async def test_a_client_that_is_cancelled_ends_its_run(engines: Engines) -> None:
    begun, ended = anyio.Event(), anyio.Event()

    @mag
    async def endless(ctx: Context) -> int:
        del ctx
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with engines.open(endless) as system:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(system.run, endless, None, RunOptions(run_id="given-up"))
            with anyio.fail_after(20):
                await begun.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(20):
            await ended.wait()
            await system.journal.flush()
            row = await system.journal.run("given-up")
            while row is None or not row.is_over:
                await anyio.sleep(0.05)
                row = await system.journal.run("given-up")
    assert row.status == "cancelled"


async def test_no_process_runs_more_bodies_of_an_agent_than_its_limit(engines: Engines) -> None:
    at_work, most = Counter[int](), Counter[int]()

    @sag
    async def counted(ctx: Context, n: int) -> int:
        system = id(ctx._services)
        at_work[system] += 1
        most[system] = max(most[system], at_work[system])
        await anyio.sleep(0.05)
        at_work[system] -= 1
        return n

    @mag
    async def chief(ctx: Context) -> int:
        return sum(r.unwrap() for r in await ctx.fan_out(counted, [*range(16)]))

    async with engines.open(chief, (counted, Limits(concurrency=2))) as system:
        outcome = await system.run(chief)
    assert outcome.value == sum(range(16))
    assert set(most.values()) == {2}
    assert len(most) == (1 if engines.name == "local" else 2)  # each node had a part of it


async def test_senders_wait_while_a_queue_is_full(engines: Engines) -> None:
    @sag
    async def quick(ctx: Context, n: int) -> int:
        del ctx
        await anyio.sleep(0.005)
        return n

    @mag
    async def chief(ctx: Context) -> int:
        return sum(r.unwrap() for r in await ctx.fan_out(quick, [*range(50)]))

    async with engines.open(chief, (quick, Limits(concurrency=2, mailbox=3))) as system:
        outcome = await system.run(chief)
    assert outcome.value == sum(range(50))


async def test_an_agent_that_waits_for_itself_does_not_block_its_own_place(
    engines: Engines,
) -> None:
    @sag
    async def down(ctx: Context, n: int) -> int:
        return 0 if n == 0 else 1 + (await ctx.delegate("down", n - 1)).unwrap()

    async with engines.open((down, Limits(concurrency=1))) as system:
        outcome = await system.run(down, 5)
    assert outcome.value == 5


async def test_an_agent_keeps_its_state_for_the_whole_run_whoever_asks(engines: Engines) -> None:
    @sag
    async def asker(ctx: Context, n: int) -> int:
        del n
        return (await ctx.delegate("counting")).unwrap()

    @mag
    async def chief(ctx: Context) -> list[int]:
        first = (await ctx.delegate("counting")).unwrap()
        others = [r.unwrap() for r in await ctx.fan_out(asker, [*range(8)])]
        return [first, *sorted(others)]

    async with engines.open(chief, asker, Counting) as system:
        outcomes = [await system.run(chief) for _ in range(2)]
    assert [outcome.value for outcome in outcomes] == [[*range(1, 10)]] * 2


async def test_a_recursion_is_deeper_and_wider_than_what_may_wait(engines: Engines) -> None:
    @sag
    async def tree(ctx: Context, depth: int) -> int:
        if not depth:
            return 1
        return sum(r.unwrap() for r in await ctx.fan_out(tree, [depth - 1] * 3))

    @mag
    async def chief(ctx: Context) -> int:
        return (await ctx.delegate(tree, 3)).unwrap()

    async with engines.open(chief, (tree, Limits(concurrency=1, mailbox=1))) as system:
        outcome = await system.run(chief, options=RunOptions(deadline_s=30))
    assert outcome.value == 27


async def test_who_waits_for_room_and_then_needs_none_leaves_it_to_the_next(
    engines: Engines,
) -> None:
    go = anyio.Event()

    @sag
    async def slow(ctx: Context, n: int) -> int:
        del ctx
        await go.wait()
        return n

    @mag
    async def chief(ctx: Context) -> list[str | None]:
        reasons: list[str | None] = []

        async def ask(given: Any) -> None:
            reasons.append((await ctx.delegate(slow, given)).reason)

        async with anyio.create_task_group() as tasks:
            for given in (1, 2, 3, "no", "no", "no", 4):
                tasks.start_soon(ask, given)
            await anyio.sleep(0.1)
            go.set()
        return sorted(reasons, key=str)

    async with engines.open(chief, (slow, Limits(concurrency=1, mailbox=1))) as system:
        outcome = await system.run(chief, options=RunOptions(deadline_s=20))
    assert outcome.value == [None] * 4 + ["invalid_input"] * 3


async def test_an_agent_has_its_state_again_when_its_run_goes_on(engines: Engines) -> None:
    @sag
    async def asker(ctx: Context, n: int) -> int:
        await ctx.ask(f"May {n} be asked?")
        return (await ctx.delegate("counting")).unwrap()

    @mag
    async def chief(ctx: Context) -> list[int]:
        first = await ctx.delegate(asker, 1)
        await ctx.approve("May I go on?")
        others = first, await ctx.delegate(asker, 2)
        return [value for each in others for value in (each.unwrap(), each.metrics["calls"])]

    async with engines.open(chief, asker, Counting) as system:
        parked = await system.run(chief)
        (request,) = parked.waits_for
        await system.approve(parked.run_id, request.ticket)
        outcome = await system.resume(parked.run_id)
    assert outcome.value == [1, 1, 2, 1]
    assert outcome.usage["calls"] == 2


async def test_what_bodies_ask_of_models_is_counted_once_for_all_above_them(
    engines: Engines,
) -> None:
    @sag
    async def leaf(ctx: Context, n: int) -> str:
        return await ctx.ask(f"leaf {n}")

    @sag
    async def branch(ctx: Context, n: int) -> str:
        inner = (await ctx.delegate(leaf, n)).unwrap()
        return await ctx.ask(f"branch {n} {inner}")

    @mag
    async def chief(ctx: Context) -> int:
        results = await ctx.fan_out(branch, [*range(5)])
        await ctx.ask("all together")
        return sum(r.metrics["calls"] for r in results)

    async with engines.open(chief, branch, leaf) as system:
        outcome = await system.run(chief)
        await system.journal.flush()
        row = await system.journal.run(outcome.run_id)
    assert row is not None
    assert outcome.value == 10
    assert outcome.usage["calls"] == row.calls == 11
    assert outcome.cost_usd is not None
    assert outcome.cost_usd > 0


async def test_a_task_has_a_name_that_no_other_task_of_its_run_has(engines: Engines) -> None:
    @sag
    async def leaf(ctx: Context, n: int) -> str:
        del n
        return ctx.task_id

    @sag
    async def branch(ctx: Context, n: int) -> list[str]:
        return [ctx.task_id, *(r.unwrap() for r in await ctx.fan_out(leaf, [n, n + 1]))]

    @mag
    async def chief(ctx: Context) -> list[str]:
        return [name for r in await ctx.fan_out(branch, [*range(4)]) for name in r.unwrap()]

    async with engines.open(chief, branch, leaf) as system:
        outcome = await system.run(chief)
    assert outcome.value is not None
    assert len(set(outcome.value)) == len(outcome.value) == 12


async def test_what_bodies_spend_together_stays_below_the_budget_of_their_run(
    engines: Engines,
) -> None:
    @sag
    async def leaf(ctx: Context, n: int) -> str:
        return await ctx.ask(f"leaf {n}")

    @mag
    async def chief(ctx: Context) -> list[str]:
        results = await ctx.fan_out(leaf, [*range(30)])
        return sorted({result.reason or "ok" for result in results})

    thrifty = Limits(max_output_tokens=10)
    async with engines.open(chief, (leaf, thrifty)) as system:
        outcome = await system.run(chief, options=RunOptions(budget_usd=3))
        await system.journal.flush()
        row = await system.journal.run(outcome.run_id)
    assert row is not None
    assert outcome.value == ["budget", "ok"]
    assert row.cost_nano_usd is not None
    assert 0 < row.cost_nano_usd <= 300 * CENT
    assert outcome.cost_usd == row.cost_nano_usd / 10**9


async def test_a_run_is_parked_while_a_body_that_it_has_asked_waits_for_people(
    engines: Engines,
) -> None:
    asked = Counter[str]()

    @skill(inline=True)
    def mark(text: str) -> int:
        asked[text] += 1
        return len(text)

    @sag
    async def careful(ctx: Context, n: int) -> str:
        await ctx.use(mark, "before")
        decision = await ctx.approve(f"May I do {n}?")
        return f"{decision.approved} by {decision.by}"

    @sag
    async def between(ctx: Context, n: int) -> str:
        return (await ctx.delegate(careful, n)).unwrap()

    @mag
    async def chief(ctx: Context) -> list[str]:
        return [r.unwrap() for r in await ctx.fan_out(between, [1])]

    async with engines.open(chief, between, careful) as system:
        parked = await system.run(chief)
        assert parked.status == "waiting"
        (request,) = parked.waits_for
        assert request.question == "May I do 1?"
        await system.approve(parked.run_id, request.ticket, by="Ada")
        outcome = await system.resume(parked.run_id)
    assert outcome.value == ["True by Ada"]
    assert asked == {"before": 1}


async def test_a_body_goes_on_when_people_decide_while_its_run_is_at_work(
    engines: Engines,
) -> None:
    @sag
    async def careful(ctx: Context, n: int) -> int:
        return n * (await ctx.approve("May I?")).approved

    @sag
    async def busy(ctx: Context, n: int) -> int:
        del ctx
        await anyio.sleep(3)
        return n

    @mag
    async def chief(ctx: Context) -> list[int]:
        both = [Delegation("", name, n) for n, name in enumerate(("careful", "busy"), 1)]
        results = await ctx.fan_out(both)
        return [result.unwrap() for result in results]

    async with engines.open(chief, careful, busy) as system, anyio.create_task_group() as tasks:
        outcomes = []

        async def run() -> None:
            outcomes.append(await system.run(chief))

        tasks.start_soon(run)
        with anyio.fail_after(20):
            while not (requests := await system.approvals()):  # noqa: ASYNC110  # others ask
                await anyio.sleep(0.05)
        await anyio.sleep(0.6)  # whoever asks may have left meanwhile
        await system.approve(requests[0].run_id, requests[0].ticket)
    assert outcomes[0].value == [1, 2]


async def test_a_run_that_is_paused_goes_on_where_all_its_bodies_were(engines: Engines) -> None:
    done, begun = Counter[int](), anyio.Event()

    @skill
    async def step(n: int) -> int:
        done[n] += 1
        begun.set()
        await anyio.sleep(0.2)
        return n

    @sag
    async def worker(ctx: Context, n: int) -> int:
        return sum([await ctx.use(step, 10 * n + each) for each in range(5)])

    @mag
    async def chief(ctx: Context) -> int:
        return sum(r.unwrap() for r in await ctx.fan_out(worker, [1, 2]))

    async with engines.open(chief, worker) as system:
        outcomes = []

        async def run() -> None:
            outcomes.append(await system.run(chief, options=RunOptions(run_id="paused")))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            with anyio.fail_after(30):
                await begun.wait()
                await system.pause("paused")
        assert outcomes[0].status == "paused"
        outcome = await system.resume("paused")
    assert outcome.value == sum(done)
    assert set(done.values()) == {1}


async def test_what_is_larger_than_a_message_may_be_comes_through(engines: Engines) -> None:
    @sag
    async def turn(ctx: Context, text: str) -> str:
        del ctx
        return text[::-1]

    @mag
    async def chief(ctx: Context) -> list[int | str]:
        text = "ab" * 800_000
        turned = (await ctx.delegate(turn, text)).unwrap()
        return [len(turned), turned[:2]]

    async with engines.open(chief, turn) as system:
        outcome = await system.run(chief)
    assert outcome.value == [1_600_000, "ba"]


async def test_whole_numbers_of_any_size_stay_what_they_are(engines: Engines) -> None:
    async with engines.open(double) as system:
        outcome = await system.run(double, 2**70)
    assert outcome.value == 2**71


async def test_a_map_has_no_more_under_way_than_it_is_told(engines: Engines) -> None:
    at_work, most = Counter[str](), Counter[str]()

    @sag
    async def counted(ctx: Context, n: int) -> int:
        del ctx
        at_work["all"] += 1
        most["all"] = max(most["all"], at_work["all"])
        await anyio.sleep(0.02)
        at_work["all"] -= 1
        return n

    @mag
    async def chief(ctx: Context) -> list[int]:
        return [r.unwrap() for r in await ctx.map(counted, [*range(12)], concurrency=3)]

    async with engines.open(chief, counted) as system:
        outcome = await system.run(chief)
    assert outcome.value == [*range(12)]
    assert most["all"] <= 3
