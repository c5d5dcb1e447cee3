"""One line's call: whatever happens is an outcome, and a cancellation reaches the account."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from otel import Tracing
from runtime.bulk.allowance import Allowance
from runtime.bulk.call import Caller
from runtime.bulk.destination import Destinations
from runtime.bulk.line import Line
from runtime.catalog import load_catalog
from runtime.errors import ServerError
from runtime.governance.budget import Budget
from runtime.identity import wall_clock
from runtime.invocations.case import Asker
from runtime.invocations.invocation import Doors
from runtime.invocations.reservation import Reservations
from runtime.journal import MemoryJournal
from runtime.messages import Message, ModelReply, ModelRequest, Usage
from runtime.rules import Rules
from runtime.run import Run
from tests.shipped import CATALOG

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.messages import ProviderProfile

LINE = Line(
    id="a",
    request=ModelRequest(provider="echo", model="echo-1", messages=(Message("user", "x"),)),
    timeout_s=7.0,
    warnings=("w",),
)


class Asked:
    def __init__(self, answer: Callable[[], Awaitable[ModelReply]]) -> None:
        self.reply = answer


class Accounts:
    """Answers as a test says."""

    def __init__(self, answer: Callable[[], Awaitable[ModelReply]]) -> None:
        self.added: list[ProviderProfile] = []
        self.requests: list[ModelRequest] = []
        self._answer = answer

    def add(self, profile: ProviderProfile) -> None:
        self.added.append(profile)

    def ask(self, request: ModelRequest, pieces: Any = None, payer: Any = None) -> Asked:
        assert payer is not None
        assert pieces is None
        self.requests.append(request)
        return Asked(self._answer)


def a_caller(accounts: Accounts, journal: MemoryJournal | None = None) -> Caller:
    tracing, catalog = Tracing(), load_catalog(CATALOG)
    rules = Rules(catalog, {}, wall_clock)
    run = Run(
        "run", "invoke", budget=Budget(None), journal=journal or MemoryJournal(), clock=wall_clock
    )
    asker = Asker(
        run=run,
        agent="invoke",
        path=("invoke",),
        op="",
        task_id="",
        totals=(),
        span=tracing.start("test"),
        reason_of=lambda error: type(error).__name__,
    )
    return Caller(
        asker,
        accounts=accounts,  # type: ignore[arg-type]  # what is asked of it, it does
        destinations=Destinations(catalog, {}, Allowance(), rules, check=lambda _: None),
        price_of=lambda *_: None,
        rules=rules,
        doors=Doors(tracing, Reservations(), lambda _: None),
    )


async def answers() -> ModelReply:
    return ModelReply(text="x", usage=Usage(), model="echo-1", endpoint="echo", provider="echo")


async def test_an_account_is_made_known_once_and_the_time_begins_with_the_call() -> None:
    accounts = Accounts(answers)
    caller = a_caller(accounts)
    for _ in range(2):
        await anyio.sleep(10)
        outcome = await caller.call(LINE)
        assert outcome.ok
        assert json.loads(outcome.record)["warnings"] == ["w"]
    assert [profile.name for profile in accounts.added] == ["echo"]
    assert [request.deadline for request in accounts.requests] == [17.0, 27.0]
    assert {request.account for request in accounts.requests} == {"echo"}
    assert {(request.run_id, request.task_id) for request in accounts.requests} == {("run", "a")}


@pytest.mark.parametrize("error", [ServerError("it broke"), ZeroDivisionError("a bug of ours")])
async def test_an_error_is_an_outcome_even_one_that_nobody_foresaw(error: Exception) -> None:
    async def fails() -> ModelReply:
        raise error

    outcome = await a_caller(Accounts(fails)).call(LINE)
    told = json.loads(outcome.record)
    assert (told["ok"], told["id"], told["provider"]) == (False, "a", "echo")
    assert told["error"]["class"] == type(error).__name__
    assert told["error"]["message"] == str(error)


async def test_a_cancellation_goes_through() -> None:
    ended: list[str] = []

    async def never() -> ModelReply:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")
        raise AssertionError

    with anyio.move_on_after(1) as scope:
        await a_caller(Accounts(never)).call(LINE)
    assert scope.cancelled_caught
    assert ended == ["cancelled"]
