"""A step has one key, whoever does it and however often; another step has another one."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from runtime import BlockingContext, Context, ResumeOptions, RunOptions, mag, running, sag, skill
from tests.chat_server import chat_server, completion
from tests.echoes import at, catalog_of
from tests.interrupted import ends, recorded_until, resumed

if TYPE_CHECKING:
    from runtime.journal import Record

KEYS: list[str] = []
TRIES: list[int] = []

pytestmark = pytest.mark.real_time


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    KEYS.clear()
    TRIES.clear()


@skill(idempotent=True)
def pay(ctx: BlockingContext, amount: int) -> str:
    """Pay, with the key of the step."""
    KEYS.append(ctx.idempotency_key)
    return f"receipt {amount}"


@skill
async def slow(ctx: Context, amount: int) -> str:
    """Take longer than its caller lives, the first time."""
    KEYS.append(ctx.idempotency_key)
    if len(KEYS) == 1:
        await anyio.sleep(5)
    return f"receipt {amount}"


@mag
async def payer(ctx: Context) -> list[str]:
    """Pay thrice, twice the same."""
    paid = [await ctx.use(pay, amount) for amount in (1, 1, 2)]
    KEYS.append(ctx.idempotency_key)
    return paid


async def test_each_step_has_a_key_of_its_own() -> None:
    async with running(agents=(payer,), environ={}) as system:
        for run_id in ("one", "two"):
            await system.run(payer, None, RunOptions(run_id=run_id))
    assert len(set(KEYS)) == len(KEYS) == 8
    assert all(str(uuid.UUID(key)) == key for key in KEYS)


async def test_what_was_in_flight_at_a_kill_is_done_again_with_the_same_key() -> None:
    seen = iter((False, True))

    def second(record: Record) -> bool:
        return record.kind == "skill_started" and next(seen)

    records = await recorded_until(payer, second)
    keys = KEYS.copy()
    KEYS.clear()
    outcome, _ = await resumed(payer, records)
    assert outcome.output == ["receipt 1", "receipt 1", "receipt 2"]
    assert keys[1:] == KEYS


@sag
async def crashes(ctx: Context) -> str:
    """Crash once while it pays."""
    TRIES.append(1)
    got: list[str] = []

    async def use() -> None:
        got.append(await ctx.use(slow, 5))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(use)
        if len(TRIES) == 1:
            while not KEYS:  # noqa: ASYNC110  # what it waits for belongs to no loop
                await anyio.sleep(0.001)
            raise ZeroDivisionError
    return got[0]


@sag
async def fails(ctx: Context) -> str:
    """Crash of a skill that fails the first time."""
    return await ctx.use(flaky, 5)


@skill(idempotent=True, inline=True)
def flaky(ctx: Context, amount: int) -> str:
    """Fail the first time, when it may have paid already."""
    KEYS.append(ctx.idempotency_key)
    if len(KEYS) == 1:
        raise ConnectionError
    return f"receipt {amount}"


@pytest.mark.parametrize("agent", [crashes, fails])
async def test_a_body_that_is_started_again_pays_with_the_same_key(agent: Any) -> None:
    @mag
    async def above(ctx: Context) -> str:
        return (await ctx.delegate(agent)).unwrap()

    async with running(agents=(above, agent), environ={}) as system:
        outcome = await system.run(above)
    assert outcome.output == "receipt 5"
    assert len(KEYS) == 2
    assert KEYS[0] == KEYS[1]


async def test_a_skill_that_a_model_calls_has_a_key_too() -> None:
    @mag
    async def asks(ctx: Context) -> str:
        return await ctx.ask("go", tools=[pay])

    def answer(body: dict[str, Any]) -> Any:
        status, reply = completion("done")
        if len(body["messages"]) == 1:
            call = {"name": "pay", "arguments": '{"amount": 3}'}
            calls = [{"id": str(n), "type": "function", "function": call} for n in (1, 2)]
            reply["choices"][0]["message"]["tool_calls"] = calls
            reply["choices"][0]["finish_reason"] = "tool_calls"
        return status, reply

    with chat_server(answer) as server:
        catalog = catalog_of({"home": at(server.url)})
        async with running(catalog, agents=(asks,), environ={}) as system:
            outcome = await system.run(asks)
    assert outcome.output == "done"
    assert len(set(KEYS)) == len(KEYS) == 2


@skill(side_effects=True)
def wire(amount: int) -> None:
    """Pay without a key."""
    time.sleep(0)  # noqa: TID251  # a thread


async def test_only_a_skill_without_a_key_is_in_doubt() -> None:
    @mag
    async def both(ctx: Context, which: str = "") -> None:
        await ctx.use(pay, 1)
        await ctx.use(wire, 1)

    records = await recorded_until(both, ends("skill_started", "/pay:"))
    assert (await resumed(both, records))[0].ok
    records = await recorded_until(both, ends("skill_started", "/wire:"))
    assert (await resumed(both, records))[0].status == "waiting"
    assert (await resumed(both, records, ResumeOptions(retry_in_doubt=True)))[0].ok
