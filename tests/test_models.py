"""Model calls as an agent makes them, judged by what the server saw."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from pydantic import BaseModel

from runtime import Context, RunOptions, mag, running, sag
from runtime.agent import Limits
from runtime.catalog import Policy, ProviderEntry
from runtime.errors import ProviderError
from runtime.messages import Price
from runtime.workspace import echo_catalog
from tests.authors import run
from tests.chat_server import chat_server, completion

if TYPE_CHECKING:
    from runtime import Agent, RunOutcome
    from runtime.catalog import Catalog
    from tests.chat_server import ChatServer

CANARY = "sk-canary-0123456789abcdef"
DOLLAR = Price(  # one dollar per thousand tokens, so that figures can be read
    input=1_000 * 10**9,
    output=1_000 * 10**9,
    cached_input=1_000 * 10**9,
    cache_write=1_000 * 10**9,
    source="a test",
)


class Finding(BaseModel):
    answer: str
    score: int


@mag
async def ask(ctx: Context, prompt: str) -> str:
    return await ctx.ask(prompt, model="openai/m", max_output_tokens=20)


def catalog_of(server: ChatServer, *policies: Policy, priced: bool = True) -> Catalog:
    echo = echo_catalog()
    openai = ProviderEntry(
        dialect="openai_chat",
        base_url=server.url,
        api_key_env=("KEY",),
        api_key_required=True,
        any_model=True,
    )
    return dataclasses.replace(
        echo,
        providers={**echo.providers, "openai": openai},
        policies=policies,
        prices={"openai/m": DOLLAR} if priced else {},
    )


async def run_with(
    catalog: Catalog, agent: Agent, payload: Any = None, **options: Any
) -> tuple[RunOutcome, list[Any]]:
    async with running(catalog, agents=(agent,), environ={"KEY": CANARY}) as system:
        outcome = await system.run(agent, payload, RunOptions(**options))
        return outcome, await system.journal.events(outcome.run_id)


@pytest.mark.real_time
async def test_a_call_is_answered_counted_priced_and_journalled() -> None:
    with chat_server(lambda _: completion("hello", prompt=100, answer=10)) as server:
        outcome, events = await run_with(catalog_of(server), ask, "say hello")
    assert outcome.output == "hello"
    assert outcome.usage == {"calls": 1, "errors": 0, "input_tokens": 100, "output_tokens": 10}
    assert outcome.cost_usd == pytest.approx(110 / 1000)
    assert server.requests[0]["messages"][-1] == {"role": "user", "content": "say hello"}
    kinds = [event.kind for event in events]
    assert kinds == [
        "run_started",
        "delegation_sent",
        "delegation_started",
        "invocation_started",
        "invocation_completed",
        "delegation_completed",
        "run_completed",
    ]
    assert events[3].op == events[4].op
    assert events[4].cost_nano_usd == 110 * 10**6


@pytest.mark.parametrize("counts", [(10**16, 10), (0, 0)])
@pytest.mark.real_time
async def test_a_count_that_cannot_be_is_taken_for_an_estimate_and_counts_at_its_worst(
    counts: tuple[int, int],
) -> None:
    prompt, answered = counts
    with chat_server(lambda _: completion("hello", prompt=prompt, answer=answered)) as server:
        outcome, events = await run_with(catalog_of(server), ask, "say hello", budget_usd=9)
    assert outcome.output == "hello"
    (begun,) = [event for event in events if event.kind == "invocation_started"]
    (end,) = [event for event in events if event.kind == "invocation_completed"]
    assert 0 < end.body["usage"]["input_tokens"] < 100
    assert end.body["settled_nano_usd"] == begun.body["reserved_nano_usd"]
    assert "they are estimated" in end.body["warnings"][-1]


@pytest.mark.real_time
@pytest.mark.parametrize(("said", "strict"), [({}, True), (True, True), (False, False)])
async def test_structured_output_is_as_a_payload_says(said: Any, strict: bool) -> None:
    @mag
    async def typed(ctx: Context) -> Finding:
        return (await ctx.delegate(worker, {"model_config": config})).unwrap()

    @sag
    async def worker(ctx: Context, payload: dict[str, Any]) -> Finding:
        return await ctx.ask("find", returns=Finding, model="openai/m")

    config = {} if said == {} else {"structured_output": said}
    with chat_server(lambda _: completion('{"answer": "yes", "score": 3}')) as server:
        outcome, _ = await run_with(catalog_of(server), typed)
    assert outcome.error is None
    assert server.requests[0]["response_format"]["json_schema"]["strict"] is strict


@pytest.mark.real_time
async def test_the_key_reaches_the_server_and_nothing_else() -> None:
    with chat_server(lambda _: (401, {"error": {"message": f"bad {CANARY}"}})) as server:
        outcome, events = await run_with(catalog_of(server), ask, "x")
    assert server.headers[0]["authorization"] == f"Bearer {CANARY}"
    assert outcome.reason == "provider"
    assert CANARY not in repr(outcome) + repr(events)


@pytest.mark.real_time
async def test_an_answer_of_a_type_is_asked_for_with_a_schema_and_checked() -> None:
    @mag
    async def typed(ctx: Context) -> Finding:
        return await ctx.ask("find", returns=Finding, model="openai/m")

    @mag
    async def listed(ctx: Context) -> list[int]:
        return await ctx.ask("find", returns=list[int], model="openai/m")

    answers = iter(['{"answer": "yes", "score": 3}', '```json\n{"answer": [1, 2]}\n```', "no JSON"])
    with chat_server(lambda _: completion(next(answers))) as server:
        catalog = catalog_of(server)
        assert (await run_with(catalog, typed))[0].output == {"answer": "yes", "score": 3}
        assert (await run_with(catalog, listed))[0].output == [1, 2]
        wrong, _ = await run_with(catalog, typed)
    assert server.requests[0]["response_format"]["type"] == "json_schema"
    assert wrong.reason == "invalid_output"
    assert (wrong.error or "").startswith("answer of openai/m: value: Invalid JSON")


@pytest.mark.real_time
async def test_a_denied_model_is_never_contacted() -> None:
    rule = Policy("production", "f.yaml:2", "", frozenset(("other",)), None, {})
    with chat_server(lambda _: completion("x")) as server:
        outcome, _ = await run_with(catalog_of(server, rule), ask, "x")
    assert server.requests == []
    assert (outcome.reason, outcome.exit_code) == ("denied", 4)
    assert outcome.error == "policy production (f.yaml:2): m is not among the models: other"


@pytest.mark.real_time
async def test_data_of_a_class_goes_only_to_the_models_that_may_see_it() -> None:
    rule = Policy("residency", "f.yaml:2", "", None, None, {"pii": frozenset(("echo-1",))})

    @sag
    async def clerk(ctx: Context, model: str) -> str:
        return await ctx.ask("x", model=model)

    @mag
    async def main(ctx: Context) -> list[Any]:
        return [r.reason for r in await ctx.fan_out(clerk, ["openai/m", "echo-1"])]

    with chat_server(lambda _: completion("x")) as server:
        catalog = catalog_of(server, rule)
        async with running(catalog, agents=(main,), environ={"KEY": CANARY}) as system:
            system.directory.add_agent(clerk, Limits(data_class="pii"))
            outcome = await system.run(main)
    assert outcome.output == ["denied", None]
    assert server.requests == []


@pytest.mark.real_time
async def test_a_run_never_spends_more_than_its_budget_at_any_concurrency() -> None:
    """Ten branches ask at once; each call may cost a lot and costs little."""

    @sag
    async def branch(ctx: Context, n: int) -> str:
        return await ctx.ask(f"{n}", model="openai/m", max_output_tokens=20)

    @mag
    async def main(ctx: Context) -> int:
        return sum(r.ok for r in await ctx.fan_out(branch, range(10)))

    with chat_server(lambda _: completion("x", prompt=10, answer=10)) as server:
        outcome, _ = await run_with(catalog_of(server), main, budget_usd=0.45)
    assert outcome.cost_usd is not None
    assert outcome.cost_usd <= 0.45
    assert outcome.output == len(server.requests) == round(outcome.cost_usd / 0.02)
    assert 1 <= outcome.output < 10


@pytest.mark.real_time
async def test_a_budget_that_is_too_small_ends_the_run_before_anything_is_asked() -> None:
    with chat_server(lambda _: completion("x")) as server:
        outcome, _ = await run_with(catalog_of(server), ask, "x", budget_usd=0.001)
    assert server.requests == []
    assert (outcome.reason, outcome.exit_code) == ("budget", 3)
    assert "budget is $0.001," in (outcome.error or "")


@pytest.mark.real_time
async def test_a_policys_limit_on_a_run_holds_against_a_larger_budget() -> None:
    rule = Policy("cost_limits", "f.yaml:9", "", None, 10**6, {})
    with chat_server(lambda _: completion("x")) as server:
        outcome, _ = await run_with(catalog_of(server, rule), ask, "x", budget_usd=5)
    assert server.requests == []
    assert "(policy cost_limits, f.yaml:9)" in (outcome.error or "")


@pytest.mark.real_time
async def test_a_model_without_a_price_is_unpriced_and_not_asked_under_a_budget() -> None:
    with chat_server(lambda _: completion("x")) as server:
        catalog = catalog_of(server, priced=False)
        free, _ = await run_with(catalog, ask, "x")
        limited, _ = await run_with(catalog, ask, "x", budget_usd=1)
    assert (free.cost_usd, free.unpriced_calls) == (None, 1)
    assert len(server.requests) == 1
    assert "nobody knows the price of openai/m" in (limited.error or "")


@pytest.mark.real_time
async def test_a_provider_error_is_the_agents_to_handle() -> None:
    @mag
    async def careful(ctx: Context) -> str:
        try:
            return await ctx.ask("x", model="openai/m")
        except ProviderError as error:
            return f"{type(error).__name__} {error.http_status}"

    reply = (503, {"error": {"message": "busy", "type": "server_error"}})
    with chat_server(lambda _: reply) as server:
        outcome, events = await run_with(catalog_of(server), careful)
    assert outcome.output is not None
    assert outcome.output.endswith(" 503")
    assert outcome.usage["errors"] == 1
    assert [e.kind for e in events].count("invocation_failed") == 1


@pytest.mark.real_time
async def test_a_server_that_is_not_there_is_one_clear_error() -> None:
    dead = ProviderEntry(dialect="openai_chat", base_url="http://127.0.0.1:9/v1", any_model=True)
    catalog = dataclasses.replace(echo_catalog(), providers={"openai": dead})
    outcome, _ = await run_with(catalog, ask, "x")
    assert outcome.reason == "provider"
    assert "127.0.0.1:9" in (outcome.error or "")


async def test_preferred_model_of_a_delegation_beats_the_environment_and_code_beats_both() -> None:
    @sag(model="fast")
    async def teller(ctx: Context) -> str:
        await ctx.ask("x")
        return ""

    @mag
    async def main(ctx: Context) -> None:
        await ctx.delegate(teller)
        await ctx.delegate(teller, context={"preferred_model": "extract-1"})
        await ctx.ask("x", model="extract-1")

    environ = {"MAGSAG_MODEL": "echo-1"}
    async with running(agents=(main,), environ=environ) as system:
        outcome = await system.run(main)
        events = await system.journal.events(outcome.run_id)
    asked = [e.body["model"] for e in events if e.kind == "invocation_started"]
    assert asked == ["echo-1", "extract-1", "extract-1"]


async def test_an_unknown_model_or_provider_is_refused_before_anything_runs() -> None:
    from runtime.errors import UnknownName  # noqa: PLC0415

    wrong: tuple[dict[str, Any], ...] = ({"model": "gpt-9"}, {"provider": "opnai"})
    for options in wrong:
        with pytest.raises(UnknownName):
            await run(ask, "x", **options)


async def test_a_call_past_the_deadline_ends_with_its_run() -> None:
    slow = dataclasses.replace(
        echo_catalog(),
        providers={
            "echo": echo_catalog()
            .providers["echo"]
            .model_copy(update={"options": {"latency_s": 60}})
        },
    )

    @mag
    async def main(ctx: Context) -> str:
        return await ctx.ask("x")

    begun = anyio.current_time()
    outcome, events = await run_with(slow, main, deadline_s=2)
    assert outcome.reason == "deadline"
    assert anyio.current_time() - begun == pytest.approx(2, abs=0.2)
    assert [e.kind for e in events if e.kind.startswith("invocation")][-1] == "invocation_failed"


@pytest.mark.real_time
async def test_what_a_call_may_have_cost_stays_spent_when_its_answer_is_garbage() -> None:
    @mag
    async def main(ctx: Context) -> float:
        with pytest.raises(ProviderError):
            await ctx.ask("x", model="openai/m", max_output_tokens=20)
        return ctx.budget.spent_usd

    with chat_server(lambda _: (200, {"bogus": True})) as server:
        outcome, events = await run_with(catalog_of(server), main, budget_usd=1)
    assert outcome.output is not None, outcome.error
    assert outcome.output > 0.02
    failed = [e.body for e in events if e.kind == "invocation_failed"]
    assert failed[0]["billed"] == "unknown"


async def test_a_type_without_a_schema_is_one_clear_error() -> None:
    class Opaque: ...

    @mag
    async def other(ctx: Context) -> Any:
        return await ctx.ask("x", returns=Opaque, model="extract-1")

    assert (await run(other)).reason == "configuration"
