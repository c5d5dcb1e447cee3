"""What is measured of a run, as a collector gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from runtime import Context, mag, running, sag
from runtime.actors import Actor, LoopGone, Visits
from runtime.gauges import Gauges
from runtime.journal import MemoryJournal
from tests.acceptance import KEY, catalog_of, entry_at
from tests.authors import add, boom
from tests.otel_receivers import running_collector
from tests.simulated import simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.catalog import Catalog
    from tests.otel_receivers import Collector
    from tests.simulated import Simulated

pytestmark = pytest.mark.real_time

TOKENS = "gen_ai.client.inference.usage"
COST = "magsag.cost.nano_usd"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


@sag
async def asker(ctx: Context, n: int) -> str:
    await ctx.use(add, n)
    return await ctx.ask(f"number {n}", model="p/a", max_output_tokens=10)


@sag
async def reader(ctx: Context) -> str:
    stream = ctx.stream("tell me a story", model="p/a", max_output_tokens=50)
    return "".join([event.text async for event in stream])


@mag
async def boss(ctx: Context) -> int:
    await ctx.delegate(boom)
    await ctx.delegate(reader)
    return len(await ctx.fan_out(asker, range(3)))


def at(server: Simulated, *models: str) -> Catalog:
    return catalog_of(server, *models, providers={"q": entry_at(server)})


async def journalled(journal: MemoryJournal, run_id: str) -> list[Any]:
    rows = await journal.events(run_id)
    ends = ("invocation_completed", "invocation_failed")
    return [row for row in rows if row.kind in ends]


async def test_the_sums_of_metrics_are_those_of_the_journal(collector: Collector) -> None:
    journal = MemoryJournal()
    environ = collector.metric_environ | {"KEY": KEY}
    with simulator() as server:
        async with running(
            at(server, "a"), agents=(boss,), journal=journal, environ=environ
        ) as system:
            outcome = await system.run(boss)
            calls = await journalled(journal, outcome.run_id)
    assert outcome.ok, outcome.error
    measured = collector.measured
    used = [call.body["usage"] for call in calls]
    assert len(calls) == 4
    for part in ("input_tokens", "output_tokens"):
        assert measured.total(f"{TOKENS}.{part}") == sum(each[part] for each in used) > 0
    by_type = {
        dict(key)["gen_ai.token.type"]: point.sum
        for key, point in measured.histograms("gen_ai.client.token.usage").items()
    }
    assert by_type == {
        kind: measured.total(f"{TOKENS}.{kind}_tokens") for kind in ("input", "output")
    }
    assert measured.total(COST) == sum(call.cost_nano_usd for call in calls) > 0
    assert measured.total("magsag.budget.spent.nano_usd") == sum(
        call.body["settled_nano_usd"] for call in calls
    )
    assert measured.total("magsag.client.attempts") == 4
    assert measured.total("magsag.client.retries") == 0


async def test_calls_tools_agents_and_runs_have_the_dimensions_and_buckets_of_the_table(
    collector: Collector,
) -> None:
    environ = collector.metric_environ | {"KEY": KEY}
    with simulator() as server:
        async with running(at(server, "a"), agents=(boss,), environ=environ) as system:
            assert (await system.run(boss)).ok
    measured = collector.measured
    chat = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "p",
        "gen_ai.request.model": "a",
    }
    answered = chat | {"gen_ai.response.model": "a"}
    ((key, calls),) = measured.histograms("gen_ai.client.operation.duration").items()
    assert dict(key) == answered
    assert calls.count == 4
    assert list(calls.explicit_bounds) == [
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
    ]  # fmt: skip
    ((key, chunks),) = measured.histograms("gen_ai.client.operation.time_to_first_chunk").items()
    assert (dict(key), chunks.count) == (chat, 1)
    assert chunks.explicit_bounds == calls.explicit_bounds
    tokens = measured.histograms("gen_ai.client.token.usage")
    assert [dict(key) for key in tokens] == [
        answered | {"gen_ai.token.type": kind} for kind in ("input", "output")
    ]
    assert list(next(iter(tokens.values())).explicit_bounds) == [4**n for n in range(14)]
    ((key, tools),) = measured.histograms("gen_ai.execute_tool.duration").items()
    assert dict(key) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "add",
        "gen_ai.agent.name": "asker",
    }
    assert (tools.count, tools.explicit_bounds) == (3, calls.explicit_bounds)
    agents = measured.histograms("gen_ai.invoke_agent.duration")
    counted = {
        (dict(key)["gen_ai.agent.name"], dict(key).get("error.type")): point.count
        for key, point in agents.items()
    }
    assert counted == {
        ("boss", None): 1,
        ("boom", "crashed"): 2,
        ("reader", None): 1,
        ("asker", None): 3,
    }
    bounds = list(next(iter(agents.values())).explicit_bounds)
    assert bounds == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6]
    for name, own in (("inference", {"reader": 1, "asker": 3}), ("tool", {"asker": 3})):
        points = measured.histograms(f"gen_ai.invoke_agent.{name}_calls")
        sums = {dict(key)["gen_ai.agent.name"]: point.sum for key, point in points.items()}
        assert {agent: total for agent, total in sums.items() if total} == own
        bounds = list(next(iter(points.values())).explicit_bounds)
        assert bounds == [1, 2, 4, 8, 16, 32, 64, 128]
    ((key, runs),) = measured.histograms("gen_ai.invoke_workflow.duration").items()
    workflow = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "boss"}
    assert (dict(key), runs.count) == (workflow, 1)
    assert list(runs.explicit_bounds) == [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200]
    assert measured.total("magsag.runs", outcome="completed") == 1
    waits = measured.histograms("magsag.mailbox.wait")
    assert sum(point.count for point in waits.values()) == 6  # boom's restart did not wait
    ((_, admitted),) = measured.histograms("magsag.admission.wait").items()
    assert admitted.count == 4


async def test_retries_fallbacks_restarts_and_failed_runs_are_counted(
    collector: Collector,
) -> None:
    environ = collector.metric_environ | {"KEY": KEY}
    rules = [{"match": {"model": "a"}, "then": {"error": "server_error"}}]
    with simulator({"rules": rules}) as server:
        async with running(at(server, "a", "b"), agents=(asker, boom), environ=environ) as system:
            assert (await system.run(asker, 1)).ok
            assert not (await system.run(boom)).ok
    measured = collector.measured
    failures = measured.histograms("gen_ai.client.operation.duration")
    failed = {dict(key).get("error.type"): point.count for key, point in failures.items()}
    assert failed == {"server_error": 1, None: 1}
    by_model = {model: measured.total("magsag.client.attempts", model=model) for model in "ab"}
    assert by_model["b"] == 1
    assert by_model["a"] > 1
    assert measured.total("magsag.client.retries") == by_model["a"] - 1
    (fallback,) = measured.numbers("magsag.client.fallbacks").items()
    assert (dict(fallback[0])["gen_ai.request.model"], fallback[1]) == ("a", 1)
    assert dict(fallback[0])["error.type"] == "transient"
    assert measured.total("magsag.actor.restarts", supervisor="agents/boom") == 1
    assert measured.total("magsag.runs", outcome="failed", type="crashed") == 1
    assert measured.total("magsag.runs", outcome="completed") == 1


class Deaf(Actor):
    async def receive(self, message: Any) -> Any:
        return self.unhandled(message)


async def test_dead_letters_are_counted_to_the_last(collector: Collector) -> None:
    async with running(environ=collector.metric_environ) as system:
        deaf = await system.actors.start(Deaf)
        for _ in range(3):
            deaf.tell("anybody there?")
    assert system.actors.dead_letters.total == 3
    assert collector.measured.total("magsag.dead_letters") == 3


@sag
async def lasting(ctx: Context) -> None:
    del ctx
    await anyio.sleep_forever()


async def test_gauges_show_the_system_as_it_is_and_have_no_dimension_that_grows(
    collector: Collector,
) -> None:
    environ = collector.metric_environ | {"OTEL_METRIC_EXPORT_INTERVAL": "20", "KEY": KEY}
    with simulator() as server:
        async with running(at(server, "a"), agents=(asker, lasting), environ=environ) as system:
            run_id = (await system.run(asker, 1)).run_id
            async with anyio.create_task_group() as running_:
                running_.start_soon(system.run, lasting)
                with anyio.fail_after(60):
                    while not _is_seen_at_work(collector):  # noqa: ASYNC110  # it is in a thread
                        await anyio.sleep(0.01)
                running_.cancel_scope.cancel()
            seen = collector.measured
            assert seen.total("magsag.circuits", account="p", state="closed") == 2
            assert seen.total("magsag.circuits", account="p", state="open") == 0
            for name in ("queue", "in_flight", "pause"):
                assert seen.numbers(f"magsag.admission.{name}") == {
                    frozenset({("magsag.account", "p")}): 0
                }
            assert seen.total("magsag.journal.pending") == 0
            assert seen.total("magsag.budget.reserved.nano_usd") == 0
            assert seen.total("magsag.mailbox.depth") == 0
            assert "magsag.spool.pending" in seen.last
    assert run_id not in str(collector.measured.requests)


def _is_seen_at_work(collector: Collector) -> bool:
    measured = collector.measured
    return bool(measured.requests) and (
        measured.total("magsag.actors.alive", name="lasting") == 1
        and measured.total("magsag.runs.active") == 1
    )


async def test_an_account_at_an_address_that_a_payload_names_has_no_name_of_its_own() -> None:
    class Account:
        queued = 2

    class Taken:
        now = 0.0

        def __init__(self) -> None:
            names = ("p", "p|http://a/v1", "p|http://b/v1")
            self.accounts = dict.fromkeys(names, Account())

    gauges = Gauges(Taken, frozenset({"p"}))  # type: ignore[arg-type]  # as much as is looked at
    read = await anyio.to_thread.run_sync(lambda: tuple(gauges.read("magsag.admission.queue")))
    assert {reading.attributes["magsag.account"]: reading.value for reading in read} == {
        "p": 2,
        "elsewhere": 4,
    }


async def test_one_collection_is_one_snapshot_and_a_blocked_loop_shows_the_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = []

    class Taken:
        def __init__(self) -> None:
            taken.append(self)
            self.runs = len(taken)
            self.reserved = 0

    gauges = Gauges(Taken, ())  # type: ignore[arg-type]  # as above
    names = ("magsag.runs.active", "magsag.budget.reserved.nano_usd")

    def collect() -> list[float]:
        return [reading.value for name in names for reading in gauges.read(name)]

    assert await anyio.to_thread.run_sync(collect) == [1, 0]
    assert await anyio.to_thread.run_sync(collect) == [2, 0]

    def busy(_self: Visits, _function: Any, _timeout_s: float) -> Any:
        raise TimeoutError

    monkeypatch.setattr(Visits, "call", busy)
    assert await anyio.to_thread.run_sync(collect) == [2, 0]


async def test_a_look_from_a_thread_waits_no_longer_than_it_may() -> None:
    visits = Visits()
    assert visits.call(lambda: "on the loop itself", 1) == "on the loop itself"
    assert await anyio.to_thread.run_sync(visits.call, lambda: "from a thread", 60) == (
        "from a thread"
    )
    with pytest.raises(ZeroDivisionError):
        await anyio.to_thread.run_sync(visits.call, lambda: 1 / 0, 60)
    with pytest.raises(TimeoutError):
        await anyio.to_thread.run_sync(visits.call, lambda: "too late", 0)


async def test_a_look_at_a_loop_that_is_gone_says_so_and_its_gauges_show_nothing() -> None:
    class Taken:
        runs = 1

    async def made() -> Gauges:
        return Gauges(Taken, ())  # type: ignore[arg-type]  # as much as is looked at

    gauges = await anyio.to_thread.run_sync(anyio.run, made)  # on a loop of its own
    assert gauges.read("magsag.runs.active") == ()
    with pytest.raises(LoopGone):
        gauges._visits.call(Taken, 1)
