"""What a model call costs its run, whatever it ends with."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import pytest

from runtime import Agent, Context, RunOptions, mag, running, sag
from runtime.accounts import Accounts
from runtime.errors import ConnectionFailed, ServerError, StreamInterrupted, Timeout
from runtime.journal import CallQuery, JournalFailed, MemoryJournal
from runtime.messages import ModelReply, Price, Usage
from runtime.pricing import Pricing
from tests.echoes import FRAME, catalog_of, price, provider, told

if TYPE_CHECKING:
    from runtime.errors import RuntimeFault
    from runtime.journal import CallRow
    from runtime.messages import Payer

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

    def __call__(self, *_: Any, payer: Payer) -> Settled:
        self._payer = payer
        return self

    async def reply(self) -> ModelReply:
        self.attempts = 0
        for _ in range(self._lost):
            self._send()
            if not await self._payer.again():
                raise Timeout("x", stage="total")
        self._send()
        if isinstance(self._outcome, ModelReply):
            return self._outcome
        raise self._outcome

    def _send(self) -> None:
        self._payer.sent()
        self.attempts += 1


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


class Full(MemoryJournal):
    """A journal whose disk is full."""

    async def room(self) -> None:
        raise JournalFailed("the disk is full")


@pytest.mark.parametrize("budget", [None, 1.0])
async def test_nobody_is_asked_while_the_journal_cannot_be_written(budget: float | None) -> None:
    came = await told(
        catalog_of({"home": provider("echo-1")}),
        slow,
        agents=(slow,),
        journal=Full(),
        budget_usd=budget,
    )
    assert came.outcome.error == "the disk is full"
    assert not came.begun


# --- an account that takes one call at a time ----------------------------------------------------


@mag
async def impatient(ctx: Context) -> float:
    """Ask four at once; the first is under way after a second, the others still wait."""
    with anyio.move_on_after(1.0):
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(ask_one, ctx)
    return ctx.budget.spent_usd


async def ask_one(ctx: Context) -> None:
    await ctx.ask("hi", max_output_tokens=ALLOWANCE)


@sag
async def slow(ctx: Context) -> None:
    await ask_one(ctx)


@mag
async def hurried(ctx: Context) -> float:
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(partial(ctx.delegate, slow, deadline=1.0))
    return ctx.budget.spent_usd


@pytest.mark.parametrize("agent", [impatient, hurried])
async def test_a_call_that_was_given_up_before_it_was_sent_costs_nothing(agent: Agent) -> None:
    narrow: Any = {"concurrency": 1}
    home = provider("echo-1", options={"latency_s": 60.0}, limits=narrow)
    catalog = catalog_of({"home": home}, prices={"home/echo-1": price()})
    came = await told(catalog, agent, agents=(slow,), budget_usd=1_000)
    worst = (2 + FRAME + ALLOWANCE) * CENT
    assert round(came.outcome.output * 10**9) == worst
    attempts = sorted((row.attempts, row.settled_nano_usd) for row in came.calls)
    assert attempts == [(0, 0), (0, 0), (0, 0), (1, worst)]
    assert {row.status for row in came.calls} == {"failed"}
