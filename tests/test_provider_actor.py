"""The provider actor under the real kernel: many calls in flight, every end defined."""

from __future__ import annotations

import subprocess
import sys
import traceback
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from providers import ProviderActors, adapter_of
from providers.actor import ProviderActor
from providers.admission import Ticket
from runtime.accounts import Accounts, Asked, accounts_spec
from runtime.actors import (
    ActorGone,
    ActorRef,
    OutcomeUnknown,
    Supervisor,
    Unhandled,
    actor_system,
)
from runtime.errors import (
    AuthFailed,
    CircuitOpen,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    ModelUnavailable,
    RateLimitError,
    ServerError,
    Timeout,
)
from runtime.messages import Limits, LocalRequest, ModelEvent, ProviderProfile
from tests.fake_backends import ByModel, Scripted, a_profile, a_reply, a_request, an_account

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from providers.account import Account
    from providers.backend import Attempt
    from runtime.messages import ModelReply

ERRORS = {"broken": lambda: ServerError("it broke")}
ONE = Limits(concurrency=1)
TWO = Limits(concurrency=2, max_queue=5)
ECHO = ProviderProfile(name="echo", dialect="echo")


@asynccontextmanager
async def started(account: Account) -> AsyncIterator[tuple[ActorRef, ProviderActor]]:
    async with actor_system() as system:
        ref = await system.start(lambda: ProviderActor(account))
        actor = ref.actor
        assert isinstance(actor, ProviderActor)
        yield ref, actor


@asynccontextmanager
async def supervised(account: Account) -> AsyncIterator[Accounts]:
    """Run the actor of an account as the system does: under the supervisor of all accounts."""
    async with actor_system() as system:
        spec = accounts_spec(lambda _: ProviderActor(account))
        root = await system.supervise(lambda: Supervisor((spec,)))
        accounts = Accounts(root.child("providers"), lambda _: account.profile)  # type: ignore[arg-type]  # a supervisor's
        yield accounts


def the_actor(accounts: Accounts) -> ActorRef:
    """Return the actor of the only account that was asked."""
    [ref] = accounts._refs.values()
    return ref


async def outcomes_of(futures: list[Any]) -> list[str]:
    """Return what became of each ask: its text, or the name of its error."""
    found = []
    for future in futures:
        try:
            reply = await (future.reply() if isinstance(future, Asked) else future)
            found.append(reply.text)
        except Exception as error:  # noqa: BLE001  # the error is the outcome
            found.append(type(error).__name__)
    return found


def texts(backend: Scripted) -> list[str]:
    return [request.messages[0].text for request in backend.requests]


# --- calls ---------------------------------------------------------------------------------------


async def test_calls_run_at_the_same_time_up_to_the_limit_and_in_their_order() -> None:
    backend = ByModel({})
    async with started(an_account(backend, TWO)) as (ref, actor):
        futures = [ref.ask(a_request(str(number))) for number in range(5)]
        await anyio.sleep(0.5)
        now = actor.statistics()
        assert (now.in_flight, now.queued) == (2, 3)
        assert repr(actor) == (
            "<ProviderActor p (fake) [2 in flight, 3 waiting, 5 calls, 0 errors]>"
        )
        assert await outcomes_of(futures) == list("01234")
        assert anyio.current_time() == pytest.approx(3)
    assert backend.most == 2
    assert texts(backend) == list("01234")
    assert backend.events == ["opened", "closed with 0 in flight"]


async def test_one_more_than_may_wait_is_refused_at_once_and_the_others_are_served() -> None:
    async with started(an_account(ByModel({}), TWO)) as (ref, actor):
        futures = [ref.ask(a_request(str(number))) for number in range(9)]
        assert await outcomes_of(futures) == [*"0123456", "QueueFull", "QueueFull"]
        assert (await ref.ask(a_request("later"))).text == "later"
        assert actor.statistics().errors == 2


async def test_runs_take_turns_however_many_calls_one_of_them_has() -> None:
    backend = ByModel({})
    async with started(an_account(backend, Limits(concurrency=1))) as (ref, _):
        crowd = [ref.ask(a_request(f"a{n}", run_id="a")) for n in range(50)]
        single = ref.ask(a_request("b", run_id="b"))
        await single
        assert len(backend.requests) < 25
        await outcomes_of(crowd)
    assert [text for text in texts(backend) if text != "b"] == [f"a{n}" for n in range(50)]


async def test_a_failed_call_fails_its_asker_and_not_the_actor() -> None:
    async with started(an_account(ByModel(ERRORS))) as (ref, actor):
        with pytest.raises(ServerError, match="it broke"):
            await ref.ask(a_request(model="broken"))
        assert (await ref.ask(a_request("still here"))).text == "still here"
        now = actor.statistics()
    assert (now.calls, now.attempts, now.errors) == (2, 4, 1)
    assert now.last_error == "ServerError: it broke"
    assert ref.incarnation == 1


async def test_a_failed_call_keeps_its_prompt_out_of_its_traceback() -> None:
    canary = "a prompt that nobody shall find in a log"
    async with started(an_account(ByModel(ERRORS))) as (ref, _):
        with pytest.raises(ServerError) as raised:
            await ref.ask(a_request(canary, model="broken"))
    frames = [frame for frame, _ in traceback.walk_tb(raised.value.__traceback__)]
    ours = [frame for frame in frames if "providers" in Path(frame.f_code.co_filename).parts]
    assert canary not in "".join(repr(frame.f_locals) for frame in ours)


async def test_other_messages_are_nothing_to_it() -> None:
    async with started(an_account(Scripted())) as (ref, _):
        with pytest.raises(Unhandled):
            await ref.ask("hello")


# --- giving up -----------------------------------------------------------------------------------


async def test_a_deadline_ends_a_call_in_flight() -> None:
    backend = Scripted()
    async with started(an_account(backend)) as (ref, _):
        with pytest.raises(DeadlineExceeded, match="p/m: time ran out while it was in flight"):
            await ref.ask(a_request(deadline=anyio.current_time() + 0.5))
        assert anyio.current_time() == pytest.approx(0.5)
        assert backend.in_flight == 0


async def test_a_deadline_ends_the_wait_for_a_place_and_leaves_the_queue_in_order() -> None:
    backend = ByModel({})
    async with started(an_account(backend, TWO)) as (ref, actor):
        futures = [ref.ask(a_request(str(number))) for number in range(3)]
        late = ref.ask(a_request("late", deadline=anyio.current_time() + 0.2))
        with pytest.raises(DeadlineExceeded, match="waited for its turn"):
            await late
        assert actor.statistics().queued == 1
        assert await outcomes_of(futures) == ["0", "1", "2"]
    assert "late" not in texts(backend)


async def test_an_asker_that_gives_up_gives_its_place_back() -> None:
    backend = Scripted()
    async with started(an_account(backend)) as (ref, actor):
        future = ref.ask(a_request())
        await anyio.sleep(0.5)
        future.cancel()
        await anyio.sleep(0.1)
        assert backend.in_flight == 0
        assert actor.statistics().in_flight == 0


async def test_an_asker_that_gives_up_in_the_queue_is_never_sent() -> None:
    backend = ByModel({})
    async with started(an_account(backend, Limits(concurrency=1))) as (ref, actor):
        futures = [ref.ask(a_request(str(number))) for number in range(3)]
        await anyio.sleep(0.5)
        futures[1].cancel()
        assert await outcomes_of([futures[0], futures[2]]) == ["0", "2"]
        assert (actor.statistics().in_flight, actor.statistics().queued) == (0, 0)
    assert texts(backend) == ["0", "2"]


@pytest.mark.parametrize("instant", [0.0, 0.5, 1.0, 1.5, 2.0])
async def test_whoever_gives_up_at_whatever_instant_leaves_the_others_their_turn(
    instant: float,
) -> None:
    """At 1.0 and 2.0 somebody else is started in the very same moment."""
    async with started(an_account(ByModel({}), Limits(concurrency=1))) as (ref, actor):
        futures = [ref.ask(a_request(str(number))) for number in range(6)]
        await anyio.sleep(instant)
        for future in futures[1::2]:
            future.cancel()
        kept = await outcomes_of([future for future in futures if not future.cancelled()])
        assert set(kept) >= {"0", "2", "4"}
        now = actor.statistics()
    assert (now.in_flight, now.queued) == (0, 0)


async def test_who_gives_up_in_the_very_moment_of_being_started_gives_its_place_back() -> None:
    account = an_account(ByModel({}), ONE)
    async with started(account) as (ref, actor):
        ward, held = account.ward("m"), Ticket("held", 0, 0, 0.0)
        assert await ward.line.enter(held)
        futures = [ref.ask(a_request(str(number))) for number in range(2)]
        await anyio.sleep(1.0)
        futures[0].cancel()
        ward.group.unsent(held, 1.0)
        ward.line.serve(1.0)
        assert (actor.statistics().in_flight, actor.statistics().queued) == (1, 1)
        assert await outcomes_of(futures[1:]) == ["1"]
        now = actor.statistics()
    assert (now.in_flight, now.queued, now.attempts) == (0, 0, 1)


# --- the end of the actor ------------------------------------------------------------------------


async def test_a_stopped_actor_ends_its_calls_before_it_closes_its_backend() -> None:
    backend = Scripted()
    async with started(an_account(backend, Limits(concurrency=1))) as (ref, _):
        futures = [ref.ask(a_request()) for _ in range(3)]
        await anyio.sleep(0.5)
        ref.stop()
        for future in futures:
            with pytest.raises((OutcomeUnknown, ActorGone)):
                await future
        await ref.ended()
    assert backend.events == ["opened", "closed with 0 in flight"]


async def test_a_killed_actor_is_started_again_with_what_it_knew_and_its_askers_are_told() -> None:
    account = an_account(ByModel(ERRORS, seconds=2.0), ONE)
    async with supervised(account) as accounts:
        await outcomes_of([accounts.ask(a_request(model="broken")) for _ in range(2)])
        assert account.statistics(anyio.current_time()).breakers["broken"].state == "open"
        under_way = [accounts.ask(a_request(str(n))) for n in range(3)]
        await anyio.sleep(0.5)
        the_actor(accounts).kill()
        assert await outcomes_of(under_way) == ["Timeout"] * 3
        with pytest.raises(CircuitOpen):
            await accounts.ask(a_request(model="broken", wait_for_circuit=False)).reply()
        now = account.statistics(anyio.current_time())
        assert (now.in_flight, now.queued) == (0, 0)
        assert now.breakers["broken"].state == "open"
        assert now.groups["m"].charged_requests == 1
        assert (await accounts.ask(a_request("again")).reply()).text == "again"
        assert the_actor(accounts).incarnation == 2


async def test_a_pause_that_the_server_asked_for_outlives_a_crash() -> None:
    backend = Scripted(RateLimitError("x", http_status=429, retry_after=30.0), a_reply())
    async with supervised(an_account(backend)) as accounts:
        await outcomes_of([accounts.ask(a_request(max_attempts=1))])
        the_actor(accounts).kill()
        assert await outcomes_of([accounts.ask(a_request())]) == ["yes"]
    assert backend.times[1] >= 1.0 + 30.0


async def test_a_probe_that_dies_with_its_actor_comes_back() -> None:
    backend = Scripted(AuthFailed("x", http_status=401), a_reply(), seconds=2.0)
    async with supervised(an_account(backend)) as accounts:
        await outcomes_of([accounts.ask(a_request())])
        await anyio.sleep(700.0)
        probe = accounts.ask(a_request())
        await anyio.sleep(1.0)
        the_actor(accounts).kill()
        assert await outcomes_of([probe, accounts.ask(a_request())]) == ["Timeout", "yes"]


async def test_what_a_crash_left_behind_holds_no_place_and_no_probe() -> None:
    """Tasks that would not end are given up by the kernel; they never settle."""
    backend = Scripted(AuthFailed("x", http_status=401), a_reply())
    account = an_account(backend, ONE)
    async with supervised(account) as accounts:
        await outcomes_of([accounts.ask(a_request())])
        await anyio.sleep(700.0)
        ward = account.ward("m")
        assert ward.circuit.attempt(anyio.current_time())
        assert await ward.line.enter(Ticket("leaked", 0, 0, 0.0))
        the_actor(accounts).kill()
        assert await outcomes_of([accounts.ask(a_request())]) == ["yes"]
        assert account.statistics(anyio.current_time()).in_flight == 0


async def test_a_call_that_an_ended_actor_never_held_is_certain_not_to_be_sent() -> None:
    backend = Scripted()
    async with started(an_account(backend)) as (ref, _):
        ref.stop()
        await ref.ended()
        with pytest.raises(ConnectionFailed) as raised:
            await Asked(a_request(), ref.ask(a_request())).reply()
    assert raised.value.sent is False
    assert backend.requests == []


async def test_a_call_that_comes_while_its_actor_is_started_again_is_answered_by_the_next() -> None:
    async with supervised(an_account(Scripted())) as accounts:
        await accounts.ask(a_request()).reply()
        the_actor(accounts).kill()
        assert await outcomes_of([accounts.ask(a_request()) for _ in range(3)]) == ["yes"] * 3
        assert the_actor(accounts).incarnation == 2


async def test_the_end_of_an_actor_that_held_a_call_is_a_timeout_that_may_be_billed() -> None:
    async with supervised(an_account(Scripted())) as accounts:
        asked = accounts.ask(a_request())
        await anyio.sleep(0.5)
        the_actor(accounts).kill()
        with pytest.raises(Timeout, match="ended while it waited") as raised:
            await asked.reply()
        assert raised.value.stage == "total"


# --- pieces --------------------------------------------------------------------------------------


async def test_the_pieces_end_with_the_call_whether_it_succeeds_or_fails() -> None:
    def tell(attempt: Attempt) -> ModelReply | BaseException:
        attempt.hand_on(ModelEvent("text", "ye"))
        attempt.hand_on(ModelEvent("text", "s"))
        return a_reply() if attempt.request.model == "m" else ServerError("x")

    async with started(an_account(Scripted(tell))) as (ref, _):
        for model, expected in (("m", ["yes"]), ("other", ["ServerError"])):
            send, receive = anyio.create_memory_object_stream[ModelEvent](8)
            answer = ref.ask(LocalRequest(a_request(model=model, stream=True), send))
            async with receive:
                assert [piece.text async for piece in receive] == ["ye", "s"]
            assert await outcomes_of([answer]) == expected


async def test_the_pieces_end_when_the_actor_is_killed() -> None:
    async with supervised(an_account(Scripted(seconds=9.0))) as accounts:
        send, receive = anyio.create_memory_object_stream[ModelEvent](8)
        answer = accounts.ask(a_request(stream=True), send)
        await anyio.sleep(0.5)
        the_actor(accounts).kill()
        async with receive:
            assert [piece async for piece in receive] == []
        assert await outcomes_of([answer]) == ["Timeout"]


# --- the front door ------------------------------------------------------------------------------


async def test_the_front_door_starts_the_dialect_of_the_profile() -> None:
    async with actor_system() as system:
        ref = await system.start(lambda: ProviderActors().start(ECHO))
        assert (await ref.ask(a_request("hello", model="echo-1"))).text == "hello"
        with pytest.raises(ModelUnavailable):
            await ref.ask(a_request("hello", model="gpt-4o"))


async def test_what_an_account_knows_is_kept_until_its_profile_changes() -> None:
    actors = ProviderActors()
    async with actor_system() as system:
        first = await system.start(lambda: actors.start(ECHO))
        await first.ask(a_request("hello", model="echo-1"))
        again = await system.start(lambda: actors.start(ECHO))
        changed = ProviderProfile(name="echo", dialect="echo", options={"reply": "x"})
        other = await system.start(lambda: actors.start(changed))
        counts = [ref.actor.statistics().calls for ref in (again, other)]  # type: ignore[union-attr]  # provider actors
    assert counts == [1, 0]


def test_an_unknown_dialect_is_told_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'p': nobody speaks .*'smtp'.*echo, google"):
        ProviderActors().start(ProviderProfile(name="p", dialect="smtp"))
    with pytest.raises(ConfigurationError, match="nobody speaks"):
        adapter_of(a_profile(), "gopher")


def test_echo_loads_no_http_library() -> None:
    code = (
        "import sys; from providers import ProviderActors; from runtime.messages import *;"
        "ProviderActors().start(ProviderProfile(name='e', dialect='echo'));"
        "print(sorted({'httpx', 'pyreqwest', 'genai_prices', 'structlog', 'providers.http'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
