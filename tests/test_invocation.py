"""What a model call costs its run, whatever it ends with."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from runtime import Context, RunOptions, mag, running
from runtime.accounts import Accounts
from runtime.errors import ConnectionFailed, ServerError, StreamInterrupted, Timeout
from runtime.journal import CallQuery
from runtime.messages import ModelReply, Price, Usage
from runtime.pricing import Pricing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.errors import RuntimeFault
    from runtime.journal import CallRow

CENT = 10**7  # nano-USD
PRICE = Price(  # one cent a token
    input=CENT * 10**6, output=CENT * 10**6, cached_input=0, cache_write=0, source="a test"
)
ALLOWANCE = 10


class Settled:
    """A provider that ends every call in one way, after some attempts whose fate nobody knows."""

    def __init__(self, outcome: ModelReply | RuntimeFault, lost: int) -> None:
        self._outcome = outcome
        self._lost = lost
        self.attempts = 0

    def __call__(self, *_: Any, again: Callable[[], Awaitable[bool]]) -> Settled:
        self._again = again
        return self

    async def reply(self) -> ModelReply:
        self.attempts = 1
        for _ in range(self._lost):
            if not await self._again():
                raise Timeout("x", stage="total")
            self.attempts += 1
        if isinstance(self._outcome, ModelReply):
            return self._outcome
        raise self._outcome


@mag
async def ask(ctx: Context) -> float:
    with suppress(Exception):  # what it cost is the question
        await ctx.ask("hi", model="echo/echo-1", max_output_tokens=ALLOWANCE)
    return ctx.budget.spent_usd


class Came(NamedTuple):
    """What came of a run with one call, in cents, and what the audit trail says of it."""

    spent: int
    known: int
    attempts: int
    row: CallRow


async def cents(
    outcome: ModelReply | RuntimeFault,
    monkeypatch: pytest.MonkeyPatch,
    lost: int = 0,
    budget: float = 1_000.0,
) -> Came:
    provider = Settled(outcome, lost)
    monkeypatch.setattr(Accounts, "ask", provider)
    monkeypatch.setattr(Pricing, "of", lambda *_: PRICE)
    async with running(agents=(ask,), environ={}) as system:
        done = await system.run(ask, None, RunOptions(budget_usd=budget))
        await system.journal.flush()
        (filed,) = await system.journal.calls(CallQuery())
    assert done.error is None
    known = round((done.cost_usd or 0) * 100)
    return Came(round(done.output * 100), known, provider.attempts, filed.call)


async def worst_case(monkeypatch: pytest.MonkeyPatch) -> int:
    worst = (await cents(Timeout("x", stage="total"), monkeypatch)).spent
    assert worst > ALLOWANCE
    return worst


def answer(**fields: Any) -> ModelReply:
    usage = Usage(input_tokens=5, output_tokens=2)
    return ModelReply(text="x", usage=usage, model="m", **fields)


async def test_an_answer_costs_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    came = await cents(answer(), monkeypatch)
    assert (came.spent, came.known) == (7, 7)


async def test_attempts_whose_fate_nobody_knows_count_at_their_worst_beside_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worst = await worst_case(monkeypatch)
    came = await cents(answer(), monkeypatch, lost=2)
    assert (came.spent, came.known) == (7 + 2 * worst, 7)
    assert came.row.settled_nano_usd == came.spent * CENT
    assert came.row.reserved_nano_usd == 3 * worst * CENT


async def test_an_answer_whose_tokens_are_only_estimated_counts_at_its_worst(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worst = await worst_case(monkeypatch)
    came = await cents(answer(usage_source="estimated"), monkeypatch)
    assert (came.spent, came.known) == (worst, 7)


@pytest.mark.parametrize(
    ("error", "known", "lost"),
    [
        (ServerError("x", http_status=500), 0, 0),
        (ServerError("x", http_status=500), 0, 1),
        (ConnectionFailed("x"), 0, 0),
        (Timeout("x", stage="connect"), 0, 0),
        (StreamInterrupted("x", usage=Usage(input_tokens=5, output_tokens=1)), 6, 0),
        (StreamInterrupted("x", usage=Usage(input_tokens=5, output_tokens=1)), 6, 1),
    ],
    ids=repr,
)
async def test_a_failure_costs_what_is_known_and_the_worst_of_what_is_not(
    error: RuntimeFault, known: int, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    worst = await worst_case(monkeypatch)
    came = await cents(error, monkeypatch, lost=lost)
    assert (came.spent, came.known) == (known + lost * worst, known)


async def test_a_failure_of_unknown_fate_counts_at_its_worst_like_those_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worst = await worst_case(monkeypatch)
    assert (await cents(Timeout("x", stage="total"), monkeypatch, lost=2)).spent == 3 * worst


async def test_nobody_tries_again_who_could_not_pay_for_the_last_attempt_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worst = await worst_case(monkeypatch)
    came = await cents(answer(), monkeypatch, lost=5, budget=(2 * worst + 1) / 100)
    assert (came.attempts, came.spent) == (2, 2 * worst)
    assert came.row.status == "failed"
