"""What a model call costs its run, whatever it ends with."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from runtime import Context, RunOptions, mag, running
from runtime.accounts import Accounts
from runtime.errors import ConnectionFailed, ServerError, StreamInterrupted, Timeout
from runtime.messages import ModelReply, Price, Usage
from runtime.pricing import Pricing

if TYPE_CHECKING:
    from runtime.errors import RuntimeFault

CENT = 10**7  # nano-USD
PRICE = Price(  # one cent a token
    input=CENT * 10**6, output=CENT * 10**6, cached_input=0, cache_write=0, source="a test"
)
ALLOWANCE = 10
LOST = Usage(input_tokens=3, output_tokens=4)


class Settled:
    """A provider that ends every call in one way."""

    def __init__(self, outcome: ModelReply | RuntimeFault) -> None:
        self._outcome = outcome

    def __call__(self, *_: Any) -> Settled:
        return self

    async def reply(self) -> ModelReply:
        if isinstance(self._outcome, ModelReply):
            return self._outcome
        raise self._outcome


@mag
async def ask(ctx: Context) -> float:
    with suppress(Exception):  # what it cost is the question
        await ctx.ask("hi", model="echo/echo-1", max_output_tokens=ALLOWANCE)
    return ctx.budget.spent_usd


def with_lost(error: Any) -> Any:
    error.lost_usage = LOST
    return error


async def cents(outcome: ModelReply | RuntimeFault, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return what a run has spent after one call, in cents."""
    monkeypatch.setattr(Accounts, "ask", Settled(outcome))
    monkeypatch.setattr(Pricing, "of", lambda *_: PRICE)
    async with running(agents=(ask,), environ={}) as system:
        done = await system.run(ask, None, RunOptions(budget_usd=1_000.0))
    assert done.error is None
    return round(done.output * 100)


async def test_an_answer_costs_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = Usage(input_tokens=5, output_tokens=2)
    assert await cents(ModelReply(text="x", usage=usage, model="m"), monkeypatch) == 7


async def test_attempts_whose_fate_nobody_knows_are_paid_beside_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = Usage(input_tokens=5, output_tokens=2)
    reply = ModelReply(text="x", usage=usage, model="m", lost_usage=LOST)
    assert await cents(reply, monkeypatch) == 14


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ServerError("x", http_status=500), 0),
        (with_lost(ServerError("x", http_status=500)), 7),
        (ConnectionFailed("x"), 0),
        (Timeout("x", stage="connect"), 0),
        (StreamInterrupted("x", usage=Usage(input_tokens=5, output_tokens=1)), 6),
        (with_lost(StreamInterrupted("x", usage=Usage(input_tokens=5, output_tokens=1))), 13),
    ],
    ids=repr,
)
async def test_a_failure_costs_what_is_known(
    error: RuntimeFault, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await cents(error, monkeypatch) == expected


async def test_a_failure_of_unknown_fate_costs_its_worst_case_and_that_of_those_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = await cents(Timeout("x", stage="total"), monkeypatch)
    assert alone > ALLOWANCE
    monkeypatch.undo()
    assert await cents(with_lost(Timeout("x", stage="total")), monkeypatch) == alone + 7
