"""One account on several nodes, with its real calls: what one is told, all keep to."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import anyio
import pytest

from providers import ProviderActors
from providers.actor import ProviderActor
from runtime.errors import AuthFailed, CircuitOpen, DeadlineExceeded, RateLimitError, ServerError
from runtime.messages import Limits, ProviderProfile
from tests.fake_backends import Scripted, a_reply, a_request, call, outcome_of, outcomes_of
from tests.shared_accounts import Ether

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

A_SECOND = Limits(rpm=60, share=1.0, burst_s=0.0, concurrency_start=None)  # one a second


@asynccontextmanager
async def an_ether() -> AsyncIterator[Ether]:
    async with anyio.create_task_group() as tasks:
        yield Ether(tasks)
        tasks.cancel_scope.cancel()


async def test_two_nodes_keep_one_limit() -> None:
    backends = Scripted(seconds=0.1), Scripted(seconds=0.1)
    async with an_ether() as ether, anyio.create_task_group() as tasks:
        for number, backend in enumerate(backends):
            account = ether.account(f"n{number}", backend, A_SECOND)
            tasks.start_soon(outcomes_of, account, *[a_request() for _ in range(10)])
    times = sorted(backends[0].times + backends[1].times)
    assert len(times) == 20
    assert min(later - earlier for earlier, later in pairwise(times)) > 0.7
    assert times[-1] - times[0] < 21.0


async def test_calls_in_flight_are_counted_over_the_cluster() -> None:
    limits = Limits(concurrency=3, concurrency_start=None)
    backends = Scripted(seconds=2.0), Scripted(seconds=2.0)
    async with an_ether() as ether, anyio.create_task_group() as tasks:
        for number, backend in enumerate(backends):
            account = ether.account(f"n{number}", backend, limits)
            tasks.start_soon(outcomes_of, account, *[a_request() for _ in range(6)])
        for _ in range(90):
            await anyio.sleep(0.1)
            assert sum(backend.in_flight for backend in backends) <= 3
    assert sum(len(backend.requests) for backend in backends) == 12


async def test_a_pause_that_the_server_asks_of_one_node_is_kept_by_all() -> None:
    refusing = Scripted(RateLimitError("slow down", retry_after=10.0), a_reply(), seconds=0.1)
    other = Scripted(seconds=0.1)
    async with an_ether() as ether:
        first, second = ether.account("n0", refusing), ether.account("n1", other)
        await call(second)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outcome_of, first)
            await anyio.sleep(1.0)
            began = anyio.current_time()
            assert await outcome_of(second) == "yes"
            assert anyio.current_time() - began > 8.9


@pytest.mark.parametrize("model", ["m", "another"])
async def test_a_key_that_is_refused_on_one_node_is_used_by_none(model: str) -> None:
    other = Scripted()
    async with an_ether() as ether:
        first = ether.account("n0", Scripted(AuthFailed("no")))
        second = ether.account("n1", other)
        assert isinstance(await outcome_of(first), AuthFailed)
        await anyio.sleep(0.1)
        error = await outcome_of(second, a_request(model=model))
    assert isinstance(error, CircuitOpen)
    assert other.requests == []


async def test_a_circuit_that_one_node_has_opened_and_closed_is_so_for_all() -> None:
    """The other one's calls wait for the probe, and go out when it has succeeded."""
    failing = Scripted(*[ServerError("broke")] * 5, a_reply(), seconds=0.01)
    other = Scripted(seconds=0.01)
    async with an_ether() as ether:
        first, second = ether.account("n0", failing), ether.account("n1", other)
        await call(second)
        with pytest.raises(ServerError):
            await call(first, a_request(max_attempts=5, wait_for_circuit=False))
        await anyio.sleep(0.1)
        assert second.statistics(anyio.current_time()).breakers["m"].state == "open"
        await anyio.sleep(7.0)
        await call(first)
        await call(first)
        await anyio.sleep(0.1)
        assert second.statistics(anyio.current_time()).breakers["m"].state == "closed"


async def test_without_anybody_to_ask_a_call_waits_until_its_deadline_and_that_shows() -> None:
    async with an_ether() as ether:
        account = ether.account("n0", Scripted())
        ether.is_there = False
        began = anyio.current_time()
        error = await outcome_of(account, a_request(deadline=began + 20.0))
        assert isinstance(error, DeadlineExceeded)
        assert anyio.current_time() - began == pytest.approx(20.0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outcome_of, account)
            await anyio.sleep(5.0)
            cluster = account.statistics(anyio.current_time()).cluster
            assert cluster is not None
            assert (cluster.epoch, cluster.held) == (0, 0)
            assert cluster.away_s > 4.0
            ether.is_there = True


async def test_what_a_crashed_actor_had_in_flight_is_given_back() -> None:
    limits = Limits(concurrency=2, concurrency_start=None)
    async with an_ether() as ether:
        first = ether.account("n0", Scripted(seconds=1e6), limits)
        second = ether.account("n1", Scripted(), limits)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outcomes_of, first, a_request(), a_request())
            await anyio.sleep(1.0)
            tasks.cancel_scope.cancel()
        ProviderActor(first)
        first.after_crash(anyio.current_time())
        first.ward("m").line.serve(anyio.current_time())
        assert await outcome_of(second) == "yes"


def test_an_account_without_a_server_is_each_node_s_own() -> None:
    shared: list[str] = []
    actors = ProviderActors()
    actors.share_over("n0", lambda name, _: shared.append(name))
    actors.start(ProviderProfile(name="echo", dialect="echo"))
    actors.start(ProviderProfile(name="far", dialect="openai_chat", base_url="http://127.0.0.1:1"))
    assert shared == ["far"]
