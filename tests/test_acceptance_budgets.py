"""Money: the limit holds at every event, and cached tokens cost what the vendor's table says."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import pytest

from providers import adapter_of
from providers.adapter import HttpResponse
from runtime import Context, RunOptions, mag, running, sag
from runtime.catalog import AttemptsEntry
from runtime.governance.cost import NANO, TOKENS_PER_REQUEST, cost_of
from runtime.messages import Price, ProviderProfile
from tests.acceptance import CENT_A_TOKEN, KEY, a_request, catalog_of
from tests.simulated import simulator

if TYPE_CHECKING:
    from runtime.journal import Record

DOLLAR = 10**9
CENT = CENT_A_TOKEN.output // 10**6
ALLOWANCE = 400


class Ledger:
    """A run's money as its journal tells it, checked at every record.

    Attributes:
        open: what is reserved for calls under way, by step.
        spent: what was settled, in nano-dollars.
        most: the most that was ever spent and reserved together.
    """

    def __init__(self) -> None:
        self.open: dict[str, int] = {}
        self.spent = 0
        self.most = 0

    def hear(self, record: Record) -> None:
        if record.kind in ("invocation_started", "invocation_retried"):
            earlier = self.open.get(record.op, 0)
            self.open[record.op] = earlier + record.body["reserved_nano_usd"]
        elif record.kind in ("invocation_completed", "invocation_failed"):
            del self.open[record.op]
            self.spent += record.body["settled_nano_usd"]
        self.most = max(self.most, self.spent + sum(self.open.values()))


@sag
async def branch(ctx: Context, number: int) -> str:
    return await ctx.ask(f"{number:04}", model="p/a", max_output_tokens=ALLOWANCE)


@mag
async def fifty(ctx: Context) -> list[Any]:
    return [result.reason for result in await ctx.fan_out(branch, range(50))]


@pytest.mark.real_time
@pytest.mark.parametrize(("failing", "attempts"), [(0.0, 1), (0.3, 1), (0.3, 3), (0.7, 3)])
async def test_a15_fifty_at_once_with_money_for_ten_never_overspend(
    failing: float, attempts: int
) -> None:
    """Each may cost the whole allowance and costs less; what is given back lets more of them go.

    Whatever breaks off the server may bill in full, also where another attempt follows it.
    """
    rules = [{"match": {"chance": failing}, "then": {"fault": "close_mid_body"}}]
    scenario = {"seed": 3, "defaults": {"output_tokens": 200, "latency": 0.01}, "rules": rules}
    ledger = Ledger()
    with simulator(scenario) as server:
        catalog = catalog_of(server, "a", attempts=AttemptsEntry(per_target=attempts))
        worst = 4 + 16 + TOKENS_PER_REQUEST + ALLOWANCE  # a byte each, what frames them
        limit = 10 * worst * CENT / DOLLAR
        async with running(catalog, agents=(fifty, branch), environ={"KEY": KEY}) as system:
            options = RunOptions(budget_usd=limit, listener=ledger.hear)
            outcome = await system.run(fifty, None, options)
        seen = server.seen()
    assert outcome.output is not None, outcome.error
    answered = outcome.output.count(None)
    assert set(outcome.output) <= {None, "budget", "provider"}
    assert "budget" in outcome.output
    assert answered >= 10 or failing
    assert ledger.most <= limit * DOLLAR
    assert ledger.open == {}
    assert outcome.cost_usd is not None
    broken_off = seen.all.requests - answered
    assert ledger.spent == round(outcome.cost_usd * DOLLAR) + broken_off * worst * CENT
    assert broken_off >= outcome.output.count("provider")


# --- A21: cached tokens --------------------------------------------------------------------------


def price(**usd: float) -> Price:
    """Return dollars a million tokens as a price."""
    nano = {name: round(each * NANO) for name, each in usd.items()}
    return Price(**nano, source="the table in this test")


CLAUDE = price(input=3, output=15, cached_input=0.3, cache_write=3.75, cache_write_1h=6)
GPT = price(input=2, output=8, cached_input=0.5, cache_write=2)
GEMINI = price(input=1.25, output=10, cached_input=0.31, cache_write=1.25)


def claude(**usage: Any) -> dict[str, Any]:
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn",
        "stop_sequence": None, "usage": usage,
    }  # fmt: skip


def chat(**usage: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "hi", "refusal": None}
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage,
    }  # fmt: skip


def responses(**usage: Any) -> dict[str, Any]:
    text = {"type": "output_text", "text": "hi", "annotations": []}
    item = {"type": "message", "id": "m1", "role": "assistant", "status": "completed"}
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "model": "m",
        "status": "completed", "output": [item | {"content": [text]}], "usage": usage,
    }  # fmt: skip


def gemini(**usage: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": "hi"}]}
    candidate = {"content": content, "finishReason": "STOP", "index": 0}
    return {"candidates": [candidate], "modelVersion": "m", "usageMetadata": usage}


CASES: dict[str, tuple[str, dict[str, Any], Price, float]] = {
    # 1,000 plain at 3, 10,000 read at 0.3, 2,000 written at 3.75, 500 out at 15 a million
    "anthropic, 5 minutes": (
        "anthropic",
        claude(
            input_tokens=1_000,
            cache_read_input_tokens=10_000,
            cache_creation_input_tokens=2_000,
            cache_creation={"ephemeral_5m_input_tokens": 2_000, "ephemeral_1h_input_tokens": 0},
            output_tokens=500,
        ),
        CLAUDE,
        0.003 + 0.003 + 0.0075 + 0.0075,
    ),
    # of 3,000 written, 2,000 are kept for an hour at 6
    "anthropic, an hour": (
        "anthropic",
        claude(
            input_tokens=10,
            cache_read_input_tokens=0,
            cache_creation_input_tokens=3_000,
            cache_creation={
                "ephemeral_5m_input_tokens": 1_000,
                "ephemeral_1h_input_tokens": 2_000,
            },
            output_tokens=100,
        ),
        CLAUDE,
        0.00003 + 0.00375 + 0.012 + 0.0015,
    ),
    # 10,000 in, of which 8,000 cached; 1,000 out, of which 600 reasoning: billed once
    "openai chat": (
        "openai_chat",
        chat(
            prompt_tokens=10_000,
            prompt_tokens_details={"cached_tokens": 8_000},
            completion_tokens=1_000,
            completion_tokens_details={"reasoning_tokens": 600},
            total_tokens=11_000,
        ),
        GPT,
        0.004 + 0.004 + 0.008,
    ),
    "openai responses": (
        "openai_responses",
        responses(
            input_tokens=10_000,
            input_tokens_details={"cached_tokens": 8_000},
            output_tokens=1_000,
            output_tokens_details={"reasoning_tokens": 600},
            total_tokens=11_000,
        ),
        GPT,
        0.004 + 0.004 + 0.008,
    ),
    # 6,000 in, of which 5,000 cached at 0.31; 200 answered and 300 thought, both at 10
    "google": (
        "google",
        gemini(
            promptTokenCount=6_000,
            cachedContentTokenCount=5_000,
            candidatesTokenCount=200,
            thoughtsTokenCount=300,
            totalTokenCount=6_500,
        ),
        GEMINI,
        0.00125 + 0.00155 + 0.005,
    ),
}


@pytest.mark.parametrize(("dialect", "answer", "table", "usd"), CASES.values(), ids=CASES)
def test_a21_cached_tokens_cost_what_the_table_says(
    dialect: str, answer: dict[str, Any], table: Price, usd: float
) -> None:
    """To a billionth of a dollar, computed by hand above each case."""
    profile = ProviderProfile(name="p", dialect=dialect, base_url="http://127.0.0.1", api_key=KEY)
    response = HttpResponse(200, {}, json.dumps(answer).encode())
    reply = adapter_of(profile).parse_reply(response, a_request())
    assert reply.usage is not None
    assert cost_of(reply.usage, table) / DOLLAR == pytest.approx(usd, abs=1e-9)


@pytest.mark.real_time
@pytest.mark.parametrize("share", [0.0, 0.75])
async def test_a21_a_run_pays_what_the_server_counted(share: float) -> None:
    """The same prompt costs less by as much as its cached share is cheaper."""

    @mag
    async def ask(ctx: Context) -> str:
        return await ctx.ask("word " * 160, model="p/a", max_output_tokens=ALLOWANCE)

    table = price(input=100, output=1_000, cached_input=10, cache_write=100)
    with simulator({"defaults": {"cached_share": share, "output_tokens": 10}}) as server:
        catalog = dataclasses.replace(catalog_of(server, "a"), prices={"p/a": table})
        async with running(catalog, agents=(ask,), environ={"KEY": KEY}) as system:
            outcome = await system.run(ask)
        seen = server.seen()
    assert outcome.cost_usd is not None
    cached = round(share * seen.input_tokens)
    plain = seen.input_tokens - cached
    assert outcome.cost_usd == pytest.approx((plain * 100 + cached * 10 + 10 * 1_000) / 1e6)
