"""Going on with all kinds of agents and answers: classic ones, thoughts, large ones, and sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel.recording import RecordingTracing
from otel.trace_ids import RunTraceIds
from runtime import Context, mag, running, sag, skill
from runtime.agent import classic_agent
from runtime.catalog import RouteEntry
from runtime.journal import MemoryJournal, SqliteJournal
from runtime.messages import Delegation
from tests.chat_server import chat_server, completion
from tests.echoes import at, catalog_of, price
from tests.interrupted import died, ends, journal_of, recorded_until, resumed

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.journal import Record

DONE: list[str] = []
COST, TOTAL = "magsag.cost.nano_usd", "magsag.total.cost.nano_usd"

pytestmark = pytest.mark.real_time


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    DONE.clear()


@skill(inline=True)
def double(number: int) -> int:
    """Double a number."""
    DONE.append(f"double {number}")
    return 2 * number


@sag
async def asks(ctx: Context, question: str) -> dict[str, str]:
    """Ask."""
    return {"said": await ctx.ask(question)}


def by_the_contract(
    payload: dict[str, Any], *, registry: Any, skills: Any, runner: Any, obs: Any
) -> dict[str, Any]:
    """Use a skill by its name, and delegate twice, as the guide says."""
    four = skills.invoke("double", {"number": 2})
    told = runner.invoke_sag(Delegation("t", "asks", {"question": "first"}, {}))
    last = runner.invoke_mag("asks", {"question": f"last {four}"})
    obs.metric("done", 1)
    return {"four": four, "told": told.output["said"], "last": last["said"]}


async def by_the_contract_async(
    payload: dict[str, Any], *, skills: Any, runner: Any, **_: Any
) -> dict[str, Any]:
    """Do the same, async."""
    four = await skills.invoke_async("double", {"number": 2})
    told = await runner.invoke_sag_async(Delegation("t", "asks", {"question": "first"}, {}))
    last = await runner.invoke_mag_async("asks", {"question": f"last {four}"})
    return {"four": four, "told": told.output["said"], "last": last["said"]}


@pytest.mark.parametrize("body", [by_the_contract, by_the_contract_async])
async def test_a_classic_agent_goes_on_like_any_other(body: Any) -> None:
    asked: list[str] = []

    def answer(request: dict[str, Any]) -> Any:
        asked.append(request["messages"][-1]["content"])
        return completion(f"<{asked[-1]}>")

    main = classic_agent(body, "mag", "main")
    for kind in ("skill_completed", "invocation_completed", "delegation_completed"):
        asked.clear()
        DONE.clear()
        with chat_server(answer) as server:
            given: Any = {
                "agents": (asks,), "skills": (double,),
                "catalog": catalog_of({"home": at(server.url)}),
            }  # fmt: skip
            records = await recorded_until(main, ends(kind), payload={}, **given)
            before = len(asked)
            outcome, _ = await resumed(main, records, **given)
        assert outcome.output == {"four": 4, "told": "<first>", "last": "<last 4>"}, outcome.error
        assert DONE == ["double 2"]
        assert before == 2
        assert asked[2:] == (["first", "last 4"] if kind == "skill_completed" else ["last 4"])


# --- thoughts ------------------------------------------------------------------------------------

CALL = {"name": "double", "arguments": '{"number": 4}'}
THOUGHTS = {
    "role": "assistant",
    "content": None,
    "reasoning_content": "hm, double it",
    "tool_calls": [{"id": "1", "type": "function", "function": CALL}],
}


def thinking(request: dict[str, Any]) -> Any:
    """Think and call a tool first, then answer."""
    status, reply = completion("eight")
    if len(request["messages"]) == 1:
        reply["choices"][0] |= {"message": THOUGHTS, "finish_reason": "tool_calls"}
    return status, reply


@mag
async def thinker(ctx: Context) -> str:
    """Let a model use a tool, and ask again."""
    return await ctx.ask("go", tools=[double], use_cache=True)


async def test_a_model_that_goes_on_sees_its_own_thoughts_again() -> None:
    with chat_server(thinking) as server:
        catalog = catalog_of({"home": at(server.url)})
        records = await recorded_until(thinker, ends("invocation_completed"), catalog=catalog)
        outcome, _ = await resumed(thinker, records, catalog=catalog)
        _, second, again = server.requests
    assert outcome.output == "eight"
    assert second["messages"][1] == THOUGHTS
    assert again["messages"] == second["messages"]


async def test_an_answer_with_thoughts_is_given_again_with_them() -> None:
    journal = MemoryJournal()
    with chat_server(thinking) as server:
        catalog = catalog_of({"home": at(server.url)})
        async with running(catalog, agents=(thinker,), environ={}, journal=journal) as system:
            outcomes = [await system.run(thinker) for _ in range(2)]
        assert len(server.requests) == 2
    assert [outcome.output for outcome in outcomes] == ["eight", "eight"]
    assert [outcome.usage["calls"] for outcome in outcomes] == [2, 0]


async def test_an_answer_that_was_given_again_is_so_after_a_kill_too() -> None:
    @mag
    async def twice(ctx: Context) -> list[str]:
        return [await ctx.ask("same", use_cache=True) for _ in range(2)] + [await ctx.ask("end")]

    route = RouteEntry(task_type="twice", use_cache=True)
    with chat_server(lambda _: completion("x")) as server:
        catalog = catalog_of({"home": at(server.url)}, routing={"routes": (route,)})
        for stop in (ends("invocation_completed"), ends("invocation_cached")):
            records = await recorded_until(twice, stop, catalog=catalog)
            server.requests.clear()
            outcome, row = await resumed(twice, records, catalog=catalog)
            assert outcome.output == ["x", "x", "x"]
            assert [request["messages"][-1]["content"] for request in server.requests] == ["end"]
            assert outcome.usage["calls"] == row.calls == 2


# --- large answers -------------------------------------------------------------------------------

LARGE = "word " * 40_000


@skill(inline=True)
def write() -> str:
    """Write a lot."""
    DONE.append("write")
    return LARGE


@mag
async def writes(ctx: Context, text: str = LARGE) -> list[Any]:
    """Have a lot written, by a skill and by an agent."""
    return [await ctx.use(write), (await ctx.delegate(passes, text)).unwrap(), await ctx.ask("end")]


@sag
async def passes(ctx: Context, text: str) -> str:
    """Pass it on."""
    DONE.append("pass")
    return text


async def test_bodies_that_are_kept_apart_are_recalled_from_a_file(tmp_path: Path) -> None:
    records = await recorded_until(writes, ends("delegation_completed"), agents=(passes,))
    DONE.clear()
    journal = await SqliteJournal.open(tmp_path / "journal.db", synchronous="normal")
    for record in died(records):
        journal.append(record)
    await journal.flush()
    async with running(agents=(writes, passes), environ={}, journal=journal) as system:
        outcome = await system.resume(records[0].run_id)
    assert outcome.output == [LARGE, LARGE, "end"]
    assert DONE == []


# --- sums ----------------------------------------------------------------------------------------


async def test_the_spans_of_all_owners_together_cost_what_the_journal_says() -> None:
    @mag
    async def pays(ctx: Context) -> str:
        first = (await ctx.delegate(asks, "one")).unwrap()["said"]
        await gate.wait()
        return first + await ctx.ask("two")

    async def run(system: Any) -> None:
        await system.run(pays)

    gate, exporter, kept = anyio.Event(), InMemorySpanExporter(), Kept()
    prices = {"home/m": price(7)}
    with chat_server(lambda _: completion("x")) as server:
        catalog = catalog_of({"home": at(server.url)}, prices=prices)
        async with (
            running(
                catalog, agents=(pays, asks), environ={}, journal=kept, tracing=traced(exporter)
            ) as system,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(run, system)
            await kept.answered.wait()
            records = kept.records.copy()  # here the process dies, as far as the journal knows
            tasks.cancel_scope.cancel()
        gate.set()
        journal, tracing = journal_of(records), traced(exporter)
        async with running(
            catalog, agents=(pays, asks), environ={}, journal=journal, tracing=tracing
        ) as system:
            outcome = await system.resume(records[0].run_id)
            row = await journal.run(outcome.run_id)
    assert row is not None
    spans = [dict(span.attributes or {}) for span in exporter.get_finished_spans()]
    assert {f"{span.context.trace_id:032x}" for span in exporter.get_finished_spans()} == {
        row.trace_id
    }
    assert row.cost_nano_usd == 2 * 110 * 7
    assert sum(int(span.get(COST, 0)) for span in spans) == row.cost_nano_usd
    assert max(int(span.get(TOTAL, 0)) for span in spans) == row.cost_nano_usd
    assert outcome.cost_usd == row.cost_nano_usd / 1e9


class Kept(MemoryJournal):
    """A journal that remembers what it was told until a delegation is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = []
        self.answered = anyio.Event()

    def append(self, record: Record) -> None:
        super().append(record)
        self.records.append(record)
        if record.kind == "delegation_completed":
            self.answered.set()

    async def admit(self, record: Record, claims: Any) -> Any:
        self.records.append(record)
        return await super().admit(record, claims)


def traced(exporter: InMemorySpanExporter) -> RecordingTracing:
    provider = TracerProvider(id_generator=RunTraceIds())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return RecordingTracing(provider, str)
