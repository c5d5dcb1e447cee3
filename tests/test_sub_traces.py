"""A fan-out that is too wide for one trace goes on in others that lead to each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider

from otel.recording import RecordingTracing
from otel.settings import TelemetryMisconfigured
from otel.trace_options import MAX_SPANS, MOST_SPANS, trace_options
from runtime import Context, mag, running, sag
from runtime.identity import trace_id_of
from runtime.traces import EXPECTED, Traces
from tests.authors import add
from tests.recorded_spans import Recorded, Told, is_below, said

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

MOST = 20


@sag
async def leaf(ctx: Context, n: int) -> str:
    await ctx.use(add, n)
    return await ctx.ask(f"number {n}")


@mag
async def boss(ctx: Context, n: int) -> int:
    return len(await ctx.fan_out(leaf, range(n)))


@mag
async def one_by_one(ctx: Context, n: int) -> int:
    return len([await ctx.delegate(leaf, number) for number in range(n)])


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.trace_id


async def told(agent: object, n: int) -> tuple[Recorded, str]:
    recorded = Recorded()
    environ = {MAX_SPANS: str(MOST)}
    async with running(
        agents=(boss, one_by_one, leaf), environ=environ, tracing=recorded
    ) as system:
        outcome = await system.run(agent, n)  # type: ignore[arg-type]  # one of the two above
    assert outcome.output == n
    assert recorded.all_ended
    return recorded, outcome.run_id


async def test_a_small_run_is_one_trace() -> None:
    recorded, run_id = await told(boss, 3)
    assert {trace_of(span) for span in recorded.told.ended} == {trace_id_of(run_id)}
    assert not recorded.one("invoke_agent boss").events


@pytest.mark.parametrize("agent", [boss, one_by_one], ids=lambda agent: agent.name)
async def test_a_wide_run_has_sub_traces_of_bounded_size_that_lead_to_each_other(
    agent: object,
) -> None:
    recorded, run_id = await told(agent, 40)
    sizes = Counter(trace_of(span) for span in recorded.told.ended)
    main = trace_id_of(run_id)
    assert main in sizes
    assert len(sizes) > 3
    assert max(sizes.values()) <= MOST
    assert {said(span)["magsag.run.id"] for span in recorded.told.ended} == {run_id}
    (caller,) = [span for span in recorded.named("invoke_agent") if span.name[13:] != "leaf"]
    for span in recorded.named("invoke_agent leaf"):
        if trace_of(span) == main:
            assert is_below(span, caller)
            assert not span.links
        else:
            assert span.parent is None
            (link,) = span.links
            assert link.context.span_id == (caller.context and caller.context.span_id)
            assert said(span)["magsag.trace.parent"] == f"{main:032x}"
    events = [dict(event.attributes or {})["magsag.trace.child"] for event in caller.events]
    assert sorted(str(each) for each in events) == sorted(
        f"{each:032x}" for each in sizes if each != main
    )


async def test_what_is_below_a_delegation_stays_in_its_trace() -> None:
    recorded, _ = await told(boss, 40)
    children = defaultdict(list)
    for span in recorded.told.ended:
        children[span.parent and span.parent.span_id].append(span)
    for span in recorded.named("invoke_agent leaf"):
        below = children[span.context and span.context.span_id]
        assert {each.name for each in below} == {"execute_tool add", "chat echo-1"}
        assert {trace_of(each) for each in below} == {trace_of(span)}


async def test_the_same_run_id_has_the_same_sub_traces() -> None:
    first, second = Traces("run", MOST), Traces("run", MOST)
    placed = [[traces.place(1) for _ in range(30)] for traces in (first, second)]
    assert placed[0] == placed[1]


@given(st.lists(st.sampled_from(["send", "end", "span"]), max_size=200), st.integers(10, 40))
def test_no_trace_is_given_more_than_it_may_have(steps: list[str], most: int) -> None:
    traces, out = Traces("run", most), [1]
    held: Counter[int] = Counter()
    for step in steps:
        if step == "send":
            out.append(traces.place(out[-1]))
            held[out[-1]] += EXPECTED
            assert held[out[-1]] <= most
        elif step == "end" and len(out) > 1:
            last = out.pop()
            traces.ended(last)
            held[last] -= EXPECTED


async def test_a_provider_that_makes_its_own_trace_ids_has_one_trace_of_any_size() -> None:
    provider, heard = TracerProvider(shutdown_on_exit=False), Told()
    provider.add_span_processor(heard)

    class Own(RecordingTracing):
        async def shutdown(self, timeout_s: float = 0.0) -> bool:
            return True

    tracing = Own(provider, str)
    environ = {MAX_SPANS: str(MOST)}
    async with running(agents=(boss, leaf), environ=environ, tracing=tracing) as system:
        assert (await system.run(boss, 30)).ok
    assert len({trace_of(span) for span in heard.ended}) == 1


def test_the_limit_is_a_whole_number_or_the_start_stops() -> None:
    assert trace_options({}).most_spans == MOST_SPANS
    assert trace_options({MAX_SPANS: "12"}).most_spans == 12
    for wrong in ("many", "9", "-1", "1e3"):
        with pytest.raises(TelemetryMisconfigured, match=MAX_SPANS):
            trace_options({MAX_SPANS: wrong})
