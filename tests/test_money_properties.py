"""Money and pieces under any schedule: the budget's invariants, and one target per answer."""

from __future__ import annotations

import dataclasses
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import Context, RunOptions, mag, running
from runtime.accounts import Accounts
from runtime.catalog import ModelEntry
from runtime.errors import (
    ConnectionFailed,
    InvalidRequest,
    ProviderError,
    RateLimitError,
    RuntimeFault,
    ServerError,
    StreamInterrupted,
    Timeout,
)
from runtime.messages import ModelEvent, ModelReply, Price, Usage
from runtime.workspace import echo_catalog
from tests.conftest import LeapingEventLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anyio.streams.memory import MemoryObjectSendStream

    from runtime.messages import ModelRequest, Payer


CENT = 10**7  # nano-USD
PRICE = Price(
    input=CENT * 10**6, output=CENT * 10**6, cached_input=0, cache_write=0, source="a test"
)
ALLOWANCE = 8
MODELS = ("echo-1", "second", "third")
ERRORS: tuple[Callable[[], ProviderError], ...] = (
    lambda: ServerError("x", http_status=500),
    lambda: RateLimitError("x", http_status=429),
    lambda: ConnectionFailed("x"),
    lambda: ConnectionFailed("x", sent=True),
    lambda: Timeout("x", stage="total"),
    lambda: InvalidRequest("x", http_status=400),
    lambda: StreamInterrupted("x", usage=Usage(input_tokens=2, output_tokens=1)),
)


@dataclasses.dataclass(frozen=True)
class Fate:
    """What becomes of one call: so many pieces after so long, then this error or an answer.

    Before that, so many attempts are made whose fate nobody knows.
    """

    seconds: float
    pieces: int
    error: int | None
    lost: int = 0


FATES = st.builds(
    Fate,
    seconds=st.floats(0, 5),
    pieces=st.integers(0, 5),
    error=st.none() | st.integers(0, len(ERRORS) - 1),
    lost=st.integers(0, 2),
)


class Asked:
    """One call of a provider that does as it is told."""

    def __init__(self, request: ModelRequest, fate: Fate, payer: Payer) -> None:
        self._request = request
        self._fate = fate
        self._payer = payer

    def cancel(self) -> None:
        """There is nothing to cut off."""

    def when_done(self, notify: Callable[[], None]) -> None:
        notify()

    async def reply(self) -> ModelReply:
        for _ in range(self._fate.lost):
            self._payer.sent()
            await anyio.sleep(self._fate.seconds)
            if not await self._payer.again():
                raise Timeout("x", stage="total")
        self._payer.sent()
        await anyio.sleep(self._fate.seconds)
        if self._fate.error is not None:
            failure = ERRORS[self._fate.error]
            raise failure()
        usage = Usage(input_tokens=2, output_tokens=self._fate.pieces)
        text = self._request.model * self._fate.pieces
        return ModelReply(text=text, usage=usage, model=self._request.model)


class Provider:
    """Gives out fates in turn, and remembers who was asked."""

    def __init__(self, fates: list[Fate]) -> None:
        self._fates = iter(fates)
        self.asked: list[str] = []

    def ask(
        self,
        request: ModelRequest,
        pieces: MemoryObjectSendStream[ModelEvent] | None = None,
        *,
        payer: Payer,
    ) -> Asked:
        fate = next(self._fates, Fate(0.0, 1, None))
        self.asked.append(request.model)
        if pieces is not None:
            for _ in range(fate.pieces):
                pieces.send_nowait(ModelEvent("text", request.model + ";"))
        return Asked(request, fate, payer)


def run_with(provider: Provider, agent: Any, payload: Any, **options: Any) -> Any:
    """Run an agent whose three models fall back to each other, and return outcome and events."""
    echo = echo_catalog()
    entry = echo.providers["echo"].model_copy(
        update={"models": {name: ModelEntry() for name in MODELS}}
    )
    fallback = {f"echo/{MODELS[0]}": tuple(f"echo/{name}" for name in MODELS[1:])}
    catalog = dataclasses.replace(
        echo,
        providers={"echo": entry},
        prices={f"echo/{name}": PRICE for name in MODELS},
        routing=echo.routing.model_copy(update={"fallback": fallback}),
    )

    async def main() -> Any:
        async with running(catalog, agents=(agent,), environ={}) as system:
            outcome = await system.run(agent, payload, RunOptions(**options))
            return outcome, await system.journal.events(outcome.run_id)

    return in_virtual_time(main(), provider)


def in_virtual_time(work: Coroutine[Any, Any, Any], provider: Provider) -> Any:
    loop = LeapingEventLoop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Accounts, "ask", lambda _, *given, payer: provider.ask(*given, payer=payer))
        try:
            return loop.run_until_complete(work)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


@mag
async def spend(ctx: Context, plan: list[list[float]]) -> list[float]:
    """Ask at many times at once, some of it given up; return what the budget has in the end."""

    async def one(start: float, patience: float) -> None:
        await anyio.sleep(start)
        with anyio.move_on_after(patience), suppress(RuntimeFault):
            await ctx.ask("hi", model="echo/echo-1", max_output_tokens=ALLOWANCE)
        now = ctx.budget
        assert now.limit_usd is not None
        assert now.reserved_usd >= 0
        assert now.spent_usd + now.reserved_usd <= now.limit_usd + 1e-12

    async with anyio.create_task_group() as tasks:
        for start, patience in plan:
            tasks.start_soon(one, start, patience)
    return [ctx.budget.spent_usd, ctx.budget.reserved_usd]


PLANS = st.lists(st.tuples(st.floats(0, 10), st.floats(0.1, 20)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(plan=PLANS, fates=st.lists(FATES, max_size=36), cents=st.integers(300, 3_000))
def test_i9_i10_i14_the_budget_holds_adds_up_and_can_be_told_from_the_journal(
    plan: list[tuple[float, float]], fates: list[Fate], cents: int
) -> None:
    provider = Provider(fates)
    payload = [list(one) for one in plan]
    outcome, events = run_with(provider, spend, payload, budget_usd=cents / 100)
    assert outcome.error is None
    spent, reserved = outcome.output
    ends = [
        event for event in events if event.kind in ("invocation_completed", "invocation_failed")
    ]
    begun = [event for event in events if event.kind == "invocation_started"]
    assert reserved == pytest.approx(0, abs=1e-12)
    assert len(ends) == len(begun) == len(provider.asked)
    assert sum(event.body["settled_nano_usd"] for event in ends) == round(spent * 10**9)
    assert sum(event.cost_nano_usd for event in ends) == round((outcome.cost_usd or 0) * 10**9)


@mag
async def listen(ctx: Context) -> list[str]:
    """Read an answer in pieces to its end, whatever that is."""
    heard = []
    with suppress(RuntimeFault):
        async for event in ctx.stream("hi", model="echo/echo-1"):
            heard.append(event.text)  # noqa: PERF401  # what came before an error counts
    return heard


@settings(max_examples=100, deadline=None)
@given(fates=st.lists(FATES, max_size=4))
def test_i13_an_answer_in_pieces_comes_from_one_target(fates: list[Fate]) -> None:
    provider = Provider(fates)
    outcome, events = run_with(provider, listen, None)
    assert outcome.error is None
    assert len(set(outcome.output)) <= 1
    assert len(provider.asked) == len(set(provider.asked))
    if outcome.output:
        assert outcome.output[0] == provider.asked[-1] + ";"
    kinds = Counter(event.kind for event in events)
    ended = kinds["invocation_completed"] + kinds["invocation_failed"]
    assert kinds["invocation_started"] == ended == len(provider.asked)
