"""The ways to write an agent behave the same: async, plain def, the guide's contract, classes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from runtime import BlockingContext, Context, Delegation, mag, running, sag, skill
from runtime.agent import Limits, classic_agent
from runtime.errors import ConfigurationError, PolicyDenied
from tests.authors import Point, add, double, run

if TYPE_CHECKING:
    from collections.abc import Callable


def classic_sync(
    payload: dict, *, registry: Any = None, skills: Any = None, runner: Any = None, obs: Any = None
) -> dict:
    assert skills.exists("add")
    assert not skills.exists("subtract")
    obs.log("begin", {"event": "kept", "n": payload["n"]})
    obs.metric("size", 1)
    result = runner.invoke_sag(Delegation("t-1", "double", {"n": payload["n"]}))
    total = skills.invoke("add", {"a": result.output, "b": 1})
    known = registry.load_agent("double")["role"]
    return {"total": total, "known": known, "cost": obs.get_current_cost(), "task": result.task_id}


async def classic_async(payload: dict, **deps: Any) -> dict:
    result = await deps["runner"].invoke_sag_async(Delegation("t-1", "double", {"n": payload["n"]}))
    total = await deps["skills"].invoke_async("add", {"a": result.output, "b": 1})
    deps["obs"].log("begin", {"n": 1})
    known = deps["registry"].load_agent("double")["role"]
    return {
        "total": total,
        "known": known,
        "cost": deps["obs"].get_current_cost(),
        "task": result.task_id,
    }


def classic_sync_with_deps(payload: dict, **deps: Any) -> dict:
    return classic_sync(payload, **deps)


async def modern(ctx: Context, payload: dict[str, Any]) -> dict[str, Any]:
    result = await ctx.delegate(Delegation("t-1", "double", {"n": payload["n"]}))
    total = await ctx.use("add", a=result.output, b=1)
    ctx.log("begin", n=1)
    return {"total": total, "known": "sag", "cost": ctx.cost_usd, "task": result.task_id}


def modern_blocking(ctx: BlockingContext, payload: dict[str, Any]) -> dict[str, Any]:
    result = ctx.delegate(Delegation("t-1", "double", {"n": payload["n"]}))
    total = ctx.use("add", result.output, 1)
    ctx.log("begin", n=1)
    return {"total": total, "known": "sag", "cost": ctx.cost_usd, "task": result.task_id}


@pytest.mark.real_time
@pytest.mark.parametrize(
    "body", [classic_sync, classic_async, classic_sync_with_deps, modern, modern_blocking]
)
async def test_every_way_of_writing_an_agent_gives_the_same_answer(
    body: Callable[..., Any],
) -> None:
    is_classic = body.__name__.startswith("classic")
    agent = classic_agent(body, "mag", "main") if is_classic else mag(name="main")(body)
    async with running(agents=(agent, double), environ={}) as system:
        system.directory.add_skill(add)
        outcome = await system.run(agent, {"n": 20})
    assert outcome.error is None
    assert outcome.output == {"total": 41, "known": "sag", "cost": 0.0, "task": "t-1"}


@pytest.mark.real_time
async def test_a_classic_agent_may_return_the_result_of_a_delegation_as_it_is() -> None:
    def body(payload: dict, *, runner: Any) -> Any:
        return runner.invoke_sag(Delegation("t-1", "double", payload))

    agent = classic_agent(body, "mag", "main")
    async with running(agents=(agent, double), environ={}) as system:
        outcome = await system.run(agent, {"n": 20})
        refused = await system.run(agent, {"n": "many"})
    answer = outcome.output
    assert (answer["task_id"], answer["status"], answer["output"]) == ("t-1", "success", 40)
    assert answer["metrics"]["attempts"] == 1
    assert refused.status == "failed"  # who has no answer does not report a success
    assert "t-1" in (refused.error or "")


async def test_a_sync_call_in_an_async_classic_agent_says_what_to_do_instead_of_deadlocking() -> (
    None
):
    async def body(payload: dict, *, skills: Any) -> dict:
        return {"x": skills.invoke("add", payload)}

    outcome = await run(classic_agent(body, "mag", "main"), {"a": 1})
    assert outcome.reason == "configuration"
    assert "_async" in (outcome.error or "")


@pytest.mark.real_time
async def test_plain_agents_run_in_threads_bounded_per_role_and_do_not_starve_each_other() -> None:
    """More MAGs than threads wait for SAGs, which need threads, too."""

    @sag
    def leaf(ctx: BlockingContext, n: int) -> int:
        assert threading.current_thread() is not threading.main_thread()
        return n

    @mag
    def middle(ctx: BlockingContext, n: int) -> int:
        return sum(r.unwrap() for r in ctx.fan_out(leaf, [n, n]))

    @mag
    async def main(ctx: Context) -> int:
        return sum(r.unwrap() for r in await ctx.fan_out(middle, range(100)))

    outcome = await run(main)
    assert outcome.output == 2 * sum(range(100)), outcome.error


@pytest.mark.real_time
async def test_plain_agents_that_recurse_deeper_than_there_are_threads_do_not_deadlock() -> None:
    @sag
    def down(ctx: BlockingContext, n: int) -> int:
        return 0 if n == 0 else 1 + ctx.delegate(down, n - 1).unwrap()

    outcome = await run(down, 50)
    assert outcome.output == 50, outcome.error


@pytest.mark.real_time
async def test_a_thread_past_its_deadline_is_left_alone_and_its_context_refuses() -> None:
    refused = threading.Event()
    go_on = threading.Event()

    @sag
    def hang(ctx: BlockingContext) -> None:
        go_on.wait(30)
        try:
            ctx.delegate(double, 1)
        except Exception:  # noqa: BLE001  # which one is the next line's affair
            refused.set()

    @mag
    async def main(ctx: Context) -> Any:
        result = await ctx.delegate(hang, deadline=0.5)
        go_on.set()
        return result.reason

    outcome = await run(main, agents=(double,))
    assert outcome.output == "deadline"
    assert await anyio.to_thread.run_sync(refused.wait, 10)


async def test_a_class_agent_keeps_its_state_for_a_run_and_handles_one_message_at_a_time() -> None:
    @sag(per="run")
    class Sum:
        def __init__(self) -> None:
            self.total = 0
            self.busy = False

        async def run(self, ctx: Context, n: int) -> int:
            assert not self.busy
            self.busy = True
            await anyio.sleep(1)
            self.busy = False
            self.total += n
            return self.total

    @mag
    async def main(ctx: Context) -> list[int]:
        return [r.unwrap() for r in await ctx.fan_out(Sum, [1, 2, 3])]

    async with running(agents=(main,), environ={}) as system:
        assert (await system.run(main)).output == [1, 3, 6]
        assert (await system.run(main)).output == [1, 3, 6]


async def test_a_class_agent_per_process_keeps_its_state_over_runs_and_stops_in_order() -> None:
    events: list[str] = []

    @sag(per="process")
    class Count:
        def __init__(self) -> None:
            self.n = 0

        async def on_start(self) -> None:
            events.append("start")

        def on_stop(self) -> None:
            events.append("stop")

        async def run(self, ctx: Context) -> int:
            self.n += 1
            return self.n

    async with running(agents=(Count,), environ={}) as system:
        assert [(await system.run(Count)).output for _ in range(3)] == [1, 2, 3]
        assert events == ["start"]
    assert events == ["start", "stop"]


async def test_a_class_agent_that_crashes_is_restarted_fresh_and_the_rest_of_its_mail_is_kept() -> (
    None
):
    @sag(per="run")
    class Touchy:
        def __init__(self) -> None:
            self.seen: list[int] = []

        async def run(self, ctx: Context, n: int) -> list[int]:
            if n < 0:
                raise ValueError("negative")
            self.seen.append(n)
            return self.seen

    @mag
    async def main(ctx: Context) -> list[Any]:
        results = await ctx.fan_out(Touchy, [1, -1, 2, 3])
        return [r.output if r.ok else r.reason for r in results]

    async with running(agents=(main,), environ={}) as system:
        outcome = await system.run(main)
        restarts = [r for r in system.actors.reports if r.context == "restart"]
    assert outcome.output == [[1], "crashed", [2], [2, 3]]
    assert [r.supervisor for r in restarts] == ["agents/touchy"]


async def test_a_class_agent_survives_the_deadline_of_one_message() -> None:
    @sag(per="run")
    class Slow:
        def __init__(self) -> None:
            self.handled = 0

        async def run(self, ctx: Context, seconds: float) -> int:
            await anyio.sleep(seconds)
            self.handled += 1
            return self.handled

    @mag
    async def main(ctx: Context) -> list[Any]:
        first = await ctx.delegate(Slow, 0.0)
        late = await ctx.delegate(Slow, 100.0, deadline=1)
        again = await ctx.delegate(Slow, 0.0)
        return [first.output, late.reason, again.output]

    assert (await run(main)).output == [1, "deadline", 2]


async def test_a_class_agent_that_would_wait_for_itself_is_refused() -> None:
    @sag(per="run")
    class Loop:
        async def run(self, ctx: Context, n: int) -> Any:
            result = await ctx.delegate("loop", n - 1)
            return [result.reason, result.error]

    outcome = await run(Loop, 3)
    assert outcome.output == ["cycle", "loop would wait for itself: it is busy further up"]


async def test_input_is_validated_before_and_output_after_the_agents_code() -> None:
    ran: list[str] = []

    @sag
    async def strict(ctx: Context, point: Point) -> Point:
        ran.append("ran")
        return {"x": "no number"}  # type: ignore[return-value]  # the fault that is looked for

    wrong = await run(strict, {"y": 1})
    assert (wrong.reason, wrong.exit_code, ran) == ("invalid_input", 1, [])
    assert wrong.error == "input of strict: x: Field required"
    bad = await run(strict, {"x": 1})
    assert (bad.reason, bad.exit_code, ran) == ("invalid_output", 2, ["ran"])
    assert (bad.error or "").startswith("output of strict: x: ")


def test_mistakes_of_an_author_are_named_where_they_are_made() -> None:
    with pytest.raises(ConfigurationError, match="its first parameter is the context"):

        @sag
        async def nothing() -> None: ...

    with pytest.raises(ConfigurationError, match="class Empty has no method run"):

        @sag
        class Empty: ...

    with pytest.raises(ConfigurationError, match="needs a class"):

        @sag(per="run")
        async def stateless(ctx: Context) -> None: ...

    with pytest.raises(
        ConfigurationError, match=r"test_authors_ways\.py.*type hint cannot be read"
    ):

        @skill
        def unknown(x: NoSuchType) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # the fault


def test_a_decorated_agent_or_skill_stays_callable() -> None:
    assert add(1, b=2) == 3
    assert add.schema["properties"]["b"]["default"] == 1
    assert double.description == "Double a number."


async def test_skills_and_agents_that_the_catalog_does_not_allow_are_refused() -> None:
    @mag
    async def main(ctx: Context) -> list[str]:
        refused = await ctx.delegate(double, 1)
        try:
            await ctx.use("add", 1)
        except PolicyDenied as error:
            return [str(error), refused.error or ""]
        return []

    async with running(environ={}) as system:
        system.directory.add_skill(add)
        system.directory.add_agent(main, Limits(skills=frozenset(), agents=frozenset(("x",))))
        outcome = await system.run(main)
    assert outcome.output == [
        "agent main may not use skill 'add'; add it to the agent's skills",
        "agent main may not delegate to 'double'; add it to the agent's agents",
    ]


@pytest.mark.real_time
async def test_plain_skills_run_in_threads_and_their_mistakes_reach_the_agent() -> None:
    @skill
    def where(flag: bool) -> str:
        if not flag:
            raise LookupError("nowhere")
        return threading.current_thread().name

    @mag
    async def main(ctx: Context) -> list[str]:
        name = await ctx.use(where, True)
        try:
            await ctx.use(where, flag=False)
        except LookupError as error:
            return [name, str(error)]
        return []

    outcome = await run(main)
    assert outcome.output[1] == "nowhere"
    assert outcome.output[0] != threading.main_thread().name


def test_a_prompt_shows_lists_objects_and_truth_as_json() -> None:
    from runtime.definitions import in_prompt  # noqa: PLC0415

    shown = [
        in_prompt(each) for each in (["a", "ä"], {"k": None}, True, None, "plain", 3, Point(x=1))
    ]
    assert shown == ['["a", "ä"]', '{"k": null}', "true", "null", "plain", 3, '{"x": 1, "y": 0}']


def test_a_skill_that_the_catalog_renames_is_found_by_its_object() -> None:
    import dataclasses  # noqa: PLC0415

    from runtime.directory import Directory  # noqa: PLC0415

    directory, named = Directory(), dataclasses.replace(add, name="sum-up")
    directory.add_skill(named, alias=add)
    assert directory.skill(add) is directory.skill("sum-up") is named


@pytest.mark.real_time
async def test_a_thread_that_outlives_its_body_keeps_its_place_until_it_ends() -> None:
    from runtime.blocking import wait_sync  # noqa: PLC0415

    release, begun = threading.Event(), anyio.Event()

    @sag
    def stubborn(ctx: BlockingContext) -> None:
        wait_sync(begun.set)
        release.wait(20)

    async with running(agents=(stubborn,), environ={}) as system:
        gate = system._workflows._dispatcher._bodies._threads["sag"]._gate
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(system.run, stubborn)
            await begun.wait()
            tasks.cancel_scope.cancel()
        assert gate.inside == 1
        release.set()
        with anyio.fail_after(5):
            while gate.inside:  # noqa: ASYNC110  # the place is given back from another thread
                await anyio.sleep(0.01)


@pytest.mark.real_time
async def test_a_plain_skill_gets_a_context_that_it_can_wait_with() -> None:
    @skill
    def doubled(ctx: BlockingContext, n: int) -> int:
        return int(ctx.delegate(double, n).unwrap())

    @mag
    async def main(ctx: Context) -> int:
        return int(await ctx.use(doubled, 4))

    assert (await run(main)).output == 8
