"""One trace per run, as a collector gets it."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from runtime import Context, RunOptions, mag, running, sag
from runtime.identity import trace_id_of
from tests.authors import add, boom
from tests.otel_receivers import running_collector


@sag
async def worker(ctx: Context, n: int) -> str:
    await ctx.use(add, n)
    return await ctx.ask(f"number {n}", model="echo-1")


@mag
async def boss(ctx: Context) -> int:
    await ctx.delegate(boom)
    return len(await ctx.fan_out(worker, range(3)))


def _attributes(span: Any) -> dict[str, Any]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes
    }


@pytest.mark.real_time
@pytest.mark.parametrize("run_id", [None, "mag-abc123"])
async def test_a_run_is_one_trace_whose_spans_are_nested_as_the_run_was(
    run_id: str | None,
) -> None:
    with running_collector() as collector:
        async with running(agents=(boss,), environ=collector.environ) as system:
            outcome = await system.run(boss, None, RunOptions(run_id=run_id))
    assert outcome.ok, outcome.error
    sent = collector.collected.spans
    assert {s.trace_id.hex() for s in sent} == {outcome.trace_id}
    assert outcome.trace_id == f"{trace_id_of(outcome.run_id):032x}"
    names = sorted(s.name for s in sent)
    assert names == sorted(
        [
            "invoke_workflow boss",
            "invoke_agent boss",
            *["invoke_agent boom"] * 2,
            *["invoke_agent worker", "execute_tool add", "chat echo-1"] * 3,
        ]
    )
    by_id = {s.span_id: s for s in sent}
    parents = {(s.name, by_id[s.parent_span_id].name if s.parent_span_id else "") for s in sent}
    assert parents == {
        ("invoke_workflow boss", ""),
        ("invoke_agent boss", "invoke_workflow boss"),
        ("invoke_agent boom", "invoke_agent boss"),
        ("invoke_agent worker", "invoke_agent boss"),
        ("execute_tool add", "invoke_agent worker"),
        ("chat echo-1", "invoke_agent worker"),
    }


@pytest.mark.real_time
async def test_the_sum_over_leaf_spans_is_what_the_run_says() -> None:
    with running_collector() as collector:
        async with running(agents=(boss,), environ=collector.environ) as system:
            outcome = await system.run(boss)
    chats = [_attributes(s) for s in collector.collected.spans if s.name == "chat echo-1"]
    for key in ("input_tokens", "output_tokens"):
        assert sum(chat[f"gen_ai.usage.{key}"] for chat in chats) == outcome.usage[key] > 0
    assert sum(chat["magsag.cost.nano_usd"] for chat in chats) == 0
    assert {chat["gen_ai.request.model"] for chat in chats} == {"echo-1"}
    crashed = [s for s in collector.collected.spans if s.name == "invoke_agent boom"]
    assert [s.status.code for s in crashed] == [Status.STATUS_CODE_ERROR] * 2
    assert {_attributes(s)["error.type"] for s in crashed} == {"crashed"}
