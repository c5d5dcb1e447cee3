"""A17: a provider actor that is killed in the middle of its work.

Its supervisor starts it again. What it knew of its server is still known; who waited for an answer
gets an error that says so; what is asked later is answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio
import pytest

from runtime import Context, RunOptions, mag, running
from runtime.errors import CircuitOpen, DeadlineExceeded, ProviderError, RateLimitError, Timeout
from runtime.messages import Limits, ModelReply
from tests.acceptance import KEY, a_request, accounts, catalog_of, outcomes, profile_at, until
from tests.simulated import simulator

if TYPE_CHECKING:
    from runtime.accounts import Accounts
    from runtime.actors import SupervisorRef
    from runtime.system import System
    from tests.simulated import Simulated

pytestmark = pytest.mark.real_time

WINDOW = {"*": Limits(rpm=60, burst_s=20.0, concurrency=3, concurrency_start=None)}
NOBODY = {"defaults": {"fault": "stall_before_head"}}


async def kill(asked: Accounts) -> None:
    """Kill the provider actor, and return once its next incarnation answers."""
    ref = asked._refs["p"]
    incarnation = ref.incarnation
    ref.kill()
    await until(lambda: ref.alive and ref.incarnation == incarnation + 1)


async def test_a17_who_waited_gets_an_error_and_later_calls_are_answered() -> None:
    """Three were at the server, so their fate is unknown; two had only queued."""
    with simulator(NOBODY) as server:
        async with accounts(profile_at(server, limits=WINDOW)) as asked:
            waiting = [asked.ask(a_request(str(n))) for n in range(5)]
            await until(lambda: server.seen().in_flight == 3)
            before = asked.statistics()["p"]
            await kill(asked)
            for each in waiting:
                with pytest.raises(ProviderError, match="the provider actor of p ended") as raised:
                    await each.reply()
                assert isinstance(raised.value, Timeout)
            after = asked.statistics()["p"]
            await until(lambda: server.seen().in_flight == 0)
            aborted = server.seen().aborted
            server.swap({})
            (later,) = await outcomes(asked, [a_request("later")])
    assert isinstance(later, ModelReply)
    assert (before.in_flight, before.queued) == (3, 2)
    assert (after.in_flight, after.queued) == (0, 0)
    assert after.groups["m"].charged_requests == before.groups["m"].charged_requests == 3
    assert aborted == 3


async def test_a17_a_pause_outlives_the_actor() -> None:
    """The server said 30 s; the next incarnation has not forgotten and sends nothing."""
    error = {"name": "rate_limit", "retry_after": 30}
    with simulator({"defaults": {"error": error}}) as server:
        async with accounts(profile_at(server)) as asked:
            (first,) = await outcomes(asked, [a_request(deadline=anyio.current_time() + 5.0)])
            before = asked.statistics()["p"].groups["m"]
            await kill(asked)
            after = asked.statistics()["p"].groups["m"]
            (second,) = await outcomes(asked, [a_request(deadline=anyio.current_time() + 5.0)])
        seen = server.seen()
    assert isinstance(first, RateLimitError)
    assert isinstance(second, DeadlineExceeded)
    assert after.paused_until == before.paused_until > 0
    assert seen.all.requests == 1


async def test_a17_an_open_breaker_outlives_the_actor() -> None:
    """No money before the crash is no money after it."""
    with simulator({"defaults": {"error": "quota"}}) as server:
        async with accounts(profile_at(server)) as asked:
            await outcomes(asked, [a_request()])
            await kill(asked)
            (found,) = await outcomes(asked, [a_request()])
            breaker = asked.statistics()["p"].breakers["m"]
        seen = server.seen()
    assert isinstance(found, CircuitOpen)
    assert "QuotaExhausted" in str(found)
    assert breaker.state == "disabled"
    assert seen.all.requests == 1


async def test_a17_a_used_up_window_outlives_the_actor() -> None:
    """20 of 60 a minute may go out at once; after the crash there are not 20 new ones."""
    with simulator() as server:
        async with accounts(profile_at(server, limits=WINDOW)) as asked:
            used = 19
            await outcomes(asked, [a_request(str(n)) for n in range(used)])
            await kill(asked)
            await outcomes(
                asked, [a_request(deadline=anyio.current_time() + 0.2) for _ in range(20)]
            )
            charged = asked.statistics()["p"].groups["m"].charged_requests
        seen = server.seen()
    assert used <= charged == seen.all.requests <= used + 1


async def test_a17_a_run_whose_provider_actor_dies_fails_with_a_reason_and_settles() -> None:
    """The money of the call stays spent, because its fate is unknown; nothing stays reserved."""

    @mag
    async def ask(ctx: Context) -> list[float | str]:
        try:
            await ctx.ask("hi", model="p/a", max_output_tokens=10)
        except ProviderError as error:
            reason = type(error).__name__
        return [reason, ctx.budget.spent_usd, ctx.budget.reserved_usd]

    with simulator(NOBODY) as server:
        catalog = catalog_of(server, "a")
        async with (
            running(catalog, agents=(ask,), environ={"KEY": KEY}) as system,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(kill_the_provider, system, server)
            outcome = await system.run(ask, None, RunOptions(budget_usd=10.0))
    assert outcome.output is not None, outcome.error
    reason, spent, reserved = outcome.output
    assert reason == "Timeout"
    assert spent > 0
    assert reserved == 0


async def kill_the_provider(system: System, server: Simulated) -> None:
    """Kill the provider actor of a system once the server works at a call."""
    await until(lambda: server.seen().in_flight == 1)
    (root,) = system.actors._top
    providers = cast("SupervisorRef", cast("SupervisorRef", root).child("providers"))
    (provider,) = await providers.which_children()
    assert provider.ref is not None
    provider.ref.kill()
